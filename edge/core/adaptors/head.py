"""The ridge head: a linear answer solved in closed form from a domain's facts.

The other domains' facts take part with a small weight, so that a handful of labels in a new domain
is enough (transfer), and fade by themselves as the domain's own facts grow.  Each domain is centred
on its own mean.  Constants were chosen on PACS, 1 to 300 labels a class: docs/decisions/0004.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..facts import Batch

SUPPORT_WEIGHT: Final = 0.1
RIDGE: Final = 0.3
MEAN_FACTS: Final = 20
SPREAD_FACTS: Final = 50

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """scores = features @ weights + bias.  weights: float32 [width, labels]; bias: [labels]."""

    labels: tuple[str, ...]
    weights: NDArray[np.float32] = field(repr=False)
    bias: NDArray[np.float32] = field(repr=False)

    @property
    def nbytes(self) -> int:
        """Bytes of weights and bias."""
        return int(self.weights.nbytes + self.bias.nbytes)

    @property
    def operations(self) -> int:
        """Multiply-adds a sample."""
        return int(self.weights.size)

    def answer(self, features: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Score uint8 [..., width] features: float32 [..., labels], near 1 for a sure answer."""
        return features.astype(np.float32) @ self.weights + self.bias


def fit_head(own: Batch, others: Batch) -> Head:
    """Solve the head of a domain.  own: its facts, at least one; others: of all other domains.

    Weighted ridge regression on one-hot labels (Hoerl & Kennard 1970), in the dual where there are
    fewer facts than columns.  Rows come sorted by id, so the answer depends on the set of facts
    alone.  Cost: O(n width min(n, width)) for n facts.
    """
    labels = tuple(sorted({*own.labels, *others.labels}))
    mean, spread = _scales(own, others)
    blocks = [(own.features - mean) / spread]
    if len(others):
        blocks.append((others.features - _means_by_domain(others)) / spread)
    inputs = np.concatenate(blocks)
    targets = _one_hot((*own.labels, *others.labels), labels) - 1.0 / len(labels)
    weights = np.r_[np.ones(len(own)), np.full(len(others), SUPPORT_WEIGHT)]
    solved = _solve_ridge(inputs, targets, weights) / spread[:, None]
    bias = 1.0 / len(labels) - mean @ solved
    return Head(labels, solved.astype(np.float32), bias.astype(np.float32))


def _scales(own: Batch, others: Batch) -> tuple[Floats, Floats]:
    """Mean and spread of the domain's columns, leaning on the other domains while facts are few."""
    count = len(own)
    centre = own.features.mean(axis=0)
    if not len(others):
        return centre, np.sqrt(np.square(own.features - centre).mean(axis=0)) + 1.0
    lean = MEAN_FACTS / (MEAN_FACTS + count)
    mean = (1 - lean) * centre + lean * others.features.mean(axis=0)
    support = np.square(others.features - _means_by_domain(others)).mean(axis=0)
    summed = np.square(own.features - mean).sum(axis=0)
    variance = (summed + SPREAD_FACTS * support) / (count + SPREAD_FACTS)
    return mean, np.sqrt(variance) + 1.0


def _means_by_domain(rows: Batch) -> Floats:
    means = np.empty(rows.features.shape)
    domains = np.array(rows.domains)
    for domain in sorted(set(rows.domains)):
        index = domains == domain
        means[index] = rows.features[index].mean(axis=0)
    return means


def _one_hot(names: tuple[str, ...], labels: tuple[str, ...]) -> Floats:
    at = {label: column for column, label in enumerate(labels)}
    return np.eye(len(labels))[[at[name] for name in names]]


def _solve_ridge(inputs: Floats, targets: Floats, weights: Floats) -> Floats:
    scale = np.sqrt(weights)[:, None]
    rows, sought = inputs * scale, targets * scale
    energy = float(np.square(rows).sum() / weights.sum())
    penalty = RIDGE * energy + np.finfo(np.float64).tiny + 1e-9
    count, width = rows.shape
    if count <= width:
        return rows.T @ np.linalg.solve(rows @ rows.T + penalty * np.eye(count), sought)
    return np.linalg.solve(rows.T @ rows + penalty * np.eye(width), rows.T @ sought)
