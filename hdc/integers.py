"""Integer arithmetic that gives the same numbers on every machine, and the joint novelty score."""

from collections.abc import Iterable
from functools import cache
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

LOG_STEPS = 1024  # logarithms are right to 0.0015, as a test holds
LOG_BITS = 12  # logarithms in units of 1 / 4,096

ONE = 1024
"""One deviation in scores: fine enough for ranks, and squares of scores stay far below 2^63."""

BELOW = 2 * ONE
"""Scores count what exceeds two deviations below the mean, so that blocks that look a little too
typical do not cancel one that is far off (docs/decisions/0002, "squared excess")."""

_LIMIT = 1 << 16  # caps a block at 64 deviations, so that sums of squares stay within `root`


def root(values: NDArray[np.float64] | Ints) -> Ints:
    """Return square roots, rounded down, of whole numbers up to 2^52 (IEEE 754 rounds sqrt
    correctly).

    Beyond 2^52 the root of one less than a square may round up to that of the square.
    """
    return np.asarray(np.sqrt(values), dtype=np.float64).astype(np.int64)


def log2(values: NDArray[np.float64] | Ints) -> Ints:
    """Return 4096 x the binary logarithm of whole numbers up to 2^53, by a table of 1,024 steps;
    0 counts as 1."""
    # A float's bits above the low 42 are its exponent, 1,023 too high, and its step.
    tops = np.maximum(values, 1.0).view(np.int64) >> 42
    steps = log_table()[tops & LOG_STEPS - 1]
    return np.asarray(steps + ((tops >> 10) - 1023) * (1 << LOG_BITS))


def mean(sums: Ints | np.signedinteger[Any], counts: Ints | int) -> Ints:
    """Return sums over counts, rounded half up; a count of 0 divides by 1."""
    divisor = np.maximum(counts, 1)
    # Adding half the divisor, rounded down, rounds the same and cannot overflow as doubling can.
    return np.asarray(np.floor_divide(sums + divisor // 2, divisor))


@cache
def all_ones(size: int) -> NDArray[np.float32]:
    """Return ones float32 [size]: a product with them sums whole numbers faster than a sum does."""
    made = np.ones(size, dtype=np.float32)
    made.setflags(write=False)
    return made


@cache
def log_table() -> Ints:
    """Return the fractions of `log2`, int64 [1024], in units of 1 / 4,096."""
    table = np.zeros(LOG_STEPS, dtype=np.int64)
    for step in range(LOG_STEPS):
        # The bits of a logarithm by repeated squaring of a number in 1..2, in 60-bit fixed point.
        number, bits = ((2 * (LOG_STEPS + step) + 1) << 60) // (2 * LOG_STEPS), 0
        for _ in range(LOG_BITS):
            number = number * number >> 60
            bits <<= 1
            if number >> 61:
                number >>= 1
                bits |= 1
        table[step] = bits
    table.setflags(write=False)
    return table


def combine(distances: Ints, scales: Ints, votes: Ints) -> Ints:
    """Return the joint novelty score int64 [...] of distances [..., blocks].

    scales: int64 [..., blocks, 2], mean and deviation of each block's distance.  Each distance is
    standardised; the score is the root of the weighted sum of squares of the excess over two
    deviations below the mean, 1,024 a unit.  Squares let one block that is far off dominate; the
    sum lets several that are a little off add up.  votes: int64 [blocks], the weight of each block.
    """
    return combine_shifted(distances, offsets(scales), scales[..., 1], votes)


def offsets(scales: Ints) -> Ints:
    """Return what `combine_shifted` adds to distances [..., blocks] before it divides by the
    deviations."""
    return BELOW * scales[..., 1] - ONE * scales[..., 0]


def combine_shifted(distances: Ints, offset: Ints, deviations: Ints, votes: Ints) -> Ints:
    """Compute `combine` with prepared scales: the means as `offsets`, and the deviations."""
    above = distances * ONE + offset
    above //= deviations
    np.maximum(above, 0, out=above)
    np.minimum(above, _LIMIT, out=above)
    return root(np.square(above, out=above) @ votes)


def combine_one(distances: Iterable[int], scales: Iterable[list[int]], votes: Iterable[int]) -> int:
    """Compute `combine` of one sample and one concept without arrays, which is faster for a few
    numbers."""
    total = 0
    for distance, (centre, deviation), vote in zip(distances, scales, votes, strict=True):
        above = min(max((distance - centre) * ONE // deviation + BELOW, 0), _LIMIT)
        total += vote * above * above
    return isqrt(total)
