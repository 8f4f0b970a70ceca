"""What forgetting costs, and what it leaves behind."""
