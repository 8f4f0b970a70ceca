"""What forgetting costs, and what is left of it."""
