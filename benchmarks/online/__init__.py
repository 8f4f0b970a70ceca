"""Learning one sample at a time, beside River's own methods."""
