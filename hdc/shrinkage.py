"""Means and deviations of few samples, shrunk towards those of all, in whole numbers.

A sample that helps to estimate a mean and a deviation looks a little too typical under them.  So
held-out samples are also judged by estimates that leave each of them out.
"""

import numpy as np

from .integers import ONE, Ints, mean, root

CENTRE_PRIOR = 50
"""Weight of the domain's mean distance in a concept's own mean, in samples.  5 loses 0.1 points of
AUROC on PACS and 0.6 on its worst pair, 1,000 loses 1.5 there (docs/decisions/0002)."""

SPREAD_PRIOR = 50
"""Weight of the domain's variance in a concept's own variance, in samples; measured with
CENTRE_PRIOR."""

EXEMPLAR_PRIOR = 1000
"""The same two weights for the distances to the nearest exemplar: a neighbour is as near in a wide
class as in a narrow one.  20 loses 0.3 points of AUROC over 18 sets (docs/decisions/0002)."""

REFERENCE_PRIORS = (5, 20)
"""Weights of the domain's mean and variance in the reference scores of a concept, in samples.
Chosen by hand; effect not measured."""

DISTANCE_MAX = 1 << 24
"""Longest distance that scales are estimated from: columns have none longer, and sums of 2^14
squares stay below 2^63."""

DEVIATION_MAX = 1 << 20
"""Largest deviation of a held-out score, 1,024 standard deviations: identical samples have no
spread, and sums of 2^20 squares stay below 2^63."""


def shrunk_scales(
    own: list[Ints], centre_prior: int = CENTRE_PRIOR, spread_prior: int = SPREAD_PRIOR
) -> tuple[Ints, list[Ints]]:
    """Estimate mean and deviation of the distances, int64 [labels, blocks, 2], each shrunk towards
    those of all labels, which weigh as much as `centre_prior` and `spread_prior` samples.

    Also return the distances as they look on scales that exclude each sample itself: a sample that
    helps to estimate a scale looks a little too typical on it, and a fresh one does not.
    """
    own = [np.minimum(rows, DISTANCE_MAX) for rows in own]
    together = np.concatenate(own)
    centre = mean(together.sum(axis=0), len(together))
    variance = mean(np.square(together - centre).sum(axis=0), len(together))
    made = np.empty((len(own), together.shape[1], 2), dtype=np.int64)
    corrected = []
    for place, rows in enumerate(own):
        moved, count = rows - centre, len(rows)
        sums, squares = moved.sum(axis=0), np.square(moved).sum(axis=0)
        priors = centre_prior, spread_prior * variance, spread_prior
        shift, spread = _shrunk_moments(sums, squares, count, priors)
        made[place, :, 0], made[place, :, 1] = shift + centre, spread
        rest = sums - moved, squares - np.square(moved)
        shift_without, spread_without = _shrunk_moments(*rest, max(0, count - 1), priors)
        units = (moved - shift_without) * ONE // spread_without
        corrected.append(shift + centre + units * spread // ONE)
    return made, corrected


def _shrunk_moments(
    sums: Ints, squares: Ints, count: int, priors: tuple[int, Ints, int]
) -> tuple[Ints, Ints]:
    """Return mean and deviation of `count` numbers with these sums, shrunk towards 0 and towards a
    variance.  priors: weight of 0, weighted variance, its weight."""
    centre_prior, weighted, spread_prior = priors
    centre = mean(sums, count + centre_prior)
    apart = squares - 2 * centre * sums + count * np.square(centre)
    spread = root(mean(apart + weighted, count + spread_prior))
    return centre, np.maximum(spread, 1)


def shrunk_reference(scores: Ints, centre: int, variance: int) -> tuple[int, int, int]:
    """Return count, mean and deviation of a concept's scores, shrunk towards the domain's."""
    count, (centre_prior, spread_prior) = len(scores), REFERENCE_PRIORS
    own = int(mean(scores.sum() + centre_prior * centre, count + centre_prior))
    squares = np.square(scores - own).sum() + spread_prior * variance
    return count, own, max(1, int(root(mean(squares, count + spread_prior))))


def held_out_deviations(scores: Ints, centre: int, variance: int) -> Ints:
    """Return the deviations of scores from references that exclude each score itself: the highest
    of few scores widens its own reference, and a fresh one does not."""
    moved, (centre_prior, spread_prior) = scores - centre, REFERENCE_PRIORS
    weighted = np.asarray(spread_prior * variance, dtype=np.int64)
    squares = np.square(moved)
    own, spread = _shrunk_moments(
        moved.sum() - moved,
        squares.sum() - squares,
        max(0, len(scores) - 1),
        (centre_prior, weighted, spread_prior),
    )
    found = (moved - own) * ONE // spread
    return np.asarray(np.clip(found, -DEVIATION_MAX, DEVIATION_MAX), dtype=np.int64)
