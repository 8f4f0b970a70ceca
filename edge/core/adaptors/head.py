"""The head: a linear classifier on top of a transform, solved in closed form from facts.

Facts of other domains take part with a lower weight, so that a few labels in a new domain are
enough (transfer learning); the weight is chosen by the leave-one-out error.  Constants and their
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
    OTHER_FACTS,
    OWN_PENALTY_FACTS,
    OWN_WEIGHT_FACTS,
    PENALTY_MIN,
    RIDGE_DEFAULT,
    WEIGHT_DEFAULT,
    choose_ridge,
    choose_weight,
    has_choice,
)

Floats = NDArray[np.float32]

DUAL_MAX: Final = 0.75
"""Facts per column up to which the dual is solved: at that ratio in half the time and twice the
memory of the primal."""


@dataclass(frozen=True, slots=True, eq=False)
class FittedHead:
    """A linear adaptor: scores = transform(features) @ weights + bias.

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
        """Multiply-adds per sample."""
        return int(self.transform.operations + self.weights.size)

    def answer(self, features: NDArray[np.uint8]) -> Floats:
        """Score uint8 [..., width] features: float32 [..., labels], near 1 for a confident
        answer."""
        return np.asarray(self.transform(features) @ self.weights + self.bias)


class HeadTrainingSet:
    """The transformed facts that a head is solved from, those of its own domain first.

    labels: of all facts, sorted.  weight: of a fact of another domain, relative to an own fact.
    """

    def __init__(
        self, transform: Transform, own: FactBatch, others: FactBatch, standard: Standardisation
    ) -> None:
        self.labels = tuple(sorted({*own.labels, *others.labels}))
        self._transform, self._own, self._others = transform, own, others
        self._standard = standard
        self._centres = standard.centres[:, transform.columns]
        self.weight, self._penalty = self._choose_weights()
        self.centre, self.level = self._weighted_means()

    def __len__(self) -> int:
        return len(self._own) + len(self._others)

    @property
    def ridge(self) -> float:
        """The penalty relative to the energy of all weighted rows."""
        return self._penalty / (len(self._own) + self.weight * len(self._others))

    def chunks(self) -> Iterator[tuple[Floats, Floats]]:
        """Yield inputs float32 [n, out] and targets [n, labels] in parts, centred on their weighted
        means and multiplied by the roots of their weights."""
        for rows, targets, weight in self._parts():
            scale = np.float32(np.sqrt(weight))
            yield (rows - self.centre) * scale, (targets - self.level) * scale

    def all_rows(self) -> tuple[Floats, Floats]:
        """Return the inputs and targets of all chunks."""
        inputs = np.empty((len(self), len(self.centre)), np.float32)
        targets = np.empty((len(self), len(self.labels)), np.float32)
        at = 0
        for rows, row_targets in self.chunks():
            inputs[at : at + len(rows)] = rows
            targets[at : at + len(rows)] = row_targets
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

    def _weighted_means(self) -> tuple[Floats, Floats]:
        """Return the weighted means of inputs and targets."""
        total, mean, level = 0.0, np.zeros(self._transform.out), np.zeros(len(self.labels))
        for rows, targets, weight in self._parts():
            total += weight * len(rows)
            mean += weight * rows.sum(axis=0, dtype=np.float64)
            level += weight * targets.sum(axis=0, dtype=np.float64)
        return (mean / total).astype(np.float32), (level / total).astype(np.float32)

    def _choose_weights(self) -> tuple[float, float]:
        """Choose weight and penalty on a sample of the facts, each representing several."""
        if not has_choice(self._own.labels):
            return WEIGHT_DEFAULT, RIDGE_DEFAULT
        weight = WEIGHT_DEFAULT
        if len(self._others):
            weight = choose_weight(*self._sampled(OWN_WEIGHT_FACTS))
        inputs, targets, count, represented = self._sampled(OWN_PENALTY_FACTS)
        return weight, choose_ridge(inputs, targets, count, weight * represented)

    def _sampled(self, size: int) -> tuple[Floats, Floats, int, float]:
        """Return centred inputs and targets of a sample of the facts, the number of own facts, and
        the facts that one of the others represents, relative to an own one."""
        own, other = -(-len(self._own) // size), max(1, -(-len(self._others) // OTHER_FACTS))
        sets = [self._own_rows(slice(None, None, own))]
        if len(self._others):
            sets.append(self._other_rows(slice(None, None, other)))
        inputs = np.concatenate([rows - rows.mean(axis=0) for rows, _ in sets])
        targets = np.concatenate([targets - targets.mean(axis=0) for _, targets in sets])
        return inputs, targets, len(sets[0][0]), other / own


def solve_head(
    transform: Transform, own: FactBatch, others: FactBatch, standard: Standardisation
) -> FittedHead:
    """Solve the head of a domain on a transform.  own: its facts, at least one; others: the facts
    of all other domains.

    Weighted ridge regression on one-hot labels (Hoerl & Kennard 1970), in the dual with fewer facts
    than columns.  Rows are sorted by id, so that the result depends on the set of facts alone.
    Cost for n facts: O(n out min(n, out)) time, 2 min(n, out)^2 bytes in small pieces, and in the
    dual 4 n out bytes.
    """
    training_set = HeadTrainingSet(transform, own, others, standard)
    solve = _solve_dual if len(training_set) <= DUAL_MAX * transform.out else _solve_primal
    weights = solve(training_set)
    return FittedHead(
        training_set.labels, transform, weights, training_set.level - training_set.centre @ weights
    )


def _solve_primal(training_set: HeadTrainingSet) -> Floats:
    """Solve for one number per column."""
    gram = Gram(len(training_set.centre))
    products = np.zeros((len(training_set.centre), len(training_set.labels)), np.float32)
    for inputs, targets in training_set.chunks():
        gram.add(inputs)
        products += inputs.T @ targets
    return gram.solve(training_set.ridge * gram.trace() + PENALTY_MIN, products)


def _solve_dual(training_set: HeadTrainingSet) -> Floats:
    """Solve for one number per fact instead of one per column."""
    inputs, targets = training_set.all_rows()
    gram = Gram(len(inputs))
    gram.fill(lambda rows, columns: inputs[rows] @ inputs[columns].T)
    return np.asarray(
        inputs.T @ gram.solve(training_set.ridge * gram.trace() + PENALTY_MIN, targets)
    )
