"""The ridge head: a linear answer solved in closed form from a domain's facts.

The other domains' facts take part with a small weight, so that a handful of labels in a new domain
is enough (transfer), and fade by themselves as the domain's own facts grow.  Each domain is centred
on its own mean.  Constants were chosen on PACS, 1 to 300 labels a class: docs/decisions/0004.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .. import limits
from ..facts import Batch
from .gram import Gram

SUPPORT_WEIGHT: Final = 0.1
RIDGE: Final = 0.3
MEAN_FACTS: Final = 20
SPREAD_FACTS: Final = 50
PENALTY_MIN: Final = 1e-6

Floats = NDArray[np.float32]
Chunk = Callable[[], tuple[Floats, Floats]]


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
    far fewer facts than columns.  Rows come sorted by id, so the answer depends on the set of facts
    alone.  Cost: O(n width min(n, width)) time, 2 width^2 bytes in small pieces, n facts.
    """
    labels = tuple(sorted({*own.labels, *others.labels}))
    mean, spread = _scales(own, others)
    chunks = [*_chunks(own, labels, mean[None], spread, 1.0)]
    if len(others):
        centres = _means_by_domain(others)
        chunks += _chunks(others, labels, centres, spread, SUPPORT_WEIGHT)
    weight = len(own) + SUPPORT_WEIGHT * len(others)
    solved = _solve_ridge(chunks, weight) / spread[:, None]
    return Head(labels, solved, np.float32(1 / len(labels)) - mean @ solved)


def _scales(own: Batch, others: Batch) -> tuple[Floats, Floats]:
    """Mean and spread of the domain's columns, leaning on the other domains while facts are few."""
    count = len(own)
    centre = own.features.mean(axis=0, dtype=np.float64)
    if not len(others):
        return centre.astype(np.float32), _root(_deviations(own, centre[None]) / count)
    lean = MEAN_FACTS / (MEAN_FACTS + count)
    mean = (1 - lean) * centre + lean * others.features.mean(axis=0, dtype=np.float64)
    support = _deviations(others, _means_by_domain(others)) / len(others)
    variance = (_deviations(own, mean[None]) + SPREAD_FACTS * support) / (count + SPREAD_FACTS)
    return mean.astype(np.float32), _root(variance)


def _deviations(rows: Batch, centres: NDArray[np.floating]) -> NDArray[np.float64]:
    """Sum the squared deviations of each column.  centres: [domains of rows, width]."""
    summed = np.zeros(rows.features.shape[1])
    domains = _domain_numbers(rows)
    for part in _parts(rows):
        apart = np.subtract(rows.features[part], centres[domains[part]], dtype=np.float32)
        summed += np.einsum("ij,ij->j", apart, apart, dtype=np.float64)
    return summed


def _root(variance: NDArray[np.float64]) -> Floats:
    """Spread in quantisation steps, at least the one step that cannot be told apart."""
    return (np.sqrt(variance) + 1.0).astype(np.float32)


def _means_by_domain(rows: Batch) -> Floats:
    """Return the columns' means in each domain, sorted: [domains, width]."""
    numbers = _domain_numbers(rows)
    counted = range(numbers.max() + 1)
    means = [rows.features[numbers == n].mean(axis=0, dtype=np.float64) for n in counted]
    return np.array(means, np.float32)


def _domain_numbers(rows: Batch) -> NDArray[np.intp]:
    return np.asarray(np.unique(np.array(rows.domains), return_inverse=True)[1])


def _parts(rows: Batch) -> list[slice]:
    """Cut rows into parts small enough to leave no trace in memory."""
    return [slice(at, at + limits.BATCH_FACTS) for at in range(0, len(rows), limits.BATCH_FACTS)]


def _chunks(
    rows: Batch, labels: tuple[str, ...], centres: Floats, spread: Floats, weight: float
) -> Iterator[Chunk]:
    """Yield functions that standardise a part of the rows and its targets when asked."""
    at = {label: column for column, label in enumerate(labels)}
    columns = np.array([at[name] for name in rows.labels])
    numbers = _domain_numbers(rows)
    scale = np.float32(np.sqrt(weight))

    def standardise(part: slice) -> tuple[Floats, Floats]:
        inputs = np.subtract(rows.features[part], centres[numbers[part]], dtype=np.float32)
        inputs *= scale / spread
        sought = np.eye(len(labels), dtype=np.float32)[columns[part]] - np.float32(1 / len(labels))
        return inputs, sought * scale

    for part in _parts(rows):
        yield partial(standardise, part)


def _solve_ridge(chunks: list[Chunk], weight: float) -> Floats:
    """Solve ridge regression.  chunks: of weighted inputs and targets; weight: of all together."""
    first, _ = chunks[0]()
    width = first.shape[1]
    if len(chunks) * limits.BATCH_FACTS <= width // 2:
        return _solve_dual(chunks, weight)
    gram = Gram(width)
    products = []
    for chunk in chunks:
        inputs, targets = chunk()
        gram.add(inputs)
        products.append(inputs.T @ targets)
    sought = np.asarray(np.sum(products, axis=0))
    return gram.solve(RIDGE * gram.trace() / weight + PENALTY_MIN, sought)


def _solve_dual(chunks: list[Chunk], weight: float) -> Floats:
    """Solve for one number a fact instead of one a column."""
    made = [chunk() for chunk in chunks]
    inputs = np.concatenate([rows for rows, _ in made])
    targets = np.concatenate([rows for _, rows in made])
    gram = inputs @ inputs.T
    energy = float(np.trace(gram, dtype=np.float64)) / weight
    gram.flat[:: len(gram) + 1] += RIDGE * energy + PENALTY_MIN
    return inputs.T @ np.linalg.solve(gram, targets)
