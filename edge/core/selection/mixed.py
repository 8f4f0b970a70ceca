"""A random sample, and the facts farthest from it."""

from typing import Final

import numpy as np

from .pool import FactPool, Rows
from .ranked import random

FAR: Final = 4
"""One fact in so many is kept for being far from the others.  Of one half, a quarter and none, the
quarter gains most where it loses little (docs/explanation/selection.md)."""


def mixed(pool: FactPool, count: int) -> Rows:
    """Keep a uniform sample of all facts ever learned, and for the other places always the fact
    farthest from those kept (the greedy k-centre algorithm, begun with the sample).

    Coverage alone drifts towards outliers, since each choice is among earlier choices; the sample
    does not, whatever was chosen before.
    """
    kept = random(pool, count - count // FAR)
    free = np.ones(len(pool), np.bool_)
    free[kept] = False
    nearest = pool.distances[kept].min(axis=0)
    for _ in range(count // FAR):
        taken = pool.first(-nearest, np.flatnonzero(free))
        free[taken] = False
        nearest = np.minimum(nearest, pool.distances[taken])
    return np.flatnonzero(~free)
