"""The head: a linear answer on top of a transform, solved in closed form from facts.

The other domains' facts take part with a weight, so that a handful of labels in a new domain is
enough (transfer); how much they weigh is chosen by leaving facts out.  Constants and their
measurements: docs/decisions/0007.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..facts import FactBatch
from .gram import Gram
from .standardisation import Standardisation, block_slices
from .transform import Transform
from .weighting import (
    OWN_PENALISED,
    OWN_TRIED,
    PENALTY_MIN,
    RIDGE_USUAL,
    SUPPORT_TRIED,
    WEIGHT_USUAL,
    choose_ridge,
    choose_weight,
    has_choice,
)

Floats = NDArray[np.float32]

DUAL_MAX: Final = 0.75
"""Facts for each column up to which one number a fact is solved for: in half the time at that, and
with twice the memory."""


@dataclass(frozen=True, slots=True, eq=False)
class FittedHead:
    """An adaptor that answers: scores = transform(features) @ weights + bias.

    weights: float32 [out, labels]; bias: [labels].
    """

    labels: tuple[str, ...]
    transform: Transform
    weights: Floats = field(repr=False)
    bias: Floats = field(repr=False)

    @property
    def nbytes(self) -> int:
        """Bytes of the transform, weights and bias."""
        return int(self.transform.nbytes + self.weights.nbytes + self.bias.nbytes)

    @property
    def operations(self) -> int:
        """Multiply-adds a sample."""
        return int(self.transform.operations + self.weights.size)

    def answer(self, features: NDArray[np.uint8]) -> Floats:
        """Score uint8 [..., width] features: float32 [..., labels], near 1 for a sure answer."""
        return np.asarray(self.transform(features) @ self.weights + self.bias)


class HeadTrainingSet:
    """The facts a head is solved from, as a transform sees them, own facts first.

    labels: of all facts, sorted.  weight: of another domain's fact, one's own having 1.
    """

    def __init__(
        self, transform: Transform, own: FactBatch, others: FactBatch, standard: Standardisation
    ) -> None:
        self.labels = tuple(sorted({*own.labels, *others.labels}))
        self._transform, self._own, self._others = transform, own, others
        self._standard = standard
        self._centres = standard.centres[:, transform.columns]
        self.weight, self._penalty = self._weigh()
        self.centre, self.level = self._middle()

    def __len__(self) -> int:
        return len(self._own) + len(self._others)

    @property
    def ridge(self) -> float:
        """The penalty, as a share of the energy of all weighted rows."""
        return self._penalty / (len(self._own) + self.weight * len(self._others))

    def chunks(self) -> Iterator[tuple[Floats, Floats]]:
        """Yield inputs float32 [n, out] and targets [n, labels] a part at a time, about their
        weighted means and times the roots of their weights."""
        for rows, sought, weight in self._parts():
            scale = np.float32(np.sqrt(weight))
            yield (rows - self.centre) * scale, (sought - self.level) * scale

    def together(self) -> tuple[Floats, Floats]:
        """Return all inputs and targets side by side."""
        inputs = np.empty((len(self), len(self.centre)), np.float32)
        targets = np.empty((len(self), len(self.labels)), np.float32)
        at = 0
        for rows, sought in self.chunks():
            inputs[at : at + len(rows)] = rows
            targets[at : at + len(rows)] = sought
            at += len(rows)
        return inputs, targets

    def _parts(self) -> Iterator[tuple[Floats, Floats, float]]:
        for part in block_slices(len(self._own)):
            yield *self._own_rows(part), 1.0
        for part in block_slices(len(self._others)):
            yield *self._other_rows(part), self.weight

    def _own_rows(self, part: slice) -> tuple[Floats, Floats]:
        return self._transform(self._own.features[part]), self._targets(self._own.labels[part])

    def _other_rows(self, part: slice) -> tuple[Floats, Floats]:
        centres = self._centres[self._standard.numbers[part]]
        rows = self._transform(self._others.features[part], centres)
        return rows, self._targets(self._others.labels[part])

    def _targets(self, labels: tuple[str, ...]) -> Floats:
        at = {label: column for column, label in enumerate(self.labels)}
        return np.eye(len(at), dtype=np.float32)[[at[label] for label in labels]]

    def _middle(self) -> tuple[Floats, Floats]:
        """Return the weighted means of columns and targets."""
        total, mean, level = 0.0, np.zeros(self._transform.out), np.zeros(len(self.labels))
        for rows, sought, weight in self._parts():
            total += weight * len(rows)
            mean += weight * rows.sum(axis=0, dtype=np.float64)
            level += weight * sought.sum(axis=0, dtype=np.float64)
        return (mean / total).astype(np.float32), (level / total).astype(np.float32)

    def _weigh(self) -> tuple[float, float]:
        """Choose weight and penalty from a part of the facts, each standing for several."""
        if not has_choice(self._own.labels):
            return WEIGHT_USUAL, RIDGE_USUAL
        weight = WEIGHT_USUAL
        if len(self._others):
            weight = choose_weight(*self._tried(OWN_TRIED))
        inputs, targets, count, stands = self._tried(OWN_PENALISED)
        return weight, choose_ridge(inputs, targets, count, weight * stands)

    def _tried(self, size: int) -> tuple[Floats, Floats, int, float]:
        """Return a part of the facts about their means, how many are own ones, and for how many
        more of its kind than an own one each of the others stands."""
        own, other = -(-len(self._own) // size), max(1, -(-len(self._others) // SUPPORT_TRIED))
        sets = [self._own_rows(slice(None, None, own))]
        if len(self._others):
            sets.append(self._other_rows(slice(None, None, other)))
        inputs = np.concatenate([rows - rows.mean(axis=0) for rows, _ in sets])
        targets = np.concatenate([sought - sought.mean(axis=0) for _, sought in sets])
        return inputs, targets, len(sets[0][0]), other / own


def solve_head(
    transform: Transform, own: FactBatch, others: FactBatch, standard: Standardisation
) -> FittedHead:
    """Solve the head of a domain on a transform.  own: its facts, at least one; others: of all
    other domains.

    Weighted ridge regression on one-hot labels (Hoerl & Kennard 1970), in the dual where there are
    fewer facts than columns.  Rows come sorted by id, so the answer depends on the set of facts
    alone.  Cost: O(n out min(n, out)) time, 2 min(n, out)^2 bytes in small pieces, n facts, and in
    the dual 4 n out bytes.
    """
    lessons = HeadTrainingSet(transform, own, others, standard)
    solve = _solve_dual if len(lessons) <= DUAL_MAX * transform.out else _solve_primal
    weights = solve(lessons)
    return FittedHead(lessons.labels, transform, weights, lessons.level - lessons.centre @ weights)


def _solve_primal(lessons: HeadTrainingSet) -> Floats:
    """Solve for one number a column."""
    gram = Gram(len(lessons.centre))
    sought = np.zeros((len(lessons.centre), len(lessons.labels)), np.float32)
    for inputs, targets in lessons.chunks():
        gram.add(inputs)
        sought += inputs.T @ targets
    return gram.solve(lessons.ridge * gram.trace() + PENALTY_MIN, sought)


def _solve_dual(lessons: HeadTrainingSet) -> Floats:
    """Solve for one number a fact instead of one a column."""
    inputs, targets = lessons.together()
    gram = Gram(len(inputs))
    gram.fill(lambda rows, columns: inputs[rows] @ inputs[columns].T)
    return np.asarray(inputs.T @ gram.solve(lessons.ridge * gram.trace() + PENALTY_MIN, targets))
