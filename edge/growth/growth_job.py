"""A growth job: search, training and acceptance test.  The result is a record or a reason."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from msgspec.structs import replace

import nas

from ..core import (
    OVERFLOW,
    GrowthJob,
    GrowthResult,
    result_without_record,
    train_again,
)
from ..core.adaptors import AdaptorRecord, fit_adaptor, is_better
from .acceptance import (
    HoldoutSplit,
    ScoredCandidate,
    choose_candidate,
    contradicted_labels,
    is_accepted,
    score_blueprint,
    score_default,
    score_head,
    score_record,
    screen_candidates,
    split_holdout,
)
from .adaptor_training import train_adaptor
from .search import SearchProposal, propose_blueprints

CHECKED_FACTS: Final = 256
"""Facts that an adaptor must score with finite numbers before it is accepted.  Chosen by hand;
effect not measured."""

LABELS_MIN: Final = 2
"""Fewest labels: with one there is nothing to predict."""
HELD_MIN: Final = 8
"""Fewest held-out facts for a test: a single one must not decide it.  Chosen by hand; effect not
measured."""

REUSE_EVIDENCE: Final = 1.64
"""Standard errors by which the best candidate must be better than another domain's adaptor to be
trained instead: the usual one-sided 5 %."""

NAMED: Final = 10
"""Facts listed as worth checking: as many as fit a few lines."""


@dataclass(slots=True)
class _GrowthTrace:
    """Log lines with the facts that they name, and trained candidates, for the report."""

    lines: list[str] = field(default_factory=list)
    named: tuple[str, ...] = ()
    tried: list[tuple[nas.Blueprint, float, float]] = field(default_factory=list)


def grow_adaptor(job: GrowthJob, device: nas.DeviceSpeed | None = None) -> GrowthResult:
    """Search, train and test an adaptor for a domain; the same job and device give the same result.

    Every fact of the domain is held out once (cross-validation over folds by id hash within each
    label).  The chosen candidate is accepted only if choosing one, on other facts than it is
    evaluated on, is expected to answer more held-out facts correctly than the incumbent, by more
    than the test allows (`is_accepted`).
    device: speed of the serving device, for the latency budget; measured here by default.  Bad
    facts raise nothing: a single label, too few facts, contradicting labels and a budget too small
    for any blueprint give a result with a reason.  A job that names a blueprint only trains that
    one.  Cost: a few seconds of one core.
    """
    if job.blueprint is not None:
        return train_again(job, train_adaptor)
    trace = _GrowthTrace()
    parts = split_holdout(job.own, job.others)
    if parts.contradictions:
        trace.lines.append(f"{parts.contradictions} facts left out: same features, other labels")
    obstacle = _obstacle(parts)
    if obstacle:
        return _result(job, trace, obstacle)
    found = propose_blueprints(job, parts.own, device)
    if isinstance(found, nas.NoFit):
        return _result(job, trace, found.reason)
    trace.lines += found.lines
    serving = _score_incumbent(job, parts)
    contradicted = contradicted_labels(serving.held_out, parts)
    if contradicted:
        trace.named = tuple(contradicted[:NAMED])
        named = ", ".join(trace.named)
        count = "1 label" if len(contradicted) == 1 else f"{len(contradicted)} labels"
        trace.lines.append(f"{count} worth checking, these first: {named}")
    scored = list(_candidates(job, parts, trace, found))
    scored += [score_record(record, job, parts) for record in job.reusable]
    if not scored:
        return _result(job, trace, f"no candidate can be judged; {trace.lines[-1]}")
    return _decide(job, parts, trace, serving, scored)


def _candidates(
    job: GrowthJob, parts: HoldoutSplit, trace: _GrowthTrace, found: SearchProposal
) -> Iterator[ScoredCandidate]:
    """Yield the scored candidates; those whose numbers overflow are logged and left out."""
    for blueprint, proxy in zip(found.blueprints, found.scores, strict=True):
        try:
            with np.errstate(all="ignore"):
                scored = score_blueprint(blueprint, train_adaptor, job, parts)
        except OVERFLOW as error:
            trace.lines.append(f"{blueprint}: left out, its numbers overflow ({error})")
            continue
        trace.tried.append((blueprint, proxy, scored.accuracy))
        yield scored


def _obstacle(parts: HoldoutSplit) -> str:
    """Return why the facts are not enough for a test, or an empty string."""
    labels = len(set(parts.own.labels))
    if labels < LABELS_MIN:
        return f"expected {LABELS_MIN} labels or more, found {labels}"
    if parts.held < HELD_MIN:
        return f"expected {HELD_MIN} facts to hold out or more, found {parts.held}"
    return ""


def _score_incumbent(job: GrowthJob, parts: HoldoutSplit) -> ScoredCandidate:
    """Score the incumbent: its record, or else the default."""
    if job.incumbent is None:
        return score_default(job, parts)
    return score_record(job.incumbent, job, parts)


def _decide(
    job: GrowthJob,
    parts: HoldoutSplit,
    trace: _GrowthTrace,
    serving: ScoredCandidate,
    scored: list[ScoredCandidate],
) -> GrowthResult:
    best = _choose(scored, serving)
    significant = is_accepted(screen_candidates(scored, parts), serving.held_out, parts)
    head = serving if job.incumbent is None else score_head(job, parts)
    if head is not serving and head.accuracy >= best.accuracy:
        best, significant = head, is_accepted(head.held_out, serving.held_out, parts)
    result = _result(job, trace, "")
    result = replace(result, accuracy=best.accuracy, incumbent=serving.accuracy)
    change = f"{best.blueprint.kind}: {serving.accuracy:.1%} to {best.accuracy:.1%} held out"
    if not significant:
        return replace(result, reason=f"{change}, no more than chance explains")
    record = _record(job, parts, best, serving)
    if not _stays_finite(record, job):
        return replace(result, reason=f"{change}, but trained on all facts it does not stay finite")
    return replace(result, reason=change, record=record)


def _choose(scored: list[ScoredCandidate], serving: ScoredCandidate) -> ScoredCandidate:
    """Return the best candidate, or a record of another domain that does as well without
    training."""
    best = scored[choose_candidate([one.held_out for one in scored])]
    reusable = [
        one
        for one in scored
        if one.record and not is_better(best.held_out, one.held_out, REUSE_EVIDENCE)
    ]
    reusable = [one for one in reusable if is_better(one.held_out, serving.held_out)]
    return max(reusable, key=lambda one: one.held_out.expected, default=best)


def _record(
    job: GrowthJob, parts: HoldoutSplit, best: ScoredCandidate, serving: ScoredCandidate
) -> AdaptorRecord:
    """Train the best blueprint on all facts, or reuse a record of another domain.  All records that
    competed had a say in the choice, and with them the facts that shaped them."""
    if best.record is not None:
        arrays = best.record.arrays
    else:
        arrays = train_adaptor(best.blueprint, parts.own, job.others, job.spans, job.seed)
    return AdaptorRecord(
        domain=job.domain,
        version=job.version,
        blueprint=best.blueprint,
        arrays=dict(arrays),
        facts=tuple(sorted(job.facts)),
        own=len(job.own),
        seed=job.seed,
        accuracy=best.accuracy,
        incumbent=serving.accuracy,
    )


def _stays_finite(record: AdaptorRecord, job: GrowthJob) -> bool:
    """Return whether the adaptor that would serve gives finite scores."""
    try:
        with np.errstate(all="ignore"):
            adaptor = fit_adaptor(job.own, job.others, record, job.spans)
            given = adaptor.answer(job.own.features[:CHECKED_FACTS])
    except OVERFLOW:
        return False
    return bool(np.isfinite(given).all())


def _result(job: GrowthJob, trace: _GrowthTrace, reason: str) -> GrowthResult:
    found = result_without_record(job, reason)
    return replace(
        found, search=tuple(trace.lines), candidates=tuple(trace.tried), named=trace.named
    )
