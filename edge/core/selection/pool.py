"""The facts of one full concept among which a selector chooses, and exact geometry on them.

Every number is a whole number far below 2^53: products in float64 are exact in any order of
addition, so each machine chooses the same facts.
"""

from dataclasses import dataclass, field
from functools import cached_property
from math import isqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]
Ints = NDArray[np.int64]

ROOT_UNIT: Final = 64
"""Square roots of levels are whole numbers in units of 1 / 64."""

ROOTS: Final = np.array([isqrt(level * ROOT_UNIT**2) for level in range(256)], np.int64)
"""The root of each level: the variance of activations grows with them, as heads assume too."""


@dataclass(frozen=True, eq=False)
class FactPool:
    """Facts of one concept, the oldest first.

    features: uint8 [n, width]; [n, 0] for selectors that read none.  ranks: uint64 [n], a keyed
    hash of each fact's id, which breaks ties.
    """

    features: NDArray[np.uint8] = field(repr=False)
    ranks: NDArray[np.uint64] = field(repr=False)

    def __len__(self) -> int:
        return len(self.ranks)

    @cached_property
    def coordinates(self) -> Ints:
        """Roots of levels around the mean of their column, rounded up: int64 [n, width]."""
        roots = ROOTS[self.features]
        return np.asarray(roots - roots.sum(axis=0) // max(1, len(roots)))

    @cached_property
    def products(self) -> Ints:
        """Inner products of all pairs: int64 [n, n].  Cost: n^2 x width multiply-adds."""
        rows = self.coordinates.astype(np.float64)
        return np.asarray((rows @ rows.T).astype(np.int64))

    @cached_property
    def distances(self) -> Ints:
        """Squared distances of all pairs: int64 [n, n]."""
        squares = np.diagonal(self.products)
        return np.asarray(squares[:, None] + squares - 2 * self.products)

    def select(self, rows: Rows) -> "FactPool":
        """Return the pool of some rows."""
        return FactPool(self.features[rows], self.ranks[rows])

    def first(self, costs: Ints, rows: Rows) -> int:
        """Return the one of these rows that costs least; of equal ones, the one ranked lowest."""
        found = costs[rows]
        equal = rows[found == found.min()]
        return int(equal[self.ranks[equal].argmin()])
