"""Held-out facts, and whether a candidate beats what serves by more than chance."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

import nas

from ..core import FactBatch, GrowthJob, select_rows
from ..core.adaptors import (
    AdaptorRecord,
    Spans,
    Transform,
    build_transform,
    cross_scores,
    solve_adaptor,
    standardise,
    standardising_arrays,
)

FOLDS: Final = 4
DOUBT: Final = 0.05
"""Chance at which a candidate that is no better would be accepted."""

OWN_FACTS: Final = 4_096
OTHER_FACTS: Final = 512
"""Most facts that judge: what a few seconds of one core allow."""
SHARPNESSES: Final = tuple(2.0 ** (power / 2) for power in range(-2, 13))
"""Tried: how many logits a score of 1 is worth.  Kinds differ in how sure their scores look."""
FLIPS: Final = 4_000
CONTRADICTED: Final = -0.4
"""Lead, of scores that are near 1 for a sure answer, below which a label is worth checking."""
UNTRAINED: Final = ("none", "random")

Bools = NDArray[np.bool_]
Doubles = NDArray[np.float64]
Train = Callable[
    [nas.Blueprint, FactBatch, FactBatch, Spans, int], Mapping[str, NDArray[np.float32]]
]


@dataclass(frozen=True, slots=True, eq=False)
class AccuracyMarks:
    """How held-out facts were answered, all [held out].

    right: bool.  loss: float64, the cross-entropy of the scores at the sharpness that is best on
    the other folds.  lead: float64, score of their label less the best of the others.
    """

    right: Bools = field(repr=False)
    loss: Doubles = field(repr=False)
    lead: Doubles = field(repr=False)

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return float(self.right.mean())


@dataclass(frozen=True, slots=True, eq=False)
class ScoredCandidate:
    """A candidate with its marks.  record: where it is taken over rather than trained."""

    blueprint: nas.Blueprint
    marks: AccuracyMarks
    record: AdaptorRecord | None

    @property
    def accuracy(self) -> float:
        """Share of the held-out facts it got right."""
        return self.marks.accuracy


@dataclass(frozen=True, slots=True, eq=False)
class HoldoutSplit:
    """A domain's usable facts in folds.  fold: of each fact, -1 where its label is too rare to be
    held out.  contradictions: facts left out because equal features carry other labels.  others:
    support."""

    own: FactBatch
    others: FactBatch
    fold: NDArray[np.intp] = field(repr=False)
    contradictions: int

    @property
    def held(self) -> int:
        """How many facts are held out once."""
        return int((self.fold >= 0).sum())

    def folds(self) -> Iterator[tuple[FactBatch, FactBatch, NDArray[np.intp]]]:
        """Yield facts to learn from, facts held out, and the places of the latter."""
        for number in range(FOLDS):
            at = np.flatnonzero(self.fold == number)
            if len(at):
                yield (
                    select_rows(self.own, np.flatnonzero(self.fold != number)),
                    select_rows(self.own, at),
                    at,
                )


def split_holdout(own: FactBatch, others: FactBatch) -> HoldoutSplit:
    """Put facts in folds by the hash of their ids, within each label; contradictions go out.

    Of many facts those whose ids hash lowest take part, so that all follows from the set of facts.
    """
    consistent = select_rows(own, _consistent(own))
    rows = select_rows(consistent, _lowest(consistent, OWN_FACTS))
    fold = np.full(len(rows), -1, np.intp)
    labels, ranks = np.array(rows.labels), np.argsort(np.argsort(_hashes(rows)))
    for label in sorted(set(rows.labels)):
        at = np.flatnonzero(labels == label)
        if len(at) > 1:
            fold[at[np.argsort(ranks[at])]] = np.arange(len(at)) % FOLDS
    few = select_rows(others, _lowest(others, OTHER_FACTS))
    return HoldoutSplit(rows, few, fold, len(own) - len(consistent))


def score_head(job: GrowthJob, parts: HoldoutSplit) -> ScoredCandidate:
    """Score the head alone on the held-out facts."""
    standard = standardise(parts.own, parts.others, job.spans)
    plain = nas.Blueprint(kind="none", taps=tuple(range(len(job.spans))))
    transform = build_transform(
        (plain, standardising_arrays(plain, standard, job.spans)), job.spans
    )
    return ScoredCandidate(plain, _crossed(transform, parts, job), None)


def score_record(record: AdaptorRecord, job: GrowthJob, parts: HoldoutSplit) -> ScoredCandidate:
    """Score a record's transform, as it stands, with heads solved without the held-out facts.

    A record of this very domain has seen facts that are held out here, which flatters it: what
    comes has to beat it all the same.
    """
    return ScoredCandidate(
        record.blueprint, _crossed(build_transform(record, job.spans), parts, job), record
    )


def score_blueprint(
    blueprint: nas.Blueprint, train: Train, job: GrowthJob, parts: HoldoutSplit
) -> ScoredCandidate:
    """Score a blueprint: nothing of a held-out fact but its features reaches its parameters.

    train: makes a transform's arrays from a domain's facts.
    """
    if blueprint.kind in UNTRAINED:
        arrays = train(blueprint, parts.own, parts.others, job.spans, job.seed)
        return ScoredCandidate(
            blueprint, _crossed(build_transform((blueprint, arrays), job.spans), parts, job), None
        )
    labels: tuple[str, ...] = ()
    scores = np.zeros((len(parts.own), 0), np.float32)
    for lessons, held, at in parts.folds():
        arrays = train(blueprint, lessons, parts.others, job.spans, job.seed)
        standard = standardise(lessons, parts.others, job.spans)
        fitted = solve_adaptor(
            build_transform((blueprint, arrays), job.spans), lessons, parts.others, standard
        )
        if not labels:
            labels, scores = fitted.labels, np.zeros((len(parts.own), len(fitted.labels)), "f4")
        scores[at] = fitted.answer(held.features)
    return ScoredCandidate(blueprint, grade_predictions(labels, scores, parts), None)


def grade_predictions(
    labels: tuple[str, ...], scores: NDArray[np.float32], parts: HoldoutSplit
) -> AccuracyMarks:
    """Mark the scores float32 [own, labels] that facts got while they were held out.

    Raises FloatingPointError where any is not finite.
    """
    if not np.isfinite(scores).all():
        raise FloatingPointError("a score is no number")
    judged = np.flatnonzero(parts.fold >= 0)
    place = {label: column for column, label in enumerate(labels)}
    sought = np.array([place[parts.own.labels[row]] for row in judged])
    given, fold = scores[judged].astype(np.float64), parts.fold[judged]
    tried = np.array([_cross_entropy(given * sharp, sought) for sharp in SHARPNESSES])
    loss = np.zeros(len(judged))
    for number in range(FOLDS):
        at = fold == number
        loss[at] = tried[tried[:, ~at].sum(axis=1).argmin(), at]
    right = given.argmax(axis=1) == sought
    places = np.arange(len(judged)), sought
    mine = given[places]
    given[places] = -np.inf
    return AccuracyMarks(right, loss, mine - given.max(axis=1))


def screen_candidates(scored: Sequence[ScoredCandidate], parts: HoldoutSplit) -> AccuracyMarks:
    """Return the marks of choosing the best: in each fold, the candidate with the least loss in the
    other folds answers.  So one thing is tested, however many there were to choose from, and facts
    that choose are not the facts that judge (Varma & Simon 2006)."""
    fold = parts.fold[parts.fold >= 0]
    right, loss, lead = np.zeros(len(fold), np.bool_), np.zeros(len(fold)), np.zeros(len(fold))
    for number in range(FOLDS):
        at = fold == number
        best = min((one.marks for one in scored), key=lambda marks: float(marks.loss[~at].sum()))
        right[at], loss[at], lead[at] = best.right[at], best.loss[at], best.lead[at]
    return AccuracyMarks(right, loss, lead)


def contradicted_labels(marks: AccuracyMarks, parts: HoldoutSplit) -> tuple[str, ...]:
    """Return the ids of the facts whose labels the other facts clearly contradict, worst first."""
    ids = [parts.own.ids[row] for row in np.flatnonzero(parts.fold >= 0)]
    return tuple(
        ids[at] for at in np.argsort(marks.lead, kind="stable") if marks.lead[at] < CONTRADICTED
    )


def is_significantly_better(one: AccuracyMarks, other: AccuracyMarks) -> bool:
    """Say whether one gets more held-out facts right, and is better by more than chance.

    Tested is the loss, by flipping the signs of the facts' differences (Fisher 1935, section 21):
    it uses every fact, where McNemar's test uses those that only one of them gets right.
    """
    if one.right.sum() <= other.right.sum():
        return False
    gaps = other.loss - one.loss
    random = np.random.default_rng(len(gaps))
    beaten = sum(
        int(np.sum((2.0 * random.integers(0, 2, (FLIPS // 8, len(gaps))) - 1) @ gaps >= gaps.sum()))
        for _ in range(8)
    )
    return (beaten + 1) / (FLIPS + 1) <= DOUBT


def _crossed(transform: Transform, parts: HoldoutSplit, job: GrowthJob) -> AccuracyMarks:
    standard = standardise(parts.own, parts.others, job.spans)
    return grade_predictions(
        *cross_scores(transform, parts.own, parts.others, standard, parts.fold), parts
    )


def _cross_entropy(logits: NDArray[np.float64], sought: NDArray[np.int64]) -> NDArray[np.float64]:
    logits = logits - logits.max(axis=1, keepdims=True)
    right = logits[np.arange(len(logits)), sought]
    return np.asarray(np.log(np.exp(logits).sum(axis=1)) - right)


def _consistent(own: FactBatch) -> NDArray[np.intp]:
    """Return the places of facts whose features carry one label only."""
    told: dict[bytes, set[str]] = {}
    keys = [row.tobytes() for row in own.features]
    for key, label in zip(keys, own.labels, strict=True):
        told.setdefault(key, set()).add(label)
    return np.array([row for row, key in enumerate(keys) if len(told[key]) == 1], np.intp)


def _lowest(rows: FactBatch, count: int) -> NDArray[np.intp]:
    """Return the places, ascending, of the facts whose ids hash lowest."""
    return np.sort(np.argsort(_hashes(rows))[:count])


def _hashes(rows: FactBatch) -> NDArray[np.bytes_]:
    made = [hashlib.sha256(one.encode()).hexdigest().encode() for one in rows.ids]
    return np.array(made, "S64")
