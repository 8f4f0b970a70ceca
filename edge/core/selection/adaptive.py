"""Clusters, the most telling score in each of them, and redundant facts that leave first."""

from collections.abc import Sequence
from math import prod
from typing import Final

import numpy as np

from .clusters import cluster
from .pool import FactPool, Ints, Rows

CLUSTERS_MAX: Final = 10
"""Pseudo-skills: the default of the authors' program."""

BINS: Final = 50
"""Bins of the histograms and strata, as in the authors' program."""

DIRECTION: Final = 1024
"""Units of a direction of length 1: fine enough for cosines.  Chosen by hand; effect not
measured."""

TAIL: Final = 20
"""One in so many scores at either end is no stratum of its own, as in the authors' program."""

DEVIATIONS: Final = 4
"""The histogram spans so many deviations on either side of the mean, as in the authors' program."""


def adaptive(pool: FactPool, count: int) -> Rows:
    """Keep facts as Adapt-∞ does (Maharana et al. 2024, arXiv 2410.10636; read: the abstract, and
    `cluster`, `semdedup`, `get_mwp_score`, `get_dist_entropy`, `get_ccs_samples` and
    `assign_budget_to_cluster` of the authors' program).

    Facts are grouped by the direction of their gradient.  Each cluster gets an equal share of the
    places.  In it, those most similar to an older fact are pruned; of a few scores, the one whose
    distribution has the highest entropy is the cluster's own, and the rest is sampled over strata
    of it.

    The gradient of a head is (p - y) x x^T summed over classes; facts of one label share y, and on
    unit length the residual cancels, which leaves the direction of the centred features.  Other
    than in the paper, nothing is kept for later: pruned and unselected facts leave alike.
    """
    squares = np.diagonal(pool.products)
    lengths = np.maximum(np.sqrt(squares.astype(np.float64)).astype(np.int64), 1)
    directions = pool.coordinates * DIRECTION // lengths[:, None]
    number = min(CLUSTERS_MAX, max(1, count // 2))
    assigned, far = cluster(directions, pool, number)
    sizes = np.bincount(assigned, minlength=number)
    scores = _scores(pool, lengths, far[np.arange(len(pool)), assigned])
    kept: list[Rows] = []
    for place, share in enumerate(share_places(sizes, count)):
        rows = np.flatnonzero(assigned == place)
        if share:
            left = _prune(directions, rows, (len(rows) + share + 1) // 2)
            kept.append(_sample(pool, most_telling([one[left] for one in scores]), left, share))
    return np.sort(np.concatenate(kept))


def _scores(pool: FactPool, lengths: Ints, centre: Ints) -> tuple[Ints, ...]:
    """Return what the head can tell of a fact: its error (distance from the label's mean; EL2N,
    Paul et al. 2021), the length of its gradient, its distance from the cluster's centre, and from
    the nearest other fact."""
    apart = pool.distances.copy()
    np.fill_diagonal(apart, apart.max(initial=0))
    levels = pool.features.astype(np.int64)
    norms = np.sqrt((levels * levels).sum(axis=1).astype(np.float64)).astype(np.int64)
    return lengths, lengths * norms, centre, apart.min(axis=1)


def share_places(sizes: Ints, count: int) -> list[int]:
    """Return how many facts each cluster keeps: as many as the others, or all that it has."""
    shares, left = [0] * len(sizes), count
    for done, place in enumerate(np.argsort(sizes, kind="stable").tolist()):
        shares[place] = min(int(sizes[place]), left // (len(sizes) - done))
        left -= shares[place]
    return shares


def _prune(directions: Ints, rows: Rows, count: int) -> Rows:
    """Return the rows least similar to any older one, by the cosine of their directions."""
    mine = directions[rows].astype(np.float64)
    cosines = np.triu(mine @ mine.T, 1).max(axis=0, initial=0)
    return np.sort(rows[np.argsort(cosines, kind="stable")[:count]])


def most_telling(scores: Sequence[Ints]) -> Ints:
    """Return the scores whose histogram has the highest entropy, the first of equal ones.

    log N - sum of c log c / N is highest where the product of c^c is lowest: a whole number.
    """
    return min(scores, key=lambda one: prod(c**c for c in _histogram(one).tolist()))


def _histogram(scores: Ints) -> Ints:
    """Count scores in bins over four deviations on either side of their mean."""
    mean = int(scores.sum()) // len(scores)
    away = scores - mean
    variance = int((away.astype(object) ** 2).sum()) // len(scores)
    reach = max(1, DEVIATIONS * int(np.sqrt(float(variance))))
    bins = np.clip((away + reach) * BINS // (2 * reach), 0, BINS - 1)
    return np.bincount(bins, minlength=BINS)


def _sample(pool: FactPool, scores: Ints, rows: Rows, count: int) -> Rows:
    """Return facts from strata of equal width, the highest first, each with an equal share of the
    places left (coverage-centric selection, Zheng et al. 2023)."""
    ordered = np.sort(scores)
    low, high = int(ordered[len(rows) // TAIL]), int(ordered[-1 - len(rows) // TAIL])
    width = max(1, -(-(high - low) // BINS))
    stratum = np.clip((high - scores) // width, 0, BINS - 1)
    by_rank = np.argsort(pool.ranks[rows], kind="stable")
    chosen: list[int] = []
    for number in range(BINS):
        places = -(-(count - len(chosen)) // (BINS - number))
        chosen += [row for row in by_rank.tolist() if stratum[row] == number][:places]
    others = [row for row in by_rank.tolist() if row not in set(chosen)]
    return rows[[*chosen, *others][:count]]
