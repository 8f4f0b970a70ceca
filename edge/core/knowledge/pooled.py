"""Answers for domains known by sums: a linear discriminant from moments, without any fact.

All concepts of the fleet share one scatter within classes (Fisher 1936; Hayes & Kanan 2020,
"Lifelong machine learning with deep streaming linear discriminant analysis", section 3), shrunk
towards its diagonal (Friedman 1989).  Facts that came one by one or as sums give the same numbers.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

import hdc

from .moments import Moments

SHRINKAGE: Final = 0.1
"""Share of the diagonal, in units of the average column's own scatter; docs/howto/fleet.md has the
measurement."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class PooledDiscriminant:
    """An adaptor that answers from sums.  factor, weights, bias: of the first tap's columns."""

    labels: tuple[str, ...]
    factor: Floats = field(repr=False)
    weights: Floats = field(repr=False)
    bias: Floats = field(repr=False)

    @property
    def nbytes(self) -> int:
        """Bytes of its parameters."""
        return int(self.factor.nbytes + self.weights.nbytes + self.bias.nbytes)

    @property
    def operations(self) -> int:
        """Multiply-adds a sample."""
        return int(self.weights.size + self.factor.size)

    def answer(self, features: NDArray[np.uint8]) -> Floats:
        """Probabilities float32 [..., labels] of uint8 [..., width] features."""
        rows = features[..., : len(self.factor)] * self.factor
        return _softmax(rows @ self.weights + self.bias)


@dataclass(frozen=True, slots=True, eq=False)
class NearestConceptAnswer:
    """An adaptor that answers with the nearest concept: where columns are too many for a Gram."""

    labels: tuple[str, ...]
    domain: str
    memory: hdc.Memory = field(repr=False)

    @property
    def nbytes(self) -> int:
        """It has no parameters beside the concepts."""
        return 0

    @property
    def operations(self) -> int:
        """Bits compared a sample."""
        return len(self.labels) * self.memory.geometry.bits

    def answer(self, features: NDArray[np.uint8]) -> Floats:
        """Shares float32 [..., labels] that fall with the distance to each concept."""
        rows = features.reshape(-1, features.shape[-1])
        columns = np.array([self.memory.keys.index((self.domain, name)) for name in self.labels])
        scores = self.memory.score(self.memory.geometry.project(rows), only=columns)
        found = _softmax((-scores / hdc.ONE).astype(np.float32))
        return found.reshape(*features.shape[:-1], len(self.labels))


class PooledAnswers:
    """The shared scatter, inverted once.  Cost: about columns^3 multiply-adds."""

    def __init__(self, moments: Moments) -> None:
        self._moments = moments
        total = sum(moments.counts.values())
        within = moments.gram.astype(np.float64)
        for concept, row in moments.sums.items():
            mean = row / moments.counts[concept]
            within -= np.outer(row, mean)
        within /= max(1, total - len(moments.counts))
        # The one quantisation step that cannot be told apart keeps dead columns quiet.
        self._factor = 1 / (np.sqrt(np.maximum(np.diagonal(within), 0)) + 1)
        within *= self._factor
        within *= self._factor[:, None]
        share = SHRINKAGE * max(float(np.trace(within)) / len(within), 1e-3)
        within.flat[:: len(within) + 1] += share
        self._inverse = np.linalg.inv(within)

    def discriminant(self, domain: str) -> PooledDiscriminant:
        """Solve for the labels of a domain, equally likely."""
        held = sorted(concept for concept in self._moments.counts if concept[0] == domain)
        means = np.array([self._moments.sums[c] / self._moments.counts[c] for c in held])
        rows = means * self._factor
        weights = self._inverse @ rows.T
        bias = -0.5 * np.einsum("cw,wc->c", rows, weights)
        return PooledDiscriminant(
            tuple(label for _, label in held),
            self._factor.astype(np.float32),
            weights.astype(np.float32),
            bias.astype(np.float32),
        )


def _softmax(values: NDArray[np.floating]) -> Floats:
    above = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(above / above.sum(axis=-1, keepdims=True), np.float32)
