"""Learning one sample at a time, compared with River's own methods."""
