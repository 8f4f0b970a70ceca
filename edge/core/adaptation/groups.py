"""Several domains in one opening: samples that fall into groups apart from each other are centred
each group by itself (the role of components in UnMix-TNS, Tomar et al. 2024)."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

GROUPS_MAX: Final = 4
"""Groups of an opening at most.  Chosen by hand."""

GROUP_SAMPLES_MIN: Final = 64
"""Samples that are split.  Chosen by hand."""

GROUP_SHARE_MIN: Final = 0.1
"""Least share of the smaller of two groups: fewer may be outliers.  Chosen by hand."""

WITHIN_SHARE_MAX: Final = 0.16
"""Share of the variance along the line between two groups that lies within them, up to which they
are apart.  A normal distribution cut in two has 0.36.  Of the development streams of
docs/explanation/adaptation.md, those with several domains have 0.08 to 0.16, and those with one
that pass `OVERLAP_MIN` 0.174 or more, but for one of sketches in correlated order."""

OVERLAP_MIN: Final = 0.62
"""Share of the classes that two groups have in common at least: domains share their classes, and
groups that do not are classes that moved each in its own way.  Development streams have 0.66 or
more with several domains, 0.54 with sketches known, and 0.06 to 0.59 where one domain was split."""

ROUNDS: Final = 15
"""Rounds of two-means.  Chosen by hand; effect not measured."""

Doubles = NDArray[np.float64]
Numbers = NDArray[np.intp]


def find_groups(residuals: Doubles, assigned: Doubles) -> Numbers:
    """Return the group of each sample, [n], numbered from 0.

    residuals: float64 [n, directions], of the samples from their classes; assigned: [n, labels],
    probabilities of these.  A group is split in two as long as these are apart on samples that they
    were not found on, and have classes in common.
    """
    found = np.zeros(len(residuals), np.intp)
    waiting, count = [0], 1
    while waiting and count < GROUPS_MAX:
        group = waiting.pop(0)
        rows = np.flatnonzero(found == group)
        if len(rows) < GROUP_SAMPLES_MIN or not _are_apart(residuals[rows]):
            continue
        sides = _two_means(residuals[rows])
        if _overlap(assigned[rows], sides) < OVERLAP_MIN:
            continue
        found[rows[sides]] = count
        waiting += [group, count]
        count += 1
    return found


def _are_apart(rows: Doubles) -> bool:
    """Return whether two groups found on every second sample are apart on the others."""
    halves, others = rows[::2], rows[1::2]
    sides = _two_means(halves)
    if min(sides.sum(), (~sides).sum()) < GROUP_SHARE_MIN * len(sides):
        return False
    means = halves[~sides].mean(axis=0), halves[sides].mean(axis=0)
    line = _discriminant(halves - np.where(sides[:, None], means[1], means[0]), means[1] - means[0])
    # Nearer to the second mean: beyond the middle of the line.
    along = others @ line
    beyond = along > line @ (means[0] + means[1]) / 2
    if min(beyond.sum(), (~beyond).sum()) < GROUP_SHARE_MIN * len(others):
        return False
    within = beyond.mean() * along[beyond].var() + (~beyond).mean() * along[~beyond].var()
    return bool(within <= WITHIN_SHARE_MAX * along.var())


def _discriminant(within: Doubles, apart: Doubles) -> Doubles:
    """Return the line along which two groups are apart the most for their variance (Fisher 1936).

    within: float64 [n, directions], of samples from the mean of their group; apart: of the means.
    """
    covariance = within.T @ within
    covariance.flat[:: len(covariance) + 1] += np.trace(covariance) / len(covariance) + 1e-9
    return np.asarray(np.linalg.solve(covariance, apart))


def _overlap(assigned: Doubles, sides: NDArray[np.bool_]) -> float:
    """Return the share of the classes that two sides have in common."""
    if sides.all() or not sides.any():
        return 0.0
    there, here = assigned[sides].mean(axis=0), assigned[~sides].mean(axis=0)
    return float(np.minimum(there, here).sum())


def _two_means(rows: Doubles) -> NDArray[np.bool_]:
    """Return which rows belong to the second of two groups, from a cut across the first principal
    direction on (MacQueen 1967)."""
    centred = rows - rows.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    # The sign of a direction is arbitrary; the groups' numbers must not depend on it.
    line = vectors[:, -1] * (1.0 if vectors[np.abs(vectors[:, -1]).argmax(), -1] > 0 else -1.0)
    sides = np.asarray(centred @ line > 0)
    for _ in range(ROUNDS):
        if sides.all() or not sides.any():
            break
        first, second = rows[~sides].mean(axis=0), rows[sides].mean(axis=0)
        nearer = (rows - (first + second) / 2) @ (second - first) > 0
        if np.array_equal(nearer, sides):
            break
        sides = nearer
    return sides
