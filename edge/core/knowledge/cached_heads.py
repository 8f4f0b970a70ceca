"""Adaptors that are solved, and what would change each; solving one apart from its ledger.

An adaptor follows from its facts alone, so it does not matter who solves it, nor when: what is
solved beside serving counts only while the facts are still the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from .. import limits
from ..adaptors import Adaptor, AdaptorRecord, Spans, fit_adaptor
from ..facts import FactBatch
from .sampling import Rank, SampleScope, scope_of

Reaches = tuple[SampleScope, SampleScope]


@dataclass(frozen=True, slots=True, eq=False)
class HeadFit:
    """All that a domain's adaptor follows from: its facts, the others', what growth found for it
    (`record`), the encoder's taps."""

    domain: str
    own: FactBatch = field(repr=False)
    others: FactBatch = field(repr=False)
    record: AdaptorRecord | None
    spans: Spans

    def solve(self) -> Adaptor:
        """Solve the adaptor; in any thread.  Cost: see `adaptors.solve_head` and `solve_kernel`."""
        return fit_adaptor(self.own, self.others, self.record, self.spans)

    def rests_on(self, record: AdaptorRecord | None) -> bool:
        """Say whether it is on top of this record, or on none as well."""
        if self.record is None or record is None:
            return self.record is record
        return self.record.digest == record.digest

    @property
    def reaches(self) -> Reaches:
        """Which facts of the domain, and of others, change what is solved."""
        own = scope_of(self.own, limits.HEAD_FACTS_MAX)
        return own, scope_of(self.others, limits.SUPPORT_FACTS_MAX)


class SolvedHeads:
    """Adaptors by domain, dropped where a fact changes what they follow from."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[Adaptor, Reaches]] = {}
        self._asked: dict[str, None] = {}
        self._expected: tuple[HeadFit, Reaches] | None = None

    def get(self, domain: str) -> Adaptor | None:
        """Return a domain's adaptor if it is solved, and remember that it was asked for."""
        held = self._held.get(domain)
        if held is None:
            return None
        self._asked.pop(domain, None)
        self._asked[domain] = None
        return held[0]

    def put(self, domain: str, adaptor: Adaptor, reaches: Reaches) -> None:
        """Keep an adaptor that was asked for and solved."""
        self._held[domain] = adaptor, reaches
        self._asked[domain] = None

    def missed(self) -> Iterator[str]:
        """Yield the domains that were asked for, after they had been solved, and are to be solved
        again; the one asked for last first."""
        return (domain for domain in reversed(self._asked) if domain not in self._held)

    def expect(self, fitting: HeadFit) -> HeadFit:
        """Watch over facts while an adaptor is solved from them elsewhere; the one before is no
        longer expected."""
        self._expected = fitting, fitting.reaches
        return fitting

    def settle(self, fitting: HeadFit, adaptor: Adaptor | None) -> None:
        """Keep what was solved elsewhere, if it was expected, no fact has changed it since, and it
        is not there already.  It is solved beside again only once it has been asked for."""
        expected, self._expected = self._expected, None
        if fitting.domain in self._held:
            return
        self._asked.pop(fitting.domain, None)
        if adaptor is not None and expected is not None and expected[0] is fitting:
            self._held[fitting.domain] = adaptor, expected[1]

    def change(self, domain: str, place: Rank) -> None:
        """Drop what a fact of this domain and rank, come or gone, changes."""
        for name, (_, reaches) in tuple(self._held.items()):
            if reaches[name != domain].changes(place):
                del self._held[name]
        if self._expected is not None:
            fitting, reaches = self._expected
            if reaches[fitting.domain != domain].changes(place):
                self._expected = None

    def drop(self, domain: str) -> None:
        """Drop a domain's adaptor: another version of it serves from now on."""
        self._held.pop(domain, None)

    def clear(self) -> None:
        """Drop all that is solved or expected."""
        self._held.clear()
        self._expected = None
