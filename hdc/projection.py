"""Features to hypervectors: seeded sign flips, an integer Hadamard transform, the sign.

No matrix is stored (the structured projection of Ailon and Chazelle 2006; sign bits keep angles,
Charikar 2002). One tap of w numbers is padded with zeros to P = 2^k >= w, and every round of P
bits flips the signs by its own random bits before the transform, until `bits` are made:

    sums[r * P + i] = sum over j of (-1)^popcount(i & j) * flip[r, j] * x[j]

A bit is set where its sum is negative, the sign bit of the integer; a sum of zero is positive.
The flip of element j in round r is bit (r * P + j) of the words `random_words(seed)`, set for -1.
All sums stay below 2^24, so float32 arithmetic is exact in whatever order it adds.
"""

from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from .errors import DimensionError
from .vectors import WORD_BITS, Words, pack, random_words, unpack

WIDTH_MAX = 1 << 16
FLIPS_MAX = 8  # geometries whose flips are kept: tens of kilobytes each
_BLOCK = 64


def project(features: NDArray[np.uint8], seed: int, bits: int = 8192) -> Words:
    """Hypervectors uint64 [..., bits/64] of uint8 features [..., w], 1 <= w <= 65536.

    `bits` is a multiple of 64. Costs bits * log2(w) additions a vector and no stored matrix.
    """
    if features.dtype != np.uint8 or not 1 <= features.shape[-1] <= WIDTH_MAX:
        raise DimensionError(
            f"projection expects uint8 features [..., 1 to {WIDTH_MAX}], found "
            f"{features.dtype} {features.shape}",
            "quantise the features first",
        )
    return pack(hadamard_sums(features, seed, bits) < 0)


def hadamard_sums(features: NDArray[np.uint8], seed: int, bits: int) -> NDArray[np.float32]:
    """The integer sums whose signs are the bits, float32 [..., bits] with exact values."""
    width = features.shape[-1]
    padded = 1 << max(0, width - 1).bit_length()
    flips = _flips(seed, padded, -(-bits // padded), width)
    if padded <= _BLOCK:
        # The few numbers go into the transform, not into each of the many rounds of flips.
        sums = flips @ (features[..., None] * _hadamard(padded)[:width])
        return sums.reshape(*features.shape[:-1], len(flips) * padded)[..., :bits]
    filled = _filled(width, padded)
    if filled == width:
        flipped = features[..., None, :] * flips
    else:
        flipped = np.zeros((*features.shape[:-1], len(flips), filled), dtype=np.float32)
        np.multiply(features[..., None, :], flips, out=flipped[..., :width])
    sums = _transform(flipped, padded)
    return sums.reshape(*features.shape[:-1], len(flips) * padded)[..., :bits]


def _filled(width: int, padded: int) -> int:
    """How many of the padded numbers are transformed: blocks of zeros alone are left out, as far
    as two rounds of products do."""
    return -(-width // _BLOCK) * _BLOCK if padded <= _BLOCK**2 else padded


def _transform(values: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """The Hadamard transform of the last axis, which zeros would fill up to `size`, by small
    matrix products that fit the cache."""
    filled = values.shape[-1]
    done = _BLOCK
    values = values.reshape(-1, done) @ _hadamard(done)
    while done < size:
        block = min(_BLOCK, size // done)
        held = min(block, filled // done)
        values = _hadamard(block)[:, :held] @ values.reshape(-1, held, done)
        done *= block
    return values


@cache
def _hadamard(size: int) -> NDArray[np.float32]:
    matrix = np.ones((1, 1), dtype=np.float32)
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    matrix.setflags(write=False)
    return matrix


@lru_cache(maxsize=FLIPS_MAX)
def _flips(seed: int, padded: int, rounds: int, width: int) -> NDArray[np.float32]:
    words = random_words(seed, -(-rounds * padded // WORD_BITS))
    flat = np.where(unpack(words), np.float32(-1), np.float32(1))
    flips = np.ascontiguousarray(flat[: rounds * padded].reshape(rounds, padded)[:, :width])
    flips.setflags(write=False)
    return flips
