"""Capture times of domains in memory, so that one more fact does not read all of them again."""

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..core import Fact

BYTES_MAX: Final = 16 << 20
"""Most bytes of all times: of two million facts.  Beyond it all are dropped and read again.  Chosen
by hand; effect not measured."""

Times = NDArray[np.int64]


class CaptureTimes:
    """The times of the domains that were asked for, each ascending."""

    def __init__(self) -> None:
        self._times: dict[str, Times] = {}

    def of(self, domain: str, read: Callable[[str], Times]) -> Times:
        """Return a domain's times.  read: reads them from the file."""
        found = self._times.get(domain)
        if found is None:
            if sum(times.nbytes for times in self._times.values()) > BYTES_MAX:
                self._times.clear()
            found = self._times[domain] = read(domain)
        return found

    def change(self, gone: Iterable[Fact], coming: Iterable[Fact]) -> None:
        """Follow a change of the facts, once it is durable."""
        parts: dict[str, tuple[list[Fact], list[Fact]]] = {}
        for place, facts in enumerate((gone, coming)):
            for fact in facts:
                if fact.domain in self._times:
                    parts.setdefault(fact.domain, ([], []))[place].append(fact)
        for domain, (out, new) in parts.items():
            self._times[domain] = changed_times(self._times[domain], out, new)


def changed_times(times: Times, gone: Iterable[Fact], coming: Iterable[Fact]) -> Times:
    """Return ascending times without those of some facts, which are among them, and with those of
    others."""
    out = np.sort(np.array([fact.captured_at_ns for fact in gone], np.int64))
    new = np.sort(np.array([fact.captured_at_ns for fact in coming], np.int64))
    # Of equal times, the k-th that goes is the k-th of them.
    places = np.searchsorted(times, out) + np.arange(len(out)) - np.searchsorted(out, out)
    left = np.delete(times, places)
    return np.insert(left, np.searchsorted(left, new), new)
