"""Growth jobs for a worker, and their results."""

import nas

from .adaptors import SOLVED_KINDS, AdaptorRecord
from .facts import FactBatch
from .structs import FrozenStruct


class GrowthJob(FrozenStruct, frozen=True, eq=False, kw_only=True):
    """Everything a worker needs to search, train and evaluate an adaptor for a domain.

    own: facts of the domain; others: facts of the other domains.  spans: (start, stop) columns of
    the encoder's taps.  incumbent: the record that serves the domain now, if any; the head alone
    always competes.  reusable: records that serve other domains; one that does as well is reused
    instead of a new one.  blueprint: train this one again, without a search and without a test: a
    forget has ended the adaptor that it was accepted as.  history: scores of earlier growths to
    search by (`nas.score_bidirectional`); none by default, since the result then depends on them.
    """

    id: str
    domain: str
    version: int
    seed: int
    budget: nas.AdaptorBudget
    spans: tuple[tuple[int, int], ...]
    own: FactBatch
    others: FactBatch
    incumbent: AdaptorRecord | None = None
    reusable: tuple[AdaptorRecord, ...] = ()
    blueprint: nas.Blueprint | None = None
    history: "tuple[nas.TaskScores, ...]" = ()

    @property
    def solved(self) -> bool:
        """True if the job only derives an adaptor in closed form: no worker process is needed."""
        return self.blueprint is not None and self.blueprint.kind in SOLVED_KINDS

    @property
    def facts(self) -> frozenset[str]:
        """Ids of all facts that have a say in the result: those that the job holds features of, and
        those that shaped the records and the scores in it.  Forgetting one cancels it."""
        records = (r for r in (self.incumbent, *self.reusable) if r is not None)
        shaped = [*(one.facts for one in records), *(one.facts for one in self.history)]
        return frozenset((*self.own.ids, *self.others.ids, *(i for ids in shaped for i in ids)))


class GrowthResult(FrozenStruct, frozen=True, eq=False, kw_only=True):
    """The result of a job: a record that beats the incumbent, or the reason why there is none.

    accuracy, incumbent: held-out accuracy of the best candidate and of the incumbent; NaN if not
    evaluated.  search: one line per stage, for people.  candidates: the blueprints tried, each with
    its search score and held-out accuracy.  named: facts that `search` or `reason` names.
    """

    job_id: str
    domain: str
    record: AdaptorRecord | None
    reason: str
    accuracy: float
    incumbent: float
    search: tuple[str, ...] = ()
    candidates: tuple[tuple[nas.Blueprint, float, float], ...] = ()
    named: tuple[str, ...] = ()
