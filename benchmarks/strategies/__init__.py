"""Strategies of continual learning on the same streams: the runtime against published ones."""
