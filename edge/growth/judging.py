"""Held-out facts, and whether a candidate beats what serves by more than chance."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import comb
from typing import Final

import numpy as np
from numpy.typing import NDArray

import nas
from edge.core import Batch, GrowthJob
from edge.core.adaptors import Adaptor, Record, Transform, build, fit, solve_head, standardise

FOLDS: Final = 4
DOUBT: Final = 0.05
"""Chance at which a candidate that is no better would be accepted."""

Bools = NDArray[np.bool_]


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


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """A domain's usable facts in folds.  fold: of each fact, -1 where its label is too rare to be
    held out.  contradictions: facts left out because equal features carry other labels."""

    own: Batch
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

    def score(self, transform: Transform, lessons: Batch, held: Batch, job: GrowthJob) -> Bools:
        """Solve a head on a transform and say which held-out facts it gets right."""
        standard = standardise(lessons, job.others, job.spans)
        return _right(solve_head(transform, lessons, job.others, standard), held)


def split(own: Batch) -> Split:
    """Put facts in folds by the hash of their ids, within each label; contradictions go out."""
    kept = _consistent(own)
    rows = take(own, kept)
    fold = np.full(len(rows), -1, np.intp)
    labels = np.array(rows.labels)
    for label in sorted(set(rows.labels)):
        at = np.flatnonzero(labels == label)
        ranked = sorted(at, key=lambda row: hashlib.sha256(rows.ids[row].encode()).digest())
        if len(ranked) > 1:
            fold[ranked] = np.arange(len(ranked)) % FOLDS
    return Split(rows, fold, len(own) - len(kept))


def score_head(job: GrowthJob, parts: Split) -> Scored:
    """Score the head alone on the held-out facts."""
    plain = nas.Blueprint("none", tuple(range(len(job.spans))))
    return Scored(plain, _refit(None, job, parts), None, parts.judged)


def score_record(record: Record, job: GrowthJob, parts: Split) -> Scored:
    """Score a record's transform, as it stands, with heads solved without the held-out facts."""
    return Scored(record.blueprint, _refit(record, job, parts), record, parts.judged)


def better(one: Scored, other: Scored, tries: int) -> bool:
    """Say whether one gets more right than the other, beyond chance and the number of tries.

    Exact one-sided McNemar test on the facts only one of them gets right, Bonferroni over tries.
    """
    wins = int((one.right & ~other.right)[one.judged].sum())
    losses = int((other.right & ~one.right)[one.judged].sum())
    total = wins + losses
    chance = sum(comb(total, k) for k in range(wins, total + 1)) / 2**total
    return wins > losses and chance < DOUBT / tries


def take(rows: Batch, at: NDArray[np.intp]) -> Batch:
    """Choose facts by place."""
    places = at.tolist()
    return Batch(
        tuple(rows.ids[row] for row in places),
        tuple(rows.domains[row] for row in places),
        tuple(rows.labels[row] for row in places),
        rows.features[at],
    )


def _refit(record: Record | None, job: GrowthJob, parts: Split) -> Bools:
    right = np.zeros(len(parts.own), np.bool_)
    for lessons, held, at in parts.folds():
        right[at] = _right(fit(lessons, job.others, record, job.spans), held)
    return right


def _right(adaptor: Adaptor, held: Batch) -> Bools:
    best = adaptor.answer(held.features).argmax(axis=1)
    return np.array([adaptor.labels[i] == want for i, want in zip(best, held.labels, strict=True)])


def _consistent(own: Batch) -> NDArray[np.intp]:
    """Return the places of facts whose features carry one label only."""
    told: dict[bytes, set[str]] = {}
    keys = [row.tobytes() for row in own.features]
    for key, label in zip(keys, own.labels, strict=True):
        told.setdefault(key, set()).add(label)
    return np.array([row for row, key in enumerate(keys) if len(told[key]) == 1], np.intp)
