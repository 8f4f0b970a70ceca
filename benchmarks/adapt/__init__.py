"""Adaptation without labels: the default policy beside the published ones."""
