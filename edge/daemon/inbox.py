"""Where other threads hand input to the loop: bounded, and never blocking.

When it is full, a new observation drops the oldest of the stream with most waiting, which counts
the drop.  Commands (labels among them) are never dropped: they are refused with a reason.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final, Generic, TypeVar

import numpy as np

from ..core import NamedValues
from ..sources import InvalidMeasurement, Measurement
from .stream_counters import StreamCounters

OBSERVATIONS_MAX: Final = 256
"""Waiting observations.  Chosen by hand; effect not measured."""

BYTES_MAX: Final = 64 << 20
"""Bytes of waiting observations: what a device with 512 MiB can spare."""

COMMANDS_MAX: Final = 256
"""Waiting commands.  Chosen by hand; effect not measured."""

REJECTIONS_MAX: Final = 64
"""Rejections to publish, the newest: several seconds' worth at `loop.REJECTIONS_PER_S`."""

Command = TypeVar("Command")


class Inbox(Generic[Command]):
    """Hands measurements, commands and rejections from any thread to the loop.

    streams: by name; measurements of other streams are refused.  wake: ends the loop's wait.
    """

    def __init__(self, streams: Mapping[str, StreamCounters], wake: Callable[[], None]) -> None:
        self.streams = streams
        self.refusing = ""
        self._wake = wake
        self._lock = threading.Lock()
        self._measurements: deque[tuple[Measurement, int]] = deque()
        self._bytes = 0
        self._commands: deque[Command] = deque()
        self._rejections: deque[tuple[str, InvalidMeasurement]] = deque(maxlen=REJECTIONS_MAX)
        self._owner = threading.get_ident()

    def __len__(self) -> int:
        return len(self._measurements) + len(self._commands)

    def offer(self, measurement: Measurement) -> bool:
        """Add a measurement; False if it came too fast, or an older one was dropped for it."""
        stream = self.streams.get(measurement.stream)
        if stream is None:
            return False
        nbytes = _size(measurement.payload)
        with self._lock:
            stream.received += 1
            if not stream.allows(time.monotonic_ns()):
                stream.dropped += 1
                return False
            self._measurements.append((measurement, nbytes))
            self._bytes += nbytes
            stream.waiting += 1
            full = len(self._measurements) > OBSERVATIONS_MAX or self._bytes > BYTES_MAX
            if full:
                self._drop()
        self._notify()
        return not full

    def room(self, stream: str) -> int:
        """Return how many more measurements fit without a drop."""
        if stream not in self.streams or self._bytes > BYTES_MAX // 2:
            return 0
        return max(OBSERVATIONS_MAX // 2 - len(self._measurements), 0)

    def reject(self, stream: str, invalid: InvalidMeasurement) -> None:
        """Count an invalid measurement; the newest are published."""
        found = self.streams.get(stream)
        with self._lock:
            if found is not None:
                found.received += 1
                found.reject(invalid.reason, invalid.hint)
            self._rejections.append((stream, invalid))
        self._notify()

    def add_command(self, command: Command) -> str:
        """Add a command; returns the reason if it is refused, else ''."""
        with self._lock:
            if self.refusing:
                return self.refusing
            if len(self._commands) >= COMMANDS_MAX:
                return f"{COMMANDS_MAX} commands wait already: send it again later"
            self._commands.append(command)
        self._notify()
        return ""

    @property
    def crowded(self) -> bool:
        """True if so many commands wait that the loop should not read more."""
        return len(self._commands) > COMMANDS_MAX // 2

    def take(self) -> Measurement | None:
        """Remove and return the oldest measurement, or None."""
        if not self._measurements:
            return None
        with self._lock:
            measurement, nbytes = self._measurements.popleft()
            self._bytes -= nbytes
            stream = self.streams.get(measurement.stream)
            if stream is not None:
                stream.waiting -= 1
        return measurement

    def take_command(self) -> Command | None:
        """Remove and return the oldest command, or None."""
        return self._commands.popleft() if self._commands else None

    def put_back(self, command: Command) -> None:
        """Put a command back in front of all others."""
        self._commands.appendleft(command)

    def waits(self, observation_ids: AbstractSet[str]) -> bool:
        """Return whether any observation of these ids, which their senders gave, waits for a
        decision."""
        with self._lock:
            return any(one.metadata.id in observation_ids for one, _ in self._measurements)

    def take_rejection(self) -> tuple[str, InvalidMeasurement] | None:
        """Remove and return the oldest rejection with its stream, or None."""
        return self._rejections.popleft() if self._rejections else None

    def _drop(self) -> None:
        """Drop the oldest measurement of the stream with most waiting."""
        name = max(self.streams.values(), key=_waiting).name
        at = next(i for i, (one, _) in enumerate(self._measurements) if one.stream == name)
        _, nbytes = self._measurements[at]
        del self._measurements[at]
        self._bytes -= nbytes
        self.streams[name].waiting -= 1
        self.streams[name].dropped += 1

    def _notify(self) -> None:
        if threading.get_ident() != self._owner:
            self._wake()


def _waiting(stream: StreamCounters) -> int:
    return stream.waiting


def _size(payload: Any) -> int:
    if isinstance(payload, NamedValues):
        return payload.values.nbytes
    if isinstance(payload, np.ndarray):
        return payload.nbytes
    return len(payload) if isinstance(payload, bytes | dict) else 0
