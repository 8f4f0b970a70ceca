"""Zero-shot architecture search against training the whole space."""
