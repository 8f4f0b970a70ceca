"""Strategies of continual learning on the same streams: the runtime beside the published ones."""
