"""First and second moments of quantised features as exact integers, and heads solved from them.

Per concept the sum of its features, and one Gram matrix (sums of products of columns) over all
facts.  Moments of several devices add up, so a linear discriminant for a domain follows without any
fact.  Only the columns of the final features take part (the first tap): 1,280 columns cost 13 MiB
in memory and 3 MiB packed.

All concepts share one within-class scatter (Fisher 1936; Hayes & Kanan 2020, "Lifelong machine
learning with deep streaming linear discriminant analysis", section 3), shrunk towards its diagonal
(Friedman 1989).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

import hdc

from .. import limits
from ..structs import FrozenStruct

Concept = tuple[str, str]
Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

GRAM_COLUMNS_MAX: Final = 2_048
"""Columns beyond which no Gram matrix is kept: it would take more than 32 MiB."""

SHRINKAGE: Final = 0.1
"""Share of the diagonal, in units of the average column's own scatter; docs/howto/fleet.md has the
measurement."""

TRACE_MIN: Final = 1e-3
"""Smallest mean scatter that is shrunk towards: keeps the matrix invertible where every column is
constant."""


class Moments:
    """Sums of the first `columns` features by concept, and their Gram matrix if kept.

    sums: int64 [columns] by (domain, label).  gram: int64 [columns, columns], or [0, 0].
    """

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.counts: dict[Concept, int] = {}
        self.sums: dict[Concept, Ints] = {}
        side = columns if columns <= GRAM_COLUMNS_MAX else 0
        self.gram: Ints = np.zeros((side, side), np.int64)

    def change(self, concept: Concept, features: NDArray[np.uint8], sign: int) -> None:
        """Add (sign 1) or subtract (-1) facts of a concept, uint8 [n, width], exactly."""
        first = features[:, : self.columns]
        self._sum(concept, sign * len(first), sign * first.sum(axis=0, dtype=np.int64))
        if not self.gram.size:
            return
        for at in range(0, len(first), limits.BATCH_FACTS):
            # Few enough rows for float32 to hold every sum of products exactly.
            rows = first[at : at + limits.BATCH_FACTS].astype(np.float32)
            self.gram += sign * (rows.T @ rows).astype(np.int64)

    def pack(self, concepts: Iterable[Concept]) -> dict[str, NDArray[Any]]:
        """Return arrays for `merge`: features int64 [concepts, columns], and the lower half of the
        Gram matrix."""
        rows = [self.sums[concept] for concept in concepts]
        half = self.gram[np.tril_indices(len(self.gram))]
        return {"features": np.array(rows, np.int64).reshape(-1, self.columns), "gram": half}

    def merge(self, counts: Mapping[Concept, int], packed: Mapping[str, NDArray[Any]]) -> None:
        """Add another device's packed moments.  counts: of its concepts, in the order of rows."""
        for (concept, count), row in zip(counts.items(), packed["features"], strict=True):
            self._sum(concept, count, row.astype(np.int64))
        if self.gram.size:
            rows, columns = np.tril_indices(len(self.gram))
            half = packed["gram"].astype(np.int64)
            self.gram[rows, columns] += half
            above = rows != columns
            self.gram[columns[above], rows[above]] += half[above]

    def copy(self) -> "Moments":
        """Return an independent copy."""
        made = Moments(self.columns)
        made.counts, made.sums = dict(self.counts), dict(self.sums)
        made.gram = self.gram.copy()
        return made

    def _sum(self, concept: Concept, count: int, row: Ints) -> None:
        left = self.counts.get(concept, 0) + count
        total = self.sums[concept] + row if concept in self.sums else row
        if left:
            self.counts[concept], self.sums[concept] = left, total
        else:
            self.counts.pop(concept, None)
            self.sums.pop(concept, None)


class PooledDiscriminant(FrozenStruct, frozen=True, eq=False):
    """A linear discriminant as an adaptor.  factor, weights, bias: for the first tap's columns."""

    labels: tuple[str, ...]
    factor: Floats
    weights: Floats
    bias: Floats

    @property
    def nbytes(self) -> int:
        """Bytes of its parameters."""
        return int(self.factor.nbytes + self.weights.nbytes + self.bias.nbytes)

    @property
    def operations(self) -> int:
        """Multiply-adds per sample."""
        return int(self.weights.size + self.factor.size)

    def answer(self, features: NDArray[np.uint8]) -> Floats:
        """Probabilities float32 [..., labels] of uint8 [..., width] features."""
        rows = features[..., : len(self.factor)] * self.factor
        return _softmax(rows @ self.weights + self.bias)


class NearestConceptAnswer(FrozenStruct, frozen=True, eq=False):
    """Nearest-concept classification as an adaptor, for features too wide for a Gram matrix."""

    labels: tuple[str, ...]
    domain: str
    memory: hdc.Memory

    @property
    def nbytes(self) -> int:
        """Bytes of its own parameters: none, the concepts are shared."""
        return 0

    @property
    def operations(self) -> int:
        """Bits compared per sample."""
        return len(self.labels) * self.memory.geometry.bits

    def apart(self) -> "NearestConceptAnswer":
        """Return what answers the same and shares nothing that learning changes: a memory derives
        its prototypes when it is read, so that another thread needs one of its own."""
        return replace(self, memory=self.memory.part(self.domain))

    def answer(self, features: NDArray[np.uint8]) -> Floats:
        """Softmax float32 [..., labels] over the negative distances to the concepts."""
        rows = features.reshape(-1, features.shape[-1])
        columns = np.array([self.memory.keys.index((self.domain, name)) for name in self.labels])
        scores = self.memory.score(self.memory.geometry.project(rows), only=columns)
        shares = _softmax((-scores / hdc.ONE).astype(np.float32))
        return shares.reshape(*features.shape[:-1], len(self.labels))


class PooledAnswers:
    """Solves discriminants from moments; the shared scatter is inverted once, in about columns^3
    multiply-adds."""

    def __init__(self, moments: Moments) -> None:
        self._moments = moments
        total = sum(moments.counts.values())
        within = moments.gram.astype(np.float64)
        for concept, row in moments.sums.items():
            mean = row / moments.counts[concept]
            within -= np.outer(row, mean)
        within /= max(1, total - len(moments.counts))
        # One quantisation step is the resolution: it bounds the factor of constant columns.
        self._factor = 1 / (np.sqrt(np.maximum(np.diagonal(within), 0)) + 1)
        within *= self._factor
        within *= self._factor[:, None]
        share = SHRINKAGE * max(float(np.trace(within)) / len(within), TRACE_MIN)
        within.flat[:: len(within) + 1] += share
        self._inverse = np.linalg.inv(within)

    def distances(self, concept: Concept, features: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the squared Mahalanobis distances float64 [...] of uint8 [..., width] features to
        the mean of a concept with facts."""
        mean = self._moments.sums[concept] / self._moments.counts[concept]
        apart = (features[..., : len(mean)] - mean) * self._factor
        return np.asarray(np.einsum("...i,ij,...j", apart, self._inverse, apart))

    def discriminant(self, domain: str) -> PooledDiscriminant:
        """Solve for the labels of a domain, with equal priors."""
        concepts = sorted(concept for concept in self._moments.counts if concept[0] == domain)
        means = np.array([self._moments.sums[c] / self._moments.counts[c] for c in concepts])
        rows = means * self._factor
        weights = self._inverse @ rows.T
        bias = -0.5 * np.einsum("cw,wc->c", rows, weights)
        return PooledDiscriminant(
            tuple(label for _, label in concepts),
            self._factor.astype(np.float32),
            weights.astype(np.float32),
            bias.astype(np.float32),
        )


def _softmax(values: NDArray[np.floating]) -> Floats:
    above = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(above / above.sum(axis=-1, keepdims=True), np.float32)
