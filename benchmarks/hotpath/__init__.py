"""Time for each stage of a decision, memory, start-up."""
