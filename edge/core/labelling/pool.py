"""The observations that a labelling rule chooses from, and how far they lie from each other."""

from collections.abc import Sequence
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from ..structs import FrozenStruct

Floats = NDArray[np.float32]
Ints = NDArray[np.intp]

NEIGHBOURS: Final = 20
"""Nearest observations whose mean distance measures density (TypiClust, section 3: 20)."""


class PoolSpace(FrozenStruct, frozen=True, eq=False):
    """Rows of a pool in one space.

    rows: float32 [n, width].  squared: squared distances [n, n].  typical: minus the mean distance
    to the nearest `NEIGHBOURS`, [n].  kernel: similarities 0 to 1, [n, n], Gaussian with the mean
    squared distance to these neighbours as its variance.
    """

    rows: Floats
    squared: Floats
    typical: Floats
    kernel: Floats

    @classmethod
    def of(cls, rows: Floats) -> Self:
        """Measure rows [n, width], n at least 1.  Cost: n^2 width."""
        apart = squared_distances(rows, rows)
        np.fill_diagonal(apart, 0)
        near = np.sort(apart, axis=1)[:, 1 : 1 + min(NEIGHBOURS, len(rows) - 1)]
        if not near.shape[1]:
            near = np.zeros((len(rows), 1), np.float32)
        typical = -np.sqrt(near).mean(axis=1)
        scale = float(near.mean()) or 1.0
        return cls(rows, apart, typical, np.exp(apart * np.float32(-0.5 / scale)))

    @classmethod
    def of_levels(cls, levels: NDArray[np.uint8], slices: Sequence[tuple[int, int]]) -> Self:
        """Measure features uint8 [n, width] by standardised columns, with equal weight for each of
        the encoder's taps (start, stop)."""
        rows = levels.astype(np.float32)
        # One level of resolution, so that constant columns are not divided by zero.
        rows = (rows - rows.mean(axis=0)) / (rows.std(axis=0) + 1)
        for start, stop in slices:
            rows[:, start:stop] /= np.float32(np.sqrt(stop - start))
        return cls.of(np.asarray(rows, np.float32))


class LabellingPool(FrozenStruct, frozen=True, eq=False, kw_only=True):
    """The unlabelled and labelled observations of one domain, n at least 1.

    features: the standardised features.  described: the answers of the nearest learned domains, or
    the features where there are none.  answers: float32 [n, k], the scores of the head that serves,
    by label; k may be 0 before the first label.  labelled: rows with a label, in the order given.
    given: column of `answers` of each one's label, -1 if it has none.
    """

    features: PoolSpace
    described: PoolSpace
    answers: Floats
    labelled: tuple[int, ...] = ()
    given: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.features.rows)

    def unlabelled(self) -> Ints:
        """Return the rows without a label, ascending."""
        free = np.ones(len(self), np.bool_)
        free[list(self.labelled)] = False
        return np.flatnonzero(free)


def squared_distances(rows: Floats, centres: Floats) -> Floats:
    """Squared Euclidean distances [n, k]."""
    norms = np.square(rows).sum(axis=1)[:, None] + np.square(centres).sum(axis=1)
    return np.asarray(np.maximum(norms - 2 * rows @ centres.T, 0))
