"""What the verbs of growth do: search and train an adaptor now, list what serves, roll back."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from ..core import (
    EdgeError,
    GrowRequest,
    GrowthFinished,
    GrowthReport,
    GrowthResult,
    Rollback,
    Tick,
    accepted,
)
from ..core.adaptors import AdaptorRecord
from .home import Home

Beat = Callable[[str], None]
"""Called now and then while a domain's worker runs, with the domain."""

BEAT_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class GrowthTrial:
    """A blueprint that was trained: what the search promised, and accuracy on held-out facts."""

    blueprint: str
    score: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class GrowthOutcome:
    """What became of a domain's growth.  state: as in `GrowthReport`; accuracy, incumbent: on
    held-out
    facts, of the best candidate and of what served before, NaN where it did not come to that."""

    domain: str
    state: str
    version: int
    accuracy: float
    incumbent: float
    reason: str
    seconds: float
    search: tuple[str, ...] = ()
    candidates: tuple[GrowthTrial, ...] = ()


@dataclass(frozen=True, slots=True)
class AdaptorSummary:
    """A version of a domain's adaptor, or (version 0) its head alone.  nbytes and operations, a
    sample, are those of adaptor and head together; of a version that does not serve, 0."""

    domain: str
    version: int
    kind: str
    blueprint: str
    nbytes: int
    operations: int
    facts: int
    accuracy: float | None
    incumbent: float | None
    digest: str
    serves: bool


def grow_domain(home: Home, domain: str, beat: Beat) -> GrowthOutcome:
    """Search and train an adaptor for a domain now, and install it where it is better.

    Raises EdgeError where the domain cannot be grown at all.  Cost: up to `growth.seconds_max`.
    """
    accepted(home.feed(GrowRequest(domain)))
    return _finish(home, beat)


def grow_due(home: Home, beat: Beat) -> Iterator[GrowthOutcome]:
    """Grow every domain that has enough new facts, one after the other.  Raises EdgeError where
    nothing can be grown."""
    if home.heads_only:
        raise EdgeError(f"growing: {home.heads_only}", "what was learned is kept")
    while True:
        home.feed(Tick())
        if home.worker.job is None:
            return
        yield _finish(home, beat)


def list_adaptors(home: Home) -> tuple[AdaptorSummary, ...]:
    """Return every domain's versions, newest first; a domain without any shows its head."""
    kept = home.store.adaptors()
    domains = sorted({*home.runtime.knowledge.domains, *kept})
    return tuple(row for name in domains for row in _shown(home, name, kept.get(name, ())))


def roll_back(home: Home, domain: str) -> GrowthReport:
    """Let the version before serve again, or the head alone.  Raises EdgeError where there is no
    adaptor to take away."""
    answer = accepted(home.feed(Rollback(domain)))
    (said,) = (one for one in answer if isinstance(one, GrowthReport))
    return said


def _finish(home: Home, beat: Beat) -> GrowthOutcome:
    """Wait for the worker, and take in what it brings."""
    started, job = time.monotonic(), home.worker.job
    result = home.worker.poll()
    while result is None:
        time.sleep(BEAT_S)
        beat(job.domain if job else "")
        result = home.worker.poll()
    seconds = time.monotonic() - started
    news = [one for one in home.feed(GrowthFinished(result)) if isinstance(one, GrowthReport)]
    return _outcome(result, news[-1], seconds)


def _outcome(result: GrowthResult, news: GrowthReport, seconds: float) -> GrowthOutcome:
    tried = (
        GrowthTrial(str(blueprint), score, accuracy)
        for blueprint, score, accuracy in result.candidates
    )
    return GrowthOutcome(
        result.domain,
        news.state,
        news.version,
        result.accuracy,
        result.incumbent,
        news.detail,
        seconds,
        result.search,
        tuple(tried),
    )


def _shown(home: Home, domain: str, kept: tuple[AdaptorRecord, ...]) -> Iterator[AdaptorSummary]:
    known = home.runtime.knowledge
    serving = known.adaptor(domain) if domain in known.learned else None
    cost = (serving.nbytes, serving.operations) if serving else (0, 0)
    if not kept:
        facts = sum(n for (name, _), n in home.store.concepts().items() if name == domain)
        yield AdaptorSummary(
            domain, 0, "none", "head alone", *cost, facts, None, None, "", serves=True
        )
    for record in kept:
        serves = record is kept[0] and serving is not None
        yield AdaptorSummary(
            domain,
            record.version,
            record.blueprint.kind,
            record.blueprint.details,
            *(cost if serves else (0, 0)),
            record.own,
            record.accuracy,
            record.incumbent,
            record.digest,
            serves=serves,
        )
