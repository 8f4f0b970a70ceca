"""The contract of measurement sources: measurements, invalid inputs, sources and their sink."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from ..core import limits

DAY_NS: Final = 86_400 * 10**9  # nanoseconds in a day
RECORDING_FILE_CHARS: Final = 190
"""Characters of a file name that are part of the name of its recording: with eight digits the name
fits `limits.TEXT_CHARS_MAX`."""
SECOND_NS: Final = 10**9  # nanoseconds in a second
STREAM_CHARS: Final = 180
"""Characters of a stream's name in the name of a recording: with day and time it fits 200
characters, `limits.TEXT_CHARS_MAX`."""


class MeasurementMetadata(msgspec.Struct, frozen=True):
    """What the sender reported about a measurement; missing fields are empty or None.

    captured_at_ns: nanoseconds since 1970 on the sender's clock.  recording: the recording or
    session that it is a part of.
    """

    id: str = ""
    subject: str = ""
    sequence: int | None = None
    captured_at_ns: int | None = None
    recording: str = ""


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


def session_recording(stream: str, started_ns: int, captured_at_ns: int) -> str:
    """Return the name of the recording that a sensor's measurement belongs to, by the time at which
    the sensor was started: between two starts it may have been moved.  A later day is a recording
    of its own, as in `daily_recording`."""
    if started_ns // DAY_NS != captured_at_ns // DAY_NS:
        return daily_recording(stream, captured_at_ns)
    return _name_of_session(stream[:STREAM_CHARS], started_ns // SECOND_NS)


def content_id(data: bytes) -> str:
    """Return an id of the content, so that an example learned twice is stored once."""
    return hashlib.sha256(data).hexdigest()[:32]


def recording_of_file(path: Path | str, content: str) -> str:
    """Return the name of the recording that a file is: its name and the first digits of its
    content's id, so that it does not depend on the folder."""
    # Bytes of a file name that are not UTF-8 are escaped.
    name = Path(path).name.encode("utf-8", "backslashreplace").decode("utf-8")
    printable = "".join(one if one.isprintable() else "?" for one in name)
    return f"{printable[:RECORDING_FILE_CHARS]}#{content[:8]}"


@lru_cache(maxsize=limits.STREAMS_MAX)
def _name_of_session(stream: str, second: int) -> str:
    return f"{stream} {datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S}"


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
