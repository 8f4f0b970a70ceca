"""Whether equal facts give the same bits on every machine."""
