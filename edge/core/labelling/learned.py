"""The learned rule: a linear policy of 33 numbers that picks one observation after the other.

Trained offline by `scripts/train_labelling_rule.py` as in "Learning to Actively Learn: A Robust
Approach" (Zhang, Jain & Jamieson 2020, abstract and section 1): adversarially over classes of
problems of equal difficulty, so that one policy is nearly as good in each class as the best that
was learned for this class alone.  Differences from the paper: a linear policy instead of a network,
and evolution strategies instead of the policy gradient.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from .coverage import Cover, of_largest
from .learned_weights import WEIGHTS
from .pool import Floats, Ints, LabellingPool
from .scores import doubts, entropies, margins

FEATURES: Final = (
    "typical",
    "typically answered",
    "far",
    "answered far",
    "covers",
    "covers answers",
    "covers doubts",
    "margin",
    "entropy",
    "rare",
    "boundary",
)
"""What a candidate is scored by, each 0 to 1.  In the space of the features and in that of the
learned domains' answers: the rank of its density; its distance to the nearest labelled observation;
how much nearer to a labelled one all others would be.  In the features this also counts others by
how uncertain they are.  Then the ranks of a small margin and of a high entropy of its answers; one
over one plus the labels of its guess; and the share of its neighbours that are answered
otherwise."""

CONTEXTS: Final = ("always", "phase", "confidence")
"""What the weights depend on: nothing; how many labels there are, as a share of
`PHASE_LABELS` a class; the mean margin of all answers."""

PHASE_LABELS: Final = 4
"""Labels a class at which the phase is 1.  Chosen by hand; effect not measured."""

BOUNDARY: Final = 10
"""Nearest observations whose guesses are compared.  Chosen by hand; effect not measured."""


class LearnedRule:
    """Picks the candidate with the highest score of the trained policy, then the next."""

    def __init__(self, seed: int = 0, weights: Floats | None = None) -> None:
        """seed: unused.  weights: float32 [contexts, features]; default: those that ship."""
        del seed
        self._weights = np.array(WEIGHTS, np.float32) if weights is None else weights

    def choose(self, pool: LabellingPool, count: int) -> tuple[int, ...]:
        """See `LabellingRule`.  Cost: n^2 for each row chosen or labelled."""
        state = PolicyState(pool)
        free = np.zeros(len(pool), np.bool_)
        free[pool.unlabelled()] = True
        chosen: list[int] = []
        while len(chosen) < min(count, len(pool) - len(pool.labelled)):
            scores = np.where(free, state.scores(self._weights), -np.inf)
            chosen.append(int(scores.argmax()))
            free[chosen[-1]] = False
            state.add(chosen[-1])
        return tuple(chosen)


class PolicyState:
    """The features of all candidates, as labels arrive."""

    def __init__(self, pool: LabellingPool) -> None:
        self._covers = [Cover(one) for one in (pool.features, pool.described)]
        self._typical = [_ranks(one.typical) for one in (pool.features, pool.described)]
        width = min(BOUNDARY, len(pool) - 1)
        near = np.argpartition(pool.features.squared, width, axis=1)
        self._near: Ints = near[:, : width + 1]
        self.answer(pool.answers, ())
        for row, given in zip(pool.labelled, pool.given, strict=True):
            self.add(row, given)

    def answer(self, answers: Floats, given: Sequence[int]) -> None:
        """Use new answers of the head, [n, k], and the columns of the labels given so far."""
        self._given = list(given)
        self._width, rows = answers.shape[1], len(answers)
        self._doubts = doubts(answers)
        if self._width < 2:
            self._best = np.zeros(rows, np.intp)
            self._confidence, self._uncertain = 0.0, [np.zeros(rows, np.float32)] * 3
            return
        self._best = answers.argmax(axis=1)
        margin = margins(answers)
        self._confidence = float(np.clip(margin, 0, 1).mean())
        apart = self._best[self._near] != self._best[:, None]
        self._uncertain = [
            _ranks(-margin),
            _ranks(entropies(answers)),
            apart.mean(axis=1, dtype=np.float32),
        ]

    def add(self, row: int, given: int = -1) -> None:
        """Count a row as labelled.  given: column of its label; -1: as it is answered."""
        for cover in self._covers:
            cover.add(row)
        self._given.append(int(self._best[row]) if given < 0 else given)

    def scores(self, weights: Floats) -> Floats:
        """Return the score of each row, labelled or not: float32 [n]."""
        counts = np.bincount(np.array(self._given, np.intp), minlength=max(1, self._width))
        own, answered = self._covers
        missing = own.missing()
        margin, entropy, boundary = self._uncertain
        columns = [
            *self._typical,
            own.distances(),
            answered.distances(),
            of_largest(missing.sum(axis=1)),
            of_largest(answered.missing().sum(axis=1)),
            of_largest(missing @ self._doubts),
            margin,
            entropy,
            (1 / (1 + counts[self._best])).astype(np.float32),
            boundary,
        ]
        classes = max(2, int((counts > 0).sum()))
        phase = min(1.0, len(self._given) / (PHASE_LABELS * classes))
        context = np.array([1.0, phase, self._confidence], np.float32)
        return np.asarray(np.stack(columns, axis=1) @ (context @ weights))


def _ranks(values: Floats) -> Floats:
    """Return ranks as shares of the largest, 0 to 1; equal values by their place."""
    made = np.empty(len(values), np.float32)
    made[np.argsort(values, kind="stable")] = np.arange(len(values), dtype=np.float32)
    return made / np.float32(max(1, len(values) - 1))
