"""A sink that keeps its inputs, and a wait for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from edge.sources.measurement import InvalidMeasurement, Measurement


class Kept:
    """Keeps measurements and flaws; has room for `places` of them until it is emptied."""

    def __init__(self, places: int = 1 << 30) -> None:
        self.places = places
        self.measurements: list[Measurement] = []
        self.flaws: list[InvalidMeasurement] = []
        self._lock = threading.Lock()

    def offer(self, measurement: Measurement) -> bool:
        """See `Sink`."""
        with self._lock:
            self.measurements.append(measurement)
            return len(self.measurements) <= self.places

    def room(self, _stream: str) -> int:
        """See `Sink`."""
        return self.places - len(self.measurements)

    def reject(self, _stream: str, flaw: InvalidMeasurement) -> None:
        """See `Sink`."""
        self.flaws.append(flaw)


def wait_for(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Wait until something holds; fails where it takes too long."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)
