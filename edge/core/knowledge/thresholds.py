"""The calibrations of all domains, each computed from its own domain's facts alone.

A domain's calibration is current, or the last one from before new facts arrived.  The last one may
serve until the current one is computed; after a forget there is none, and it must be computed.
"""

from collections.abc import Iterator, Sequence

import hdc


class Thresholds:
    """Calibrations by domain, and all of them merged."""

    def __init__(self) -> None:
        self._parts: dict[str, hdc.Calibration] = {}
        self._outdated: set[str] = set()
        self._merged: tuple[tuple[str, ...], hdc.Calibration] | None = None

    def put(self, domain: str, made: hdc.Calibration, *, current: bool) -> None:
        """Store a domain's calibration; one that is not current never replaces one that is."""
        if not current and domain in self._parts and domain not in self._outdated:
            return
        self._parts[domain] = made
        (self._outdated.discard if current else self._outdated.add)(domain)
        self._merged = None

    def current(self) -> Iterator[tuple[str, hdc.Calibration]]:
        """Yield the domains whose calibration is current, with it."""
        return ((d, one) for d, one in self._parts.items() if d not in self._outdated)

    def outdate(self, domain: str, *, new: bool) -> None:
        """Note that facts of a domain have changed.  What was computed may serve on; a new domain
        may go without."""
        if new or domain in self._parts:
            self._outdated.add(domain)

    def drop(self, domain: str) -> None:
        """Drop a domain's calibration: facts that it was computed from are being forgotten."""
        if self._parts.pop(domain, None) is not None:
            self._merged = None
        self._outdated.discard(domain)

    def drop_outdated(self, *, waiting: bool) -> None:
        """Drop all outdated calibrations; see `SolvedHeads.drop_outdated`.  waiting: their domains
        go without until they are computed again."""
        outdated = tuple(self._outdated)
        for domain in outdated:
            self.drop(domain)
        if waiting:
            self._outdated.update(outdated)
            self._merged = None

    def lacks(self, domain: str) -> bool:
        """Return whether a domain goes without until its calibration is computed."""
        return domain in self._outdated and domain not in self._parts

    def clear(self) -> None:
        """Drop all."""
        self._parts.clear()
        self._outdated.clear()
        self._merged = None

    def missing(self, learned: Sequence[str], *, may_wait: bool) -> list[str]:
        """Return the learned domains whose calibration must be computed now.  may_wait: the last
        ones serve, and domains that are new since go without."""
        if may_wait:
            return [d for d in learned if d not in self._parts and d not in self._outdated]
        return [d for d in learned if d not in self._parts or d in self._outdated]

    def outdated(self, learned: Sequence[str]) -> list[str]:
        """Return the learned domains whose calibration is not current."""
        return self.missing(learned, may_wait=False)

    def merged(self, learned: tuple[str, ...], memory: hdc.Memory) -> hdc.Calibration:
        """Return the calibrations of the learned domains as one.  Cost: one pass over all scores
        after a change."""
        if self._merged is None or self._merged[0] != learned:
            for name in {*self._parts, *self._outdated}.difference(learned):
                self.drop(name)
            parts = [self._parts[name] for name in learned if name in self._parts]
            made = hdc.merge_calibrations(parts) if parts else hdc.calibrate(memory, ())
            self._merged = learned, made
        return self._merged[1]
