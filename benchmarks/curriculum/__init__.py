"""Searches for worlds in which the runtime breaks or barely learns."""
