"""Random projections without a stored matrix: seeded signs, then the Hadamard transform.

A row of d numbers is padded with zeros to P = 2^k >= d; each block of P results has its own signs
(Ailon & Chazelle 2006; `depth` rounds as in Le, Sarlos & Smola 2013).  Scaled so that the results
of a row have the variance of its numbers.
"""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# Side of the matrices that the transform is split into: small products that fit the cache.  Chosen
# by hand; effect not measured.
_BLOCK: Final = 64


def hadamard_mix(rows: Floats, seed: int, width: int, depth: int = 1) -> Floats:
    """Return `width` random combinations of each row: float32 [..., d] -> [..., width].

    Cost: width * log2(P) additions per row and round.
    """
    size = rows.shape[-1]
    padded = 1 << max(0, size - 1).bit_length()
    signs = _signs(seed, padded, -(-width // padded), depth)
    made = np.zeros((*rows.shape[:-1], signs.shape[1], padded), np.float32)
    np.multiply(rows[..., None, :], signs[0, :, :size], out=made[..., :size])
    made = _transform(made)
    for flips in signs[1:]:
        made = _transform(made * (flips * np.float32(padded**-0.5)))
    mixed = made.reshape(*rows.shape[:-1], -1)[..., :width]
    return np.asarray(mixed * np.float32(size**-0.5))


def _transform(values: Floats) -> Floats:
    """Transform the last axis, a power of two, in small matrix products."""
    shape, size = values.shape, values.shape[-1]
    done = min(_BLOCK, size)
    values = values.reshape(-1, done) @ _matrix(done)
    while done < size:
        block = min(_BLOCK, size // done)
        values = _matrix(block) @ values.reshape(-1, block, done)
        done *= block
    return values.reshape(shape)


@cache
def _matrix(size: int) -> Floats:
    matrix = np.ones((1, 1), np.float32)
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    matrix.setflags(write=False)
    return matrix


@cache
def _signs(seed: int, padded: int, blocks: int, depth: int) -> Floats:
    random = np.random.Generator(np.random.PCG64([seed, padded, depth]))
    drawn = random.integers(0, 2, (depth, blocks, padded), np.int8)
    signs = np.where(drawn, np.float32(-1), np.float32(1))
    signs.setflags(write=False)
    return signs
