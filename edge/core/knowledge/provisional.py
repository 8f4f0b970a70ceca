"""What forget requests have dropped, until it is derived again beside serving."""

from collections.abc import Iterable, Mapping
from typing import Final

import hdc

from ..facts import Concept

NO_CONCEPTS: Final[frozenset[Concept]] = frozenset()


class Provisional:
    """Parts that served and may not serve any more, and the concepts that are masked meanwhile.

    heads: domains whose adaptors were dropped.  router: whether it was.  stale: domains that the
    geometry in use may not serve, since facts of theirs shaped it.  pending: a request waits for
    what was dropped.
    """

    def __init__(self) -> None:
        self.heads: set[str] = set()
        self.router = False
        self.stale: frozenset[str] = frozenset()
        self.pending = False
        self._masked: hdc.Memory | None = None
        self._masked_keys = self._erased = NO_CONCEPTS

    @property
    def masking(self) -> bool:
        """Whether concepts are masked."""
        return self._masked is not None

    @property
    def masked_domains(self) -> frozenset[str]:
        """The domains of masked concepts."""
        return frozenset(domain for domain, _ in self._masked_keys | self._erased)

    def drop(self, heads: Iterable[str], *, router: bool) -> None:
        """Note what was dropped."""
        self.pending = True
        self.heads.update(heads)
        self.router = self.router or router

    def mask(self, memory: hdc.Memory, leaving: Mapping[Concept, int]) -> None:
        """Take concepts out of a memory.  leaving: how many of their facts are forgotten; sums of
        concepts that all facts leave are dropped at once."""
        counts = memory.counts
        whole = {key for key, count in leaving.items() if count == counts.get(key)}
        held = memory.take(leaving)
        held.take(whole)
        if self._masked is not None:
            held.merge(self._masked)
        self._masked = held
        self._masked_keys = self._masked_keys | (leaving.keys() & counts.keys()) - whole
        self._erased = self._erased | whole

    def masks(self, concept: Concept) -> bool:
        """Return whether the sums of a concept are masked."""
        return concept in self._masked_keys

    def erased(self, concept: Concept) -> bool:
        """Return whether a concept was dropped at once, with facts that the ledger still holds."""
        return concept in self._erased

    def subtract(self, concept: Concept, codes: hdc.Codes) -> None:
        """Subtract facts from a masked concept."""
        assert self._masked is not None, "something is masked"
        self._masked.remove(*concept, codes)

    def unmask(self, memory: hdc.Memory) -> None:
        """Give the concepts back, without the facts subtracted meanwhile."""
        if self._masked is not None:
            memory.merge(self._masked)
        self._masked, self._masked_keys, self._erased = None, NO_CONCEPTS, NO_CONCEPTS
