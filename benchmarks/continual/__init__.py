"""Continual learning on real features: domains, classes, labels."""
