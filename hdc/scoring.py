"""From the distances of several blocks to one number: how new a sample is to a concept."""

from collections.abc import Iterable
from math import isqrt

import numpy as np

from .integers import Ints, root

ONE = 1024
BELOW = 2 * ONE
_LIMIT = 1 << 16


def combine(distances: Ints, scales: Ints, votes: Ints) -> Ints:
    """Joint novelty int64 [...] of distances [..., blocks] with scales [..., blocks, 2].

    Each distance becomes deviations from its usual value in units of its spread; the score is the
    root of the sum of squares of what exceeds two spreads below the usual, 1,024 a unit. Squares
    let one block that is far off speak for itself; a sum lets several that are a little off.
    votes: int64 [blocks], how often each block counts.
    """
    return combine_on(distances, offsets(scales), scales[..., 1], votes)


def offsets(scales: Ints) -> Ints:
    """What `combine_on` adds to distances [..., blocks] before it divides by the spreads."""
    return BELOW * scales[..., 1] - ONE * scales[..., 0]


def combine_on(distances: Ints, offset: Ints, spreads: Ints, votes: Ints) -> Ints:
    """`combine`, of scales that are prepared: what is usual as `offsets`, and spreads."""
    above = distances * ONE + offset
    above //= spreads
    np.maximum(above, 0, out=above)
    np.minimum(above, _LIMIT, out=above)
    return root(np.square(above, out=above) @ votes)


def combine_one(distances: Iterable[int], scales: Iterable[list[int]], votes: Iterable[int]) -> int:
    """`combine` of one sample and one concept, for the few numbers that arrays are slow with."""
    total = 0
    for distance, (usual, spread), vote in zip(distances, scales, votes, strict=True):
        above = min(max((distance - usual) * ONE // spread + BELOW, 0), _LIMIT)
        total += vote * above * above
    return isqrt(total)
