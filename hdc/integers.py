"""Integer arithmetic that gives the same numbers on every machine."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

LOG_STEPS = 1024
LOG_BITS = 12


def root(values: NDArray[np.float64] | Ints) -> Ints:
    """Square roots rounded down, of whole numbers up to 2^52 (IEEE 754 rounds sqrt correctly).

    Beyond, the root of one less than a square may round up to that of the square.
    """
    return np.asarray(np.sqrt(values), dtype=np.float64).astype(np.int64)


def log2(values: NDArray[np.float64] | Ints) -> Ints:
    """4096 x the binary logarithm of whole numbers up to 2^53, by a table of 1,024 steps; 0 counts
    as 1."""
    # A float's bits above the low 42 are its exponent, 1,023 too high, and its step.
    tops = np.maximum(values, 1.0).view(np.int64) >> 42
    steps = _log_table()[tops & LOG_STEPS - 1]
    return np.asarray(steps + ((tops >> 10) - 1023) * (1 << LOG_BITS))


def mean(sums: Ints | np.signedinteger[Any], counts: Ints | int) -> Ints:
    """Sums over counts, rounded half up; a count of 0 divides by 1."""
    divisor = np.maximum(counts, 1)
    return np.asarray(np.floor_divide(2 * sums + divisor, 2 * divisor))


@cache
def all_ones(size: int) -> NDArray[np.float32]:
    """Ones float32 [size]: a product with them adds whole numbers up faster than a sum does."""
    made = np.ones(size, dtype=np.float32)
    made.setflags(write=False)
    return made


@cache
def _log_table() -> Ints:
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
