"""Strategies of continual learning in the harness: for comparison only, none of them serves."""
