"""The contract of measurement sources: measurements, invalid inputs, sources and their sink."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Final, Protocol

import msgspec

from ..core import limits

DAY_NS: Final = 86_400 * 10**9  # nanoseconds in a day
STREAM_CHARS: Final = 189
"""Characters of a stream's name in the name of a recording: with the day it fits 200 characters,
`limits.TEXT_CHARS_MAX`."""


class MeasurementMetadata(msgspec.Struct, frozen=True):
    """What the sender reported about a measurement; missing fields are empty or None.

    captured_at_ns: nanoseconds since 1970 on the sender's clock.
    """

    id: str = ""
    subject: str = ""
    sequence: int | None = None
    captured_at_ns: int | None = None


NO_METADATA: Final = MeasurementMetadata()


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement of a stream.

    payload: image bytes, a float32 array, NamedValues, or {channel: number}.
    """

    stream: str
    payload: Any = field(repr=False, compare=False)
    metadata: MeasurementMetadata = NO_METADATA


def daily_recording(stream: str, captured_at_ns: int) -> str:
    """Return the name of the recording that a live observation belongs to: its stream and day in
    UTC; empty for a time that the runtime rejects.  It follows from the observation alone, so that
    a restart continues the recording."""
    if not 0 <= captured_at_ns <= limits.COUNT_MAX:
        return ""
    return _name_of_day(stream[:STREAM_CHARS], captured_at_ns // DAY_NS)


@lru_cache(maxsize=limits.STREAMS_MAX)
def _name_of_day(stream: str, day: int) -> str:
    return f"{stream} {date(1970, 1, 1) + timedelta(days=day)}"


class InvalidMeasurement(msgspec.Struct, frozen=True):
    """An input that is not a valid measurement: the reason, and a hint."""

    reason: str
    hint: str


class Sink(Protocol):
    """Receives measurements; safe to call from any thread."""

    def offer(self, measurement: Measurement) -> bool:
        """Queue a measurement; False if one was dropped, because the queue was full or the stream
        exceeds its rate."""

    def room(self, stream: str) -> int:
        """Return how many measurements of a stream fit without dropping one."""

    def reject(self, stream: str, flaw: InvalidMeasurement) -> None:
        """Count and report an invalid input."""


class Source(Protocol):
    """A source of measurements.  It never raises for a failing input: `problem` reports the
    failure, and the source retries."""

    @property
    def problem(self) -> str:
        """Why it cannot measure; empty if it can."""

    def start(self) -> None:
        """Begin to measure."""

    def stop(self, timeout_s: float) -> None:
        """Stop within `timeout_s` seconds."""
