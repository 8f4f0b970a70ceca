"""Which facts full concepts keep: every selector, on streams in time order and shuffled."""
