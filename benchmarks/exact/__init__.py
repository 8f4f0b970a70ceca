"""Exactness: random histories and killed processes."""
