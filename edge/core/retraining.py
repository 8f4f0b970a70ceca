"""Training of a known blueprint again, after a forget: no search and no test.

The result is provisional: it equals, bit for bit, what the same blueprint gives on a device that
never held the forgotten facts.  Growth then judges the domain as if it had no such adaptor.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

import nas

from .adaptors import AdaptorRecord, Spans, build_transform, consistent_facts, solve_arrays
from .facts import FactBatch
from .jobs import GrowthJob, GrowthResult

CHECKED_FACTS: Final = 256
"""Facts that an adaptor must transform to finite numbers before it serves.  Chosen by hand; effect
not measured."""

OVERFLOW: Final = (np.linalg.LinAlgError, FloatingPointError)
"""Errors of a solve whose numbers leave the range of float32."""

Train = Callable[
    [nas.Blueprint, FactBatch, FactBatch, Spans, int], Mapping[str, NDArray[np.float32]]
]
"""Trains a blueprint on own and other facts, for an encoder's taps, from a seed."""


def train_again(job: GrowthJob, train: Train) -> GrowthResult:
    """Train the blueprint of a job on its facts: a provisional record, bit-equal to that of a
    device that never held other facts.

    train: `edge.growth.train_adaptor`, or `derive_arrays` for a solved kind.  A result whose
    numbers overflow has no record.  Cost: that of one training, 0.5 s of one core at most at 1,000
    facts of 2,064 columns.
    """
    assert job.blueprint is not None, "this job is to search"
    own, kind = consistent_facts(job.own), job.blueprint.kind
    try:
        with np.errstate(all="ignore"):
            arrays = train(job.blueprint, own, job.others, job.spans, job.seed)
    except OVERFLOW as error:
        return result_without_record(job, f"{kind}: its numbers overflow ({error})")
    record = AdaptorRecord(
        domain=job.domain,
        version=job.version,
        blueprint=job.blueprint,
        arrays=dict(arrays),
        facts=tuple(sorted(job.facts)),
        own=len(job.own),
        seed=job.seed,
        accuracy=math.nan,
        incumbent=math.nan,
        provisional=True,
    )
    if not _transforms_to_finite(record, job):
        return result_without_record(job, f"{kind}: its numbers do not stay finite")
    reason = f"{kind}: trained again on {len(job.own)} facts, provisional until growth judges it"
    return GrowthResult(
        job_id=job.id,
        domain=job.domain,
        record=record,
        reason=reason,
        accuracy=math.nan,
        incumbent=math.nan,
    )


def derive_arrays(
    blueprint: nas.Blueprint, own: FactBatch, others: FactBatch, spans: Spans, _seed: int
) -> dict[str, NDArray[np.float32]]:
    """Return the arrays of a solved kind, as `edge.growth.train_adaptor` does of every kind; see
    `solve_arrays`."""
    return solve_arrays(blueprint, own, others, spans)


def _transforms_to_finite(record: AdaptorRecord, job: GrowthJob) -> bool:
    """Return whether the inputs of the head are finite; the head is solved when it serves."""
    transform = build_transform(record, job.spans)
    with np.errstate(all="ignore"):
        return bool(np.isfinite(transform(job.own.features[:CHECKED_FACTS])).all())


def result_without_record(job: GrowthJob, reason: str) -> GrowthResult:
    """Return the result of a job that gave no adaptor, and why."""
    return GrowthResult(
        job_id=job.id,
        domain=job.domain,
        record=None,
        reason=reason,
        accuracy=math.nan,
        incumbent=math.nan,
    )
