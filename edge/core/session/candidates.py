"""Which few of many unlabelled observations are most worth a label.

Typical and different: TypiClust (Hacohen, Dekel & Weinshall 2022, "Active learning on a budget:
opposite strategies suit high and low budgets", section 3), in the space of the answers that the
nearest known domains give: near each other are observations that are answered alike, and so share
their mistakes.  They are split into as many clusters as there will be labels; of each cluster
without a label, large ones first, the observation in the densest place is chosen.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS: Final = 20
"""Nearest observations whose mean distance says how dense a place is (Hacohen et al.: 20)."""

ROUNDS: Final = 10
"""Rounds of k-means: few, as the clusters only spread the choice."""

Floats = NDArray[np.float32]


def score_candidates(answers: Sequence[Floats]) -> Floats:
    """Put the answers of several domains side by side: float32 [n, all labels].

    answers: of one domain each, float32 [n, labels].  Only what tells labels apart counts.
    """
    apart = [scores - scores.mean(axis=1, keepdims=True) for scores in answers]
    return np.concatenate([scores / (scores.std() + 1e-6) for scores in apart], axis=1)


def choose_candidates(outlooks: Floats, count: int, labelled: int = 0) -> tuple[int, ...]:
    """Return the rows of outlooks [n, m] most worth a label, best first, at most `count`.

    labelled: the first rows, which have labels already and are not chosen again.  Cost: n^2 + 10 n
    k distances, k = labelled + count.  The same rows in the same order give the same choice.
    """
    if len(outlooks) <= labelled or count < 1:
        return ()
    clusters = min(labelled + count, len(outlooks))
    member = _clusters(outlooks, clusters)
    taken = np.bincount(member[:labelled], minlength=clusters)
    sizes = np.bincount(member[labelled:], minlength=clusters)
    order = sorted(range(clusters), key=lambda at: (taken[at], -sizes[at], at))
    free = (labelled + np.flatnonzero(member[labelled:] == at) for at in order)
    chosen = (_typical(outlooks, members) for members in free if len(members))
    return tuple(chosen)[:count]


def _distances(rows: Floats, centres: Floats) -> Floats:
    """Squared Euclidean distances [n, k]."""
    norms = np.square(rows).sum(axis=1)[:, None] + np.square(centres).sum(axis=1)
    return np.asarray(np.maximum(norms - 2 * rows @ centres.T, 0))


def _clusters(rows: Floats, count: int) -> NDArray[np.intp]:
    """Return each row's cluster, by k-means from rows far from each other."""
    centres = rows[_spread(rows, count)]
    member: NDArray[np.intp] = _distances(rows, centres).argmin(axis=1)
    for _ in range(ROUNDS):
        for at in range(count):
            if (member == at).any():
                centres[at] = rows[member == at].mean(axis=0)
        moved = _distances(rows, centres).argmin(axis=1)
        if (moved == member).all():
            break
        member = moved
    return member


def _spread(rows: Floats, count: int) -> list[int]:
    """Return rows far from each other, the one nearest to zero first (k-centre greedy, Gonzalez
    1985): an outlook of nothing in particular, in the middle of all."""
    chosen = [int(np.square(rows).sum(axis=1).argmin())]
    away = _distances(rows, rows[chosen])[:, 0]
    while len(chosen) < count:
        chosen.append(int(away.argmax()))
        away = np.minimum(away, _distances(rows, rows[chosen[-1:]])[:, 0])
    return chosen


def _typical(rows: Floats, members: NDArray[np.intp]) -> int:
    """Return the row in the densest place among the members, one at least, of a cluster."""
    apart = np.sort(np.sqrt(_distances(rows[members], rows[members])), axis=1)
    density = apart[:, 1 : 1 + min(NEIGHBOURS, len(members) - 1)]
    return int(members[density.mean(axis=1).argmin() if density.shape[1] else 0])
