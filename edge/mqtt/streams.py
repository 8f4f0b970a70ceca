"""Which streams a device is announced with."""

from collections.abc import Mapping

Channels = tuple[str, ...] | None
"""None: decisions are told of the stream.  Else it is a series of these channels, of none as long
as no sample has said which."""

Streams = Mapping[str, Channels]
"""Streams by name."""
