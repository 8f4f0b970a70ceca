"""The one place where other threads hand over what came in: bounded, and never waiting.

Observations push out the oldest of the stream that has most of them waiting, which counts it.
Orders (commands, labels) are never dropped: where too many wait they are refused with a reason.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar

import numpy as np

from ..core import NamedValues
from ..sources import InvalidMeasurement, Measurement
from .stream_counters import StreamCounters

OBSERVATIONS_MAX: Final = 256
BYTES_MAX: Final = 64 << 20
ORDERS_MAX: Final = 256
FLAWS_MAX: Final = 64

Order = TypeVar("Order")


class Inbox(Generic[Order]):
    """Hands measurements, orders and flaws from any thread to the loop.

    streams: by name; what comes for another name is refused.  wake: lets the loop's wait end.
    """

    def __init__(self, streams: Mapping[str, StreamCounters], wake: Callable[[], None]) -> None:
        self.streams = streams
        self.refusing = ""
        self._wake = wake
        self._lock = threading.Lock()
        self._measurements: deque[tuple[Measurement, int]] = deque()
        self._bytes = 0
        self._orders: deque[Order] = deque()
        self._flaws: deque[tuple[str, InvalidMeasurement]] = deque(maxlen=FLAWS_MAX)
        self._owner = threading.get_ident()

    def __len__(self) -> int:
        return len(self._measurements) + len(self._orders)

    def offer(self, measurement: Measurement) -> bool:
        """Take a measurement; False where it came too fast, or an older one had to go for it."""
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
        self._stir()
        return not full

    def room(self, stream: str) -> int:
        """Return how many more measurements would be taken without one being dropped."""
        if stream not in self.streams or self._bytes > BYTES_MAX // 2:
            return 0
        return max(OBSERVATIONS_MAX // 2 - len(self._measurements), 0)

    def reject(self, stream: str, flaw: InvalidMeasurement) -> None:
        """Count what is no measurement; the newest are told."""
        found = self.streams.get(stream)
        with self._lock:
            if found is not None:
                found.received += 1
                found.reject(flaw.reason, flaw.hint)
            self._flaws.append((stream, flaw))
        self._stir()

    def order(self, order: Order) -> str:
        """Take a command or a label; returns why it is refused, or nothing."""
        with self._lock:
            if self.refusing:
                return self.refusing
            if len(self._orders) >= ORDERS_MAX:
                return f"{ORDERS_MAX} commands wait already: send it again later"
            self._orders.append(order)
        self._stir()
        return ""

    @property
    def crowded(self) -> bool:
        """True where so many orders wait that no more should be read."""
        return len(self._orders) > ORDERS_MAX // 2

    def take(self) -> Measurement | None:
        """Return the oldest measurement, or None."""
        if not self._measurements:
            return None
        with self._lock:
            measurement, nbytes = self._measurements.popleft()
            self._bytes -= nbytes
            stream = self.streams.get(measurement.stream)
            if stream is not None:
                stream.waiting -= 1
        return measurement

    def take_order(self) -> Order | None:
        """Return the oldest order, or None."""
        return self._orders.popleft() if self._orders else None

    def put_back(self, order: Order) -> None:
        """Let an order wait on, before all others."""
        self._orders.appendleft(order)

    def waits(self, observation_id: str) -> bool:
        """Say whether an observation that its sender named waits to be decided."""
        with self._lock:
            return any(one.metadata.id == observation_id for one, _ in self._measurements)

    def take_flaw(self) -> tuple[str, InvalidMeasurement] | None:
        """Return a stream and what was wrong with what came on it, or None."""
        return self._flaws.popleft() if self._flaws else None

    def _drop(self) -> None:
        """Drop the oldest of the stream that has most waiting."""
        name = max(self.streams.values(), key=_waiting).name
        at = next(i for i, (one, _) in enumerate(self._measurements) if one.stream == name)
        _, nbytes = self._measurements[at]
        del self._measurements[at]
        self._bytes -= nbytes
        self.streams[name].waiting -= 1
        self.streams[name].dropped += 1

    def _stir(self) -> None:
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
