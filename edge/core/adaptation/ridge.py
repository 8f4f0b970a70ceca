"""Ridge regression from sums: of the facts, with those of pseudo-facts added."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..structs import FrozenStruct

Doubles = NDArray[np.float64]


class RidgeSums(FrozenStruct, frozen=True, eq=False):
    """Sums of inputs and targets, from which a ridge regression with an intercept follows.

    gram: float64 [inputs + 1, inputs + 1], products of the inputs and a constant 1, which comes
    last.  products: float64 [inputs + 1, targets].
    """

    gram: Doubles
    products: Doubles

    @classmethod
    def of(
        cls,
        inputs: Doubles,
        targets: NDArray[np.floating],
        weights: NDArray[np.floating] | None = None,
    ) -> Self:
        """Sum inputs [n, inputs] and targets [n, targets].  weights: of the rows [n], 1 each by
        default."""
        rows = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
        weighted = rows if weights is None else rows * weights[:, None]
        return cls(weighted.T @ rows, weighted.T @ targets)

    def __add__(self, other: "RidgeSums") -> "RidgeSums":
        return RidgeSums(self.gram + other.gram, self.products + other.products)

    def __sub__(self, other: "RidgeSums") -> "RidgeSums":
        return RidgeSums(self.gram - other.gram, self.products - other.products)

    @property
    def energy(self) -> float:
        """Mean squared length of a row about the mean."""
        count, total = self.gram[-1, -1], np.trace(self.gram[:-1, :-1])
        return float((total - np.square(self.gram[-1, :-1]).sum() / count) / count)

    def solve(self, penalty: float) -> tuple[Doubles, Doubles]:
        """Return weights [inputs, targets] and intercepts [targets].  penalty: above 0."""
        count = self.gram[-1, -1]
        mean, level = self.gram[-1, :-1] / count, self.products[-1] / count
        gram = self.gram[:-1, :-1] - count * np.outer(mean, mean)
        gram.flat[:: len(gram) + 1] += penalty + 1e-9
        weights = np.linalg.solve(gram, self.products[:-1] - count * np.outer(mean, level))
        return weights, level - mean @ weights
