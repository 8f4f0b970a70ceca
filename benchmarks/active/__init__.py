"""Active learning: which labels to ask for, and what more of them gain."""
