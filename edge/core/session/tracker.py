"""Which domain a stream is in: a sequential test between the domains, with a margin and a dwell.

Each observation carries evidence for every other domain against the stream's own: by how much it is
nearer.  The evidence is summed from the last time that it favoured the stream's own domain (CUSUM,
Page 1954, "Continuous inspection schemes"), which is also the most likely change point.  All sums
are of integers.
"""

from collections.abc import Container
from typing import Final

import msgspec

import hdc

SPREAD: Final = 1_024
"""Novelty of one spread, in the detector's units."""

EVIDENCE_MAX: Final = 2 * SPREAD
"""Evidence of one observation at most, so that no single one moves a stream.  Chosen on the
development sets of docs/explanation/streams.md, like the next."""

MARGIN: Final = 12 * SPREAD
"""Evidence that moves a stream to another domain, once it has lasted for a window."""


class DomainTracker(msgspec.Struct):
    """Follows a stream's domain.

    domain: empty until the first window is full.  length: of it.  age: observations since the
    stream entered the domain.
    """

    length: int
    domain: str = ""
    age: int = 0
    _evidence: dict[str, int] = msgspec.field(default_factory=dict)
    _since: dict[str, int] = msgspec.field(default_factory=dict)

    def enter(self, domain: str) -> None:
        """Put the stream in a domain, without evidence for any other."""
        self.age = self.age if domain == self.domain else 0
        self.domain = domain
        self._evidence, self._since = {}, {}

    def update(self, novelties: dict[str, int]) -> str:
        """Add an observation's novelty to each domain; return the domain that the stream has moved
        to, "" if it has not.  The mover calls `enter` or `dismiss`."""
        self.age += 1
        evidence, since = self._evidence, self._since
        highest = hdc.gather(evidence, since, novelties, self.domain, EVIDENCE_MAX)
        if highest < MARGIN:
            return ""
        ready = [name for name, total in evidence.items() if total >= MARGIN]
        ready = [name for name in ready if since[name] >= self.length]
        return max(sorted(ready), key=evidence.__getitem__) if ready else ""

    @property
    def steady(self) -> bool:
        """True while no other domain has half of the evidence that moves the stream."""
        return 2 * max(self._evidence.values(), default=0) < MARGIN

    def since(self, domain: str) -> int:
        """Return the number of newest observations that favour a domain: since its change point."""
        return self._since.get(domain, 0)

    def dismiss(self, domain: str) -> None:
        """Halve the evidence for a domain: more must come before the stream moves there."""
        self._evidence[domain] //= 2

    def rename(self, old: str, new: str) -> None:
        """Rename a domain, or merge it into another."""
        if self.domain == old:
            self.enter(new)
        for held in (self._evidence, self._since):
            held.pop(old, None)

    def keep(self, names: Container[str]) -> None:
        """Drop the evidence for domains that are no longer compared."""
        for name in [name for name in self._evidence if name not in names]:
            del self._evidence[name], self._since[name]
