"""Adaptation without labels in the runtime itself: whole streams, and the crossover to labels."""
