"""Heads solved from facts, cached until a fact changes what they are solved from.

An adaptor follows from its facts alone, so it does not matter where or when it is solved: one
solved in the background is used only if its facts have not changed meanwhile.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from .. import limits
from ..adaptors import Adaptor, AdaptorRecord, Spans, fit_adaptor
from ..facts import FactBatch, Rank, SampleScope, scope_of

Scopes = tuple[SampleScope, SampleScope]


@dataclass(frozen=True, slots=True, eq=False)
class HeadFit:
    """Everything that determines a domain's adaptor.

    own, others: facts of the domain and of the others.  record: from growth, if any.  spans: of the
    encoder's taps.
    """

    domain: str
    own: FactBatch = field(repr=False)
    others: FactBatch = field(repr=False)
    record: AdaptorRecord | None
    spans: Spans

    def solve(self) -> Adaptor:
        """Solve the adaptor; in any thread.  Cost: see `adaptors.solve_head` and `solve_kernel`."""
        return fit_adaptor(self.own, self.others, self.record, self.spans)

    def is_based_on(self, record: AdaptorRecord | None) -> bool:
        """Return whether this fit is on top of the given record, or of none if None."""
        if self.record is None or record is None:
            return self.record is record
        return self.record.digest == record.digest

    @property
    def scopes(self) -> Scopes:
        """Which facts of the domain, and of the others, change the result."""
        own = scope_of(self.own, limits.HEAD_FACTS_MAX)
        return own, scope_of(self.others, limits.SUPPORT_FACTS_MAX)


class SolvedHeads:
    """Cache of adaptors by domain; a fact that changes an adaptor's inputs drops it."""

    def __init__(self) -> None:
        self._solved: dict[str, tuple[Adaptor, Scopes]] = {}
        self._used: dict[str, None] = {}
        self._expected: tuple[HeadFit, Scopes] | None = None

    def get(self, domain: str) -> Adaptor | None:
        """Return a domain's adaptor if it is solved, and record its use."""
        found = self._solved.get(domain)
        if found is None:
            return None
        self._used.pop(domain, None)
        self._used[domain] = None
        return found[0]

    def store(self, domain: str, adaptor: Adaptor, scopes: Scopes) -> None:
        """Store an adaptor that was solved for use."""
        self._solved[domain] = adaptor, scopes
        self._used[domain] = None

    def missing(self) -> Iterator[str]:
        """Yield the domains whose adaptors were used and must be solved again, the most recently
        used first."""
        return (domain for domain in reversed(self._used) if domain not in self._solved)

    def expect(self, fit: HeadFit) -> HeadFit:
        """Track changes of facts while a fit is solved in the background; replaces the fit expected
        before."""
        self._expected = fit, fit.scopes
        return fit

    def accept(self, fit: HeadFit, adaptor: Adaptor | None) -> None:
        """Store an adaptor solved in the background, if it was expected, its facts have not
        changed, and none is stored.  The domain is solved in the background again only after its
        next use."""
        expected, self._expected = self._expected, None
        if fit.domain in self._solved:
            return
        self._used.pop(fit.domain, None)
        if adaptor is not None and expected is not None and expected[0] is fit:
            self._solved[fit.domain] = adaptor, expected[1]

    def change(self, domain: str, rank: Rank) -> None:
        """Drop the adaptors that a fact of this domain and rank, added or removed, changes."""
        for name, (_, scopes) in tuple(self._solved.items()):
            if scopes[name != domain].changes(rank):
                del self._solved[name]
        if self._expected is not None:
            fit, scopes = self._expected
            if scopes[fit.domain != domain].changes(rank):
                self._expected = None

    def drop(self, domain: str) -> None:
        """Drop a domain's adaptor."""
        self._solved.pop(domain, None)

    def clear(self) -> None:
        """Drop all adaptors, and the fit expected."""
        self._solved.clear()
        self._expected = None
