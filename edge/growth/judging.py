"""Held-out facts, and whether a candidate beats what serves by more than chance."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import comb
from typing import Final

import numpy as np
from numpy.typing import NDArray

import nas

from ..core import Batch, GrowthJob, take
from ..core.adaptors import (
    Record,
    Spans,
    Transform,
    build,
    cross_scores,
    frame,
    solve,
    standardise,
)

FOLDS: Final = 4
DOUBT: Final = 0.05
"""Chance at which a candidate that is no better would be accepted."""

OWN_FACTS: Final = 1_536
OTHER_FACTS: Final = 512
"""Most facts that judge and train: what a few seconds of one core allow."""
UNTRAINED: Final = ("none", "random")

Bools = NDArray[np.bool_]
Train = Callable[[nas.Blueprint, Batch, Batch, Spans, int], Mapping[str, NDArray[np.float32]]]


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """A candidate and which facts it got right while they were held out; judged: facts that were.

    record: where it is taken over rather than trained.
    """

    blueprint: nas.Blueprint
    right: Bools = field(repr=False)
    record: Record | None
    judged: Bools = field(repr=False)

    @property
    def accuracy(self) -> float:
        """Share of the held-out facts it got right."""
        return float(self.right[self.judged].mean())

    @property
    def held(self) -> Bools:
        """Which of the held-out facts it got right: bool [held out]."""
        return self.right[self.judged]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """A domain's usable facts in folds.  fold: of each fact, -1 where its label is too rare to be
    held out.  contradictions: facts left out because equal features carry other labels.  others:
    support."""

    own: Batch
    others: Batch
    fold: NDArray[np.intp] = field(repr=False)
    contradictions: int

    @property
    def judged(self) -> Bools:
        """Facts that are held out once."""
        return np.asarray(self.fold >= 0)

    @property
    def held(self) -> int:
        """How many facts are held out once."""
        return int(self.judged.sum())

    def folds(self) -> Iterator[tuple[Batch, Batch, NDArray[np.intp]]]:
        """Yield facts to learn from, facts held out, and the places of the latter."""
        for number in range(FOLDS):
            at = np.flatnonzero(self.fold == number)
            if len(at):
                yield take(self.own, np.flatnonzero(self.fold != number)), take(self.own, at), at


def split(own: Batch, others: Batch) -> Split:
    """Put facts in folds by the hash of their ids, within each label; contradictions go out.

    Of many facts those whose ids hash lowest take part, so that all follows from the set of facts.
    """
    consistent = take(own, _consistent(own))
    rows = take(consistent, _lowest(consistent, OWN_FACTS))
    fold = np.full(len(rows), -1, np.intp)
    labels, ranks = np.array(rows.labels), np.argsort(np.argsort(_hashes(rows)))
    for label in sorted(set(rows.labels)):
        at = np.flatnonzero(labels == label)
        if len(at) > 1:
            fold[at[np.argsort(ranks[at])]] = np.arange(len(at)) % FOLDS
    few = take(others, _lowest(others, OTHER_FACTS))
    return Split(rows, few, fold, len(own) - len(consistent))


def score_head(job: GrowthJob, parts: Split) -> Scored:
    """Score the head alone on the held-out facts."""
    standard = standardise(parts.own, parts.others, job.spans)
    plain = nas.Blueprint("none", tuple(range(len(job.spans))))
    transform = build((plain, frame(plain, standard, job.spans)), job.spans)
    return Scored(plain, _crossed(transform, parts, job), None, parts.judged)


def score_record(record: Record, job: GrowthJob, parts: Split) -> Scored:
    """Score a record's transform, as it stands, with heads solved without the held-out facts.

    A record of this very domain has seen facts that are held out here, which flatters it: what
    comes has to beat it all the same.
    """
    right = _crossed(build(record, job.spans), parts, job)
    return Scored(record.blueprint, right, record, parts.judged)


def score_blueprint(blueprint: nas.Blueprint, train: Train, job: GrowthJob, parts: Split) -> Scored:
    """Score a blueprint: nothing of a held-out fact but its features reaches its parameters.

    train: makes a transform's arrays from a domain's facts.
    """
    right = np.zeros(len(parts.own), np.bool_)
    if blueprint.kind in UNTRAINED:
        arrays = train(blueprint, parts.own, parts.others, job.spans, job.seed)
        right = _crossed(build((blueprint, arrays), job.spans), parts, job)
        return Scored(blueprint, right, None, parts.judged)
    for lessons, held, at in parts.folds():
        arrays = train(blueprint, lessons, parts.others, job.spans, job.seed)
        standard = standardise(lessons, parts.others, job.spans)
        transform = build((blueprint, arrays), job.spans)
        fitted = solve(transform, lessons, parts.others, standard)
        right[at] = _right(fitted.labels, fitted.answer(held.features), held)
    return Scored(blueprint, right, None, parts.judged)


def screen(scored: Sequence[Scored], fold: NDArray[np.intp]) -> Bools:
    """Return what choosing the best gets right: in each fold, the candidate that is best in the
    other folds answers.  So one thing is judged, however many there were to choose from (Varma &
    Simon 2006), and facts that choose are not the facts that judge."""
    right = np.zeros(len(fold), np.bool_)
    for number in range(FOLDS):
        at, rest = fold == number, (fold >= 0) & (fold != number)
        best = max(scored, key=lambda one: int(one.right[rest].sum()))
        right[at] = best.right[at]
    return right


def better(one: Bools, other: Bools) -> bool:
    """Say whether one gets more held-out facts right than the other, by more than chance.

    One-sided McNemar test on the facts only one of them gets right, mid-p: what was observed counts
    half (Fagerland, Lydersen & Laake 2013), since the exact test is stricter than it says.
    """
    wins, losses = int((one & ~other).sum()), int((other & ~one).sum())
    total = wins + losses
    beyond = sum(comb(total, k) for k in range(wins + 1, total + 1)) + comb(total, wins) / 2
    return wins > losses and beyond / 2**total < DOUBT


def _crossed(transform: Transform, parts: Split, job: GrowthJob) -> Bools:
    standard = standardise(parts.own, parts.others, job.spans)
    labels, scores = cross_scores(transform, parts.own, parts.others, standard, parts.fold)
    return _right(labels, scores, parts.own)


def _right(labels: tuple[str, ...], scores: NDArray[np.float32], held: Batch) -> Bools:
    best = scores.argmax(axis=1)
    return np.array([labels[i] == want for i, want in zip(best, held.labels, strict=True)])


def _consistent(own: Batch) -> NDArray[np.intp]:
    """Return the places of facts whose features carry one label only."""
    told: dict[bytes, set[str]] = {}
    keys = [row.tobytes() for row in own.features]
    for key, label in zip(keys, own.labels, strict=True):
        told.setdefault(key, set()).add(label)
    return np.array([row for row, key in enumerate(keys) if len(told[key]) == 1], np.intp)


def _lowest(rows: Batch, count: int) -> NDArray[np.intp]:
    """Return the places, ascending, of the facts whose ids hash lowest."""
    return np.sort(np.argsort(_hashes(rows))[:count])


def _hashes(rows: Batch) -> NDArray[np.bytes_]:
    made = [hashlib.sha256(one.encode()).hexdigest().encode() for one in rows.ids]
    return np.array(made, "S64")
