"""One job of growth: search, train, judge.  What comes out is a record, or the reason for none."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

import nas

from ..core import GrowthJob, GrowthResult
from ..core.adaptors import AdaptorRecord, fit_adaptor
from .acceptance import (
    HoldoutSplit,
    ScoredCandidate,
    contradicted_labels,
    is_significantly_better,
    score_blueprint,
    score_head,
    score_record,
    screen_candidates,
    split_holdout,
)
from .adaptor_training import train_adaptor
from .search import SearchProposal, propose_blueprints

LABELS_MIN: Final = 2
HELD_MIN: Final = 8
"""Fewest held-out facts on which a difference is worth looking at."""

ANSWERED: Final = 256
"""Facts that an adaptor has to answer with finite numbers before it is handed out."""

NAMED: Final = 10
"""Facts named as worth checking."""

NONE: Final = float("nan")

OVERFLOW: Final = (np.linalg.LinAlgError, FloatingPointError)


@dataclass(slots=True)
class _GrowthTrace:
    """What happened so far, for people."""

    lines: list[str] = field(default_factory=list)
    tried: list[tuple[nas.Blueprint, float, float]] = field(default_factory=list)


def grow_adaptor(job: GrowthJob, device: nas.DeviceSpeed | None = None) -> GrowthResult:
    """Search, train and judge an adaptor for a domain; the same job and device, the same result.

    Every fact of the domain is held out once (cross-fitting over folds made by id hash within each
    label).  The best candidate is accepted only if choosing the best, by other facts than those it
    is judged on, gets more held-out facts right than what serves now and has a smaller loss by
    more than chance.
    device: speed of the one that will serve, to keep the budget's milliseconds; timed here where
    not given.  Raises nothing for bad facts: one label only, too few facts, contradicting labels
    and a budget that nothing fits come back as reasons.  Cost: a few seconds of one core.
    """
    story = _GrowthTrace()
    parts = split_holdout(job.own, job.others)
    if parts.contradictions:
        story.lines.append(f"{parts.contradictions} facts left out: same features, other labels")
    flaw = _flaw(parts)
    if flaw:
        return _result(job, story, flaw)
    found = propose_blueprints(job, parts.own, device)
    if isinstance(found, nas.NoFit):
        return _result(job, story, found.reason)
    story.lines += found.lines
    serving = _serving(job, parts)
    doubtful = contradicted_labels(serving.marks, parts)
    if doubtful:
        named = ", ".join(doubtful[:NAMED])
        count = "1 label" if len(doubtful) == 1 else f"{len(doubtful)} labels"
        story.lines.append(f"{count} worth checking, these first: {named}")
    scored = list(_candidates(job, parts, story, found))
    scored += [score_record(record, job, parts) for record in job.reusable]
    if not scored:
        return _result(job, story, f"no candidate can be judged; {story.lines[-1]}")
    return _judge(job, parts, story, serving, scored)


def _candidates(
    job: GrowthJob, parts: HoldoutSplit, story: _GrowthTrace, found: SearchProposal
) -> Iterator[ScoredCandidate]:
    """Yield the candidates with their marks; one whose numbers overflow is told, and left out."""
    for blueprint, proxy in zip(found.blueprints, found.scores, strict=True):
        try:
            with np.errstate(all="ignore"):
                scored = score_blueprint(blueprint, train_adaptor, job, parts)
        except OVERFLOW as error:
            story.lines.append(f"{blueprint}: left out, its numbers overflow ({error})")
            continue
        story.tried.append((blueprint, proxy, scored.accuracy))
        yield scored


def _flaw(parts: HoldoutSplit) -> str:
    """Say why a domain's facts are not enough to judge anything by, or nothing."""
    labels = len(set(parts.own.labels))
    if labels < LABELS_MIN:
        return f"expected {LABELS_MIN} labels or more, found {labels}"
    if parts.held < HELD_MIN:
        return f"expected {HELD_MIN} facts to hold out or more, found {parts.held}"
    return ""


def _serving(job: GrowthJob, parts: HoldoutSplit) -> ScoredCandidate:
    """Score what serves now; without a record that is the head alone."""
    if job.incumbent is None:
        return score_head(job, parts)
    return score_record(job.incumbent, job, parts)


def _judge(
    job: GrowthJob,
    parts: HoldoutSplit,
    story: _GrowthTrace,
    serving: ScoredCandidate,
    scored: list[ScoredCandidate],
) -> GrowthResult:
    best = _choose(scored, serving)
    proven = is_significantly_better(screen_candidates(scored, parts), serving.marks)
    head = serving if job.incumbent is None else score_head(job, parts)
    if head is not serving and head.accuracy >= best.accuracy:
        best, proven = head, is_significantly_better(head.marks, serving.marks)
    told = _result(job, story, "")
    told = replace(told, accuracy=best.accuracy, incumbent=serving.accuracy)
    change = f"{best.blueprint.kind}: {serving.accuracy:.1%} to {best.accuracy:.1%} held out"
    if not proven or best.accuracy <= serving.accuracy:
        return replace(told, reason=f"{change}, no more than chance explains")
    record = _record(job, parts, best, serving)
    if not _answers(record, job):
        return replace(told, reason=f"{change}, but trained on all facts it does not stay finite")
    return replace(told, reason=change, record=record)


def _choose(scored: list[ScoredCandidate], serving: ScoredCandidate) -> ScoredCandidate:
    """Return the best, or a record of another domain that does as well and need not be grown."""
    best = min(scored, key=lambda one: float(one.marks.loss.sum()))
    ready = [
        one for one in scored if one.record and not is_significantly_better(best.marks, one.marks)
    ]
    ready = [one for one in ready if is_significantly_better(one.marks, serving.marks)]
    return min(ready, key=lambda one: float(one.marks.loss.sum()), default=best)


def _record(
    job: GrowthJob, parts: HoldoutSplit, best: ScoredCandidate, serving: ScoredCandidate
) -> AdaptorRecord:
    """Train the best blueprint on all facts, or take a record of another domain over."""
    if best.record is not None:
        arrays, shaped = best.record.arrays, best.record.facts
    else:
        arrays = train_adaptor(best.blueprint, parts.own, job.others, job.spans, job.seed)
        shaped = job.others.ids
    facts = tuple(sorted({*job.own.ids, *shaped}))
    return AdaptorRecord(
        domain=job.domain,
        version=job.version,
        blueprint=best.blueprint,
        arrays=dict(arrays),
        facts=facts,
        own=len(job.own),
        seed=job.seed,
        accuracy=best.accuracy,
        incumbent=serving.accuracy,
    )


def _answers(record: AdaptorRecord, job: GrowthJob) -> bool:
    """Say whether what would serve answers with finite numbers."""
    try:
        with np.errstate(all="ignore"):
            adaptor = fit_adaptor(job.own, job.others, record, job.spans)
            given = adaptor.answer(job.own.features[:ANSWERED])
    except OVERFLOW:
        return False
    return bool(np.isfinite(given).all())


def _result(job: GrowthJob, story: _GrowthTrace, reason: str) -> GrowthResult:
    return GrowthResult(
        job.id, job.domain, None, reason, NONE, NONE, tuple(story.lines), tuple(story.tried)
    )
