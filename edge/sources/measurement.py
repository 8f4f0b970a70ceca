"""What a source hands over, and what it hands it over to."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

import msgspec

Kind = Literal["sample", "series"]


class RawPayload(msgspec.Struct, frozen=True):
    """What the sender said about a measurement; what it left out is empty or None.

    captured_at_ns: nanoseconds since 1970 by the sender's clock.
    """

    id: str = ""
    subject: str = ""
    sequence: int | None = None
    captured_at_ns: int | None = None


UNSAID: Final = RawPayload()


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement of a stream.  payload: image bytes, float32 array, NamedValues, or
    {channel: number}."""

    stream: str
    payload: Any = field(repr=False, compare=False)
    given: RawPayload = UNSAID


class InvalidMeasurement(msgspec.Struct, frozen=True):
    """Why something is no measurement, and what to do about it."""

    reason: str
    hint: str


class Sink(Protocol):
    """Where measurements go; safe to call from any thread."""

    def offer(self, measurement: Measurement) -> bool:
        """Take a measurement; False where an older one had to go for it, or it came too fast."""

    def room(self, stream: str) -> int:
        """Return how many more would be taken without one being dropped."""

    def reject(self, stream: str, flaw: InvalidMeasurement) -> None:
        """Count what came but is no measurement, and say so."""


class Source(Protocol):
    """Something that measures.  It never raises for trouble with what it reads: `trouble` says it,
    and it tries again."""

    @property
    def problem(self) -> str:
        """What keeps it from measuring; empty where nothing does."""

    def start(self) -> None:
        """Begin to measure."""

    def stop(self, timeout_s: float) -> None:
        """End; returns within the time."""
