"""Exact unlearning beside the published methods of unlearning."""
