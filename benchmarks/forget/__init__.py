"""Forgetting: what it costs, and what is left of it."""
