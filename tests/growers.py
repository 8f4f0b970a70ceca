"""Growers for tests: instant, without torch."""

from __future__ import annotations

import math
from collections.abc import Callable

from msgspec.structs import replace

import nas
from edge.core.adaptors.adaptor import standardising_arrays
from edge.core.adaptors.record import AdaptorRecord
from edge.core.adaptors.standardisation import standardise
from edge.core.jobs import GrowthJob, GrowthResult


def blueprint_of(job: GrowthJob) -> nas.Blueprint:
    """A blueprint of random features of every tap."""
    return nas.Blueprint(
        kind="random", taps=tuple(range(len(job.spans))), width=1024, activation="relu"
    )


def record_of(job: GrowthJob) -> AdaptorRecord:
    """A record of random features for a job: only its scales depend on the facts."""
    chosen = blueprint_of(job)
    arrays = standardising_arrays(chosen, standardise(job.own, job.others, job.spans), job.spans)
    facts = tuple(sorted({*job.own.ids, *job.others.ids}))
    own, seed = len(job.own), job.seed
    return AdaptorRecord(
        domain=job.domain,
        version=job.version,
        blueprint=chosen,
        arrays=arrays,
        facts=facts,
        own=own,
        seed=seed,
        accuracy=0.9,
        incumbent=0.8,
    )


def accept(job: GrowthJob) -> GrowthResult:
    """Accept an adaptor that is better."""
    other = nas.Blueprint(kind="linear", taps=(0,), width=8)
    tried = ((other, 0.1, 0.7), (blueprint_of(job), 0.5, 0.9))
    record = record_of(job)
    lines = ("12 blueprints fit", "2 were trained")
    return GrowthResult(
        job_id=job.id,
        domain=job.domain,
        record=record,
        reason="it does better",
        accuracy=0.9,
        incumbent=0.8,
        search=lines,
        candidates=tried,
    )


def refuse(job: GrowthJob) -> GrowthResult:
    """Reject every candidate."""
    return GrowthResult(
        job_id=job.id,
        domain=job.domain,
        record=None,
        reason="nothing does better",
        accuracy=0.8,
        incumbent=0.8,
    )


def refuse_unmeasured(job: GrowthJob) -> GrowthResult:
    """Find no blueprint within the budget, so that nothing is measured."""
    return GrowthResult(
        job_id=job.id,
        domain=job.domain,
        record=None,
        reason="nothing fits",
        accuracy=math.nan,
        incumbent=math.nan,
    )


def waver() -> Callable[[GrowthJob], GrowthResult]:
    """Return a grower whose results for the same job differ."""
    seeds = iter(range(1, 100))

    def grow(job: GrowthJob) -> GrowthResult:
        found = accept(job)
        record = record_of(job)
        changed = replace(record, seed=next(seeds))
        return GrowthResult(
            job_id=job.id,
            domain=job.domain,
            record=changed,
            reason=found.reason,
            accuracy=0.9,
            incumbent=0.8,
        )

    return grow
