"""Faults injected into a running daemon."""
