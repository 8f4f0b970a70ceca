"""Typical and diverse observations, as in TypiClust (Hacohen, Dekel & Weinshall 2022, "Active
learning on a budget: opposite strategies suit high and low budgets", section 3).

Rows are clustered into as many groups as there will be labels; from each cluster without a label,
large ones first, the row in the densest place is chosen.
"""

from typing import Final

import numpy as np

from .pool import NEIGHBOURS, Floats, Ints, LabellingPool, squared_distances

KMEANS_ROUNDS: Final = 10
"""Rounds of k-means: few, since clusters only diversify the choice.  Chosen by hand; effect not
measured."""


class TypicalFeatures:
    """Typical and diverse in the space of the features, as published."""

    def __init__(self, seed: int = 0) -> None:
        """seed: unused."""
        del seed

    def choose(self, pool: LabellingPool, count: int) -> tuple[int, ...]:
        """See `LabellingRule`.  Cost: that of `choose_candidates`."""
        return _chosen(pool.features.rows, pool, count)


class TypicalAnswers:
    """Typical and diverse in the space of the answers that the nearest learned domains give:
    observations that are answered alike share their mistakes."""

    def __init__(self, seed: int = 0) -> None:
        """seed: unused."""
        del seed

    def choose(self, pool: LabellingPool, count: int) -> tuple[int, ...]:
        """See `LabellingRule`.  Cost: that of `choose_candidates`."""
        return _chosen(pool.described.rows, pool, count)


def _chosen(rows: Floats, pool: LabellingPool, count: int) -> tuple[int, ...]:
    """Choose with the labelled rows first."""
    order = np.concatenate([np.array(pool.labelled, np.intp), pool.unlabelled()])
    found = choose_candidates(rows[order], count, len(pool.labelled))
    chosen = [int(order[at]) for at in found]
    # Clusters may be fewer than labels where rows are equal: the rest in order.
    taken = {*chosen, *pool.labelled}
    rest = [row for row in range(len(pool)) if row not in taken]
    return tuple((chosen + rest)[:count]) if count > 0 else ()


def choose_candidates(scores: Floats, count: int, labelled: int = 0) -> tuple[int, ...]:
    """Return the rows of scores [n, m] most worth a label, best first, at most `count`.

    labelled: the first rows, which have labels already and are not chosen again.  Cost: n^2 + 10 n
    k distances, k = labelled + count.  Deterministic for the same rows in the same order.
    """
    if len(scores) <= labelled or count < 1:
        return ()
    clusters = min(labelled + count, len(scores))
    member = _kmeans(scores, clusters)
    taken = np.bincount(member[:labelled], minlength=clusters)
    sizes = np.bincount(member[labelled:], minlength=clusters)
    order = sorted(range(clusters), key=lambda at: (taken[at], -sizes[at], at))
    unlabelled = (labelled + np.flatnonzero(member[labelled:] == at) for at in order)
    chosen = (_most_typical(scores, members) for members in unlabelled if len(members))
    return tuple(chosen)[:count]


def _kmeans(rows: Floats, count: int) -> Ints:
    """Return each row's cluster, by k-means started from rows far from each other."""
    centres = rows[_k_centres(rows, count)]
    member: Ints = squared_distances(rows, centres).argmin(axis=1)
    for _ in range(KMEANS_ROUNDS):
        for at in range(count):
            if (member == at).any():
                centres[at] = rows[member == at].mean(axis=0)
        moved = squared_distances(rows, centres).argmin(axis=1)
        if (moved == member).all():
            break
        member = moved
    return member


def _k_centres(rows: Floats, count: int) -> list[int]:
    """Return rows far from each other (greedy k-centres, Gonzalez 1985), starting with the row
    nearest to zero: the least committed answer."""
    chosen = [int(np.square(rows).sum(axis=1).argmin())]
    away = squared_distances(rows, rows[chosen])[:, 0]
    while len(chosen) < count:
        chosen.append(int(away.argmax()))
        away = np.minimum(away, squared_distances(rows, rows[chosen[-1:]])[:, 0])
    return chosen


def _most_typical(rows: Floats, members: Ints) -> int:
    """Return the row in the densest place among a cluster's members, at least one."""
    apart = np.sort(np.sqrt(squared_distances(rows[members], rows[members])), axis=1)
    density = apart[:, 1 : 1 + min(NEIGHBOURS, len(members) - 1)]
    return int(members[density.mean(axis=1).argmin() if density.shape[1] else 0])
