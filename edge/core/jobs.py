"""What leaves the core to be grown elsewhere, and what comes back."""

from dataclasses import dataclass, field

import nas

from .adaptors import AdaptorRecord
from .facts import FactBatch


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class GrowthJob:
    """Everything a worker needs to search, train and judge an adaptor; nothing else reaches it.

    own: facts of the domain; others: support from the other domains.  spans: (start, stop) columns
    of the encoder's taps.  incumbent: the record that serves the domain now, if any; the head
    alone competes always.  reusable: records that serve other domains: one that does as well is
    taken over rather than grown again.
    """

    id: str
    domain: str
    version: int
    seed: int
    budget: nas.AdaptorBudget
    spans: tuple[tuple[int, int], ...]
    own: FactBatch = field(repr=False)
    others: FactBatch = field(repr=False)
    incumbent: AdaptorRecord | None = None
    reusable: tuple[AdaptorRecord, ...] = ()

    @property
    def facts(self) -> frozenset[str]:
        """Ids of all facts whose features travel with the job: forgetting one ends it."""
        records = (r for r in (self.incumbent, *self.reusable) if r is not None)
        return frozenset((*self.own.ids, *self.others.ids, *(i for r in records for i in r.facts)))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class GrowthResult:
    """What became of a job: a record that beats what serves, or the reason why there is none.

    accuracy, incumbent: on the held-out facts, best candidate and what serves now; NaN where it
    did not come to that.  search: one line a stage, for people.  candidates: the blueprints tried,
    each with its score in the search and its held-out accuracy.
    """

    job_id: str
    domain: str
    record: AdaptorRecord | None
    reason: str
    accuracy: float
    incumbent: float
    search: tuple[str, ...] = ()
    candidates: tuple[tuple[nas.Blueprint, float, float], ...] = ()
