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
PENALTY_MIN: Final = 1e-6

Floats = NDArray[np.float32]


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
    alone.  Cost: O(n width min(n, width)) time and 4 (n + 2 min(n, width)) width bytes, n facts.
    """
    labels = tuple(sorted({*own.labels, *others.labels}))
    mean, spread = _scales(own, others)
    rows = np.empty((len(own) + len(others), own.features.shape[1]), np.float32)
    np.subtract(own.features, mean, out=rows[: len(own)])
    if len(others):
        np.subtract(others.features, _means_by_domain(others), out=rows[len(own) :])
    rows /= spread
    targets = _one_hot((*own.labels, *others.labels), labels) - np.float32(1 / len(labels))
    weights = np.ones(len(rows), np.float32)
    weights[len(own) :] = SUPPORT_WEIGHT
    solved = _solve_ridge(rows, targets, weights) / spread[:, None]
    return Head(labels, solved, np.float32(1 / len(labels)) - mean @ solved)


def _scales(own: Batch, others: Batch) -> tuple[Floats, Floats]:
    """Mean and spread of the domain's columns, leaning on the other domains while facts are few."""
    count = len(own)
    centre = own.features.mean(axis=0, dtype=np.float64)
    if not len(others):
        return centre.astype(np.float32), _root(_deviations(own, centre) / count)
    lean = MEAN_FACTS / (MEAN_FACTS + count)
    mean = (1 - lean) * centre + lean * others.features.mean(axis=0, dtype=np.float64)
    support = _deviations(others, _means_by_domain(others)) / len(others)
    variance = (_deviations(own, mean) + SPREAD_FACTS * support) / (count + SPREAD_FACTS)
    return mean.astype(np.float32), _root(variance)


def _deviations(rows: Batch, centre: NDArray[np.floating]) -> NDArray[np.float64]:
    """Sum the squared deviations of each column.  centre: [width] or [n, width]."""
    apart = np.subtract(rows.features, centre, dtype=np.float32)
    return np.asarray(np.einsum("ij,ij->j", apart, apart, dtype=np.float64))


def _root(variance: NDArray[np.float64]) -> Floats:
    """Spread in quantisation steps, at least the one step that cannot be told apart."""
    return (np.sqrt(variance) + 1.0).astype(np.float32)


def _means_by_domain(rows: Batch) -> Floats:
    means = np.empty(rows.features.shape, np.float32)
    domains = np.array(rows.domains)
    for domain in sorted(set(rows.domains)):
        index = domains == domain
        means[index] = rows.features[index].mean(axis=0, dtype=np.float64)
    return means


def _one_hot(names: tuple[str, ...], labels: tuple[str, ...]) -> Floats:
    at = {label: column for column, label in enumerate(labels)}
    return np.eye(len(labels), dtype=np.float32)[[at[name] for name in names]]


def _solve_ridge(rows: Floats, targets: Floats, weights: Floats) -> Floats:
    """Solve weighted ridge regression.  rows [n, width] are scaled in place."""
    scale = np.sqrt(weights)[:, None]
    rows *= scale
    count, width = rows.shape
    gram = rows @ rows.T if count <= width else rows.T @ rows
    energy = float(np.trace(gram, dtype=np.float64)) / float(weights.sum())
    gram.flat[:: len(gram) + 1] += RIDGE * energy + PENALTY_MIN
    if count <= width:
        return rows.T @ np.linalg.solve(gram, targets * scale)
    return np.asarray(np.linalg.solve(gram, rows.T @ (targets * scale)))
