"""Encoders compared: accuracy, novelty, time and size of each, under the product's settings."""
