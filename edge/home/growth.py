"""Growth on request: search and train an adaptor now, list the adaptors, roll back."""

import math
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
"""Called regularly while a domain's worker runs, with the domain."""

BEAT_S: Final = 0.05
"""Seconds between calls of `Beat`: twenty updates a second look smooth in a terminal."""


@dataclass(frozen=True, slots=True)
class GrowthTrial:
    """A trained blueprint: its zero-shot score in the search, and its accuracy on held-out
    facts."""

    blueprint: str
    score: float
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthOutcome:
    """The outcome of a domain's growth.  state: as in `GrowthReport`.  accuracy, incumbent: on
    held-out facts, of the best candidate and of the adaptor before; NaN if none was trained."""

    domain: str
    state: str
    version: int
    accuracy: float
    incumbent: float
    reason: str
    seconds: float
    search: tuple[str, ...] = ()
    candidates: tuple[GrowthTrial, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptorSummary:
    """A version of a domain's adaptor, or (version 0) its head alone.  nbytes, and operations per
    sample: of adaptor and head together; 0 for a version that does not serve.  provisional: trained
    again after a forget, and not judged by growth yet; its accuracy is unknown."""

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
    provisional: bool = False


def grow_domain(home: Home, domain: str, beat: Beat) -> GrowthOutcome:
    """Search and train an adaptor for a domain now, and install it if it is better.

    Raises EdgeError if the domain cannot be grown at all.  Cost: up to `growth.seconds_max`.
    """
    accepted(home.feed(GrowRequest(domain)))
    return _finish(home, beat)


def grow_due(home: Home, beat: Beat) -> Iterator[GrowthOutcome]:
    """Grow every domain that has enough new facts, one after the other.  Raises EdgeError if
    nothing can be grown."""
    if home.heads_only:
        raise EdgeError(f"growing: {home.heads_only}", "the learned facts are kept")
    while True:
        home.feed(Tick())
        if home.worker.job is None:
            return
        yield _finish(home, beat)


def make_again(home: Home, beat: Beat) -> Iterator[GrowthOutcome]:
    """Make the adaptors again that a forget has ended, one after the other, and nothing else.  A
    daemon does so at its next tick."""
    while home.store.pending_adaptors():
        home.feed(Tick())
        if home.worker.job is not None:
            yield _finish(home, beat)


def list_adaptors(home: Home) -> tuple[AdaptorSummary, ...]:
    """Return every domain's versions, newest first; for a domain without any, its head."""
    kept = home.store.adaptors()
    domains = sorted({*home.runtime.knowledge.domains, *kept})
    return tuple(row for name in domains for row in _summaries(home, name, kept.get(name, ())))


def roll_back(home: Home, domain: str) -> GrowthReport:
    """Reinstate the previous version, or the head alone.  Raises EdgeError without an adaptor to
    remove."""
    messages = accepted(home.feed(Rollback(domain)))
    (report,) = (one for one in messages if isinstance(one, GrowthReport))
    return report


def _finish(home: Home, beat: Beat) -> GrowthOutcome:
    """Wait for the worker, and install its result if it is better."""
    started, job = time.monotonic(), home.worker.job
    result = home.worker.poll()
    while result is None:
        time.sleep(BEAT_S)
        beat(job.domain if job else "")
        result = home.worker.poll()
    seconds = time.monotonic() - started
    reports = [one for one in home.feed(GrowthFinished(result)) if isinstance(one, GrowthReport)]
    return _outcome(result, reports[-1], seconds)


def _outcome(result: GrowthResult, report: GrowthReport, seconds: float) -> GrowthOutcome:
    return GrowthOutcome(
        domain=result.domain,
        state=report.state,
        version=report.version,
        accuracy=result.accuracy,
        incumbent=result.incumbent,
        reason=report.detail,
        seconds=seconds,
        search=result.search,
        candidates=tuple(
            GrowthTrial(str(blueprint), score, accuracy)
            for blueprint, score, accuracy in result.candidates
        ),
    )


def _summaries(
    home: Home, domain: str, kept: tuple[AdaptorRecord, ...]
) -> Iterator[AdaptorSummary]:
    known = home.runtime.knowledge
    serving = known.adaptor(domain) if domain in known.learned else None
    if not kept:
        yield AdaptorSummary(
            domain=domain,
            version=0,
            kind="none",
            blueprint="head alone",
            nbytes=serving.nbytes if serving else 0,
            operations=serving.operations if serving else 0,
            facts=sum(n for (name, _), n in home.store.concepts().items() if name == domain),
            accuracy=None,
            incumbent=None,
            digest="",
            serves=True,
        )
    for record in kept:
        active = serving if record is kept[0] else None
        yield AdaptorSummary(
            domain=domain,
            version=record.version,
            kind=record.blueprint.kind,
            blueprint=record.blueprint.details,
            nbytes=active.nbytes if active else 0,
            operations=active.operations if active else 0,
            facts=record.own,
            accuracy=None if math.isnan(record.accuracy) else record.accuracy,
            incumbent=None if math.isnan(record.incumbent) else record.incumbent,
            digest=record.digest,
            serves=active is not None,
            provisional=record.provisional,
        )
