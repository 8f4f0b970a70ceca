"""Clusters of a pool's facts by whole numbers alone."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .pool import FactPool, Ints, Rows

Reals = NDArray[np.float64]

ROUNDS: Final = 10
"""Rounds of Lloyd's algorithm: a bound; a few settle.  Chosen by hand; effect not measured."""


def cluster(points: Ints, pool: FactPool, count: int) -> tuple[Ints, Ints]:
    """Return the cluster of each point and the squared distances int64 [n, clusters].

    points: int64 [n, width], whose products with each other stay below 2^53.  k-means (Lloyd
    1982), begun at the point closest to the mean and then at points farthest from those; centres
    are rounded down to whole numbers.
    """
    rows = points.astype(np.float64)
    squares = (rows * rows).sum(axis=1).astype(np.int64)
    centres = rows[_begin(rows, squares, pool, count)]
    far = _apart(rows, squares, centres)
    assigned = far.argmin(axis=1)
    for _ in range(ROUNDS):
        members = np.eye(len(centres))[assigned]
        sizes = np.maximum(members.sum(axis=0), 1)[:, None]
        moved = np.floor(members.T @ rows / sizes)
        centres = np.where(members.any(axis=0)[:, None], moved, centres)
        far = _apart(rows, squares, centres)
        found = far.argmin(axis=1)
        if np.array_equal(found, assigned):
            break
        assigned = found
    return assigned.astype(np.int64), far


def _apart(rows: Reals, squares: Ints, centres: Reals) -> Ints:
    """Return the squared distances of rows from centres."""
    lengths = (centres * centres).sum(axis=1).astype(np.int64)
    return np.asarray(squares[:, None] + lengths - 2 * (rows @ centres.T).astype(np.int64))


def _begin(rows: Reals, squares: Ints, pool: FactPool, count: int) -> Rows:
    every = np.arange(len(rows))
    chosen = [pool.first(squares, every)]
    nearest = np.full(len(rows), np.iinfo(np.int64).max)
    while len(chosen) < count:
        last = chosen[-1]
        far = squares + squares[last] - 2 * (rows @ rows[last]).astype(np.int64)
        nearest = np.minimum(nearest, far)
        chosen.append(pool.first(-nearest, every))
    return np.array(chosen)
