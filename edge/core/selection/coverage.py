"""Coverage: no fact that leaves is far from one that stays."""

import numpy as np

from .pool import FactPool, Rows


def coverage(pool: FactPool, count: int) -> Rows:
    """Keep the centres of the greedy k-centre algorithm (Gonzalez 1985, "Clustering to minimize the
    maximum intercluster distance"; as a coreset, Sener & Savarese 2018, algorithm 1): first the
    fact closest to all others, then always the fact farthest from those chosen."""
    distances = pool.distances
    free = np.ones(len(pool), np.bool_)
    taken = pool.first(distances.sum(axis=0), np.flatnonzero(free))
    nearest = distances[taken]
    for _ in range(count - 1):
        free[taken] = False
        taken = pool.first(-nearest, np.flatnonzero(free))
        nearest = np.minimum(nearest, distances[taken])
    free[taken] = False
    return np.flatnonzero(~free)
