"""Hypervectors as packed bits: binding, bundling, permuting and comparing.

A hypervector of D dimensions is D bits in D/64 words of uint64, dimension 0 in the lowest bit of
word 0. A set bit stands for -1 and a clear bit for +1, so that exclusive or is multiplication:
the same vectors are binary spatter codes (Kanerva 1997) and multiply-add-permute vectors
(Gayler 1998, bipolar form). The operations agree with `torchhd`'s BSC and MAP tensors.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .errors import DimensionError

Words = NDArray[np.uint64]

WORD_BITS = 64
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def random_words(seed: int, count: int) -> Words:
    """`count` words uint64 of the SplitMix64 sequence that `seed` starts (Steele et al. 2014)."""
    start = np.uint64(seed & 0xFFFFFFFFFFFFFFFF)
    state = start + _GOLDEN * np.arange(1, count + 1, dtype=np.uint64)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def random_vectors(seed: int, count: int, bits: int) -> Words:
    """`count` random hypervectors uint64 [count, bits/64], the same for a seed everywhere."""
    words = _words_of(bits)
    return random_words(seed, count * words).reshape(count, words)


def pack(negative: NDArray[np.bool_]) -> Words:
    """Bits bool [..., D], true where the dimension is -1, as words uint64 [..., D/64]."""
    _words_of(negative.shape[-1])
    octets = np.packbits(negative, axis=-1, bitorder="little")
    return octets.view("<u8").astype(np.uint64, copy=False)


def unpack(words: Words) -> NDArray[np.bool_]:
    """Words uint64 [..., D/64] as bits bool [..., D]."""
    octets = np.ascontiguousarray(words, dtype="<u8").view(np.uint8)
    return np.unpackbits(octets, axis=-1, bitorder="little").view(np.bool_)


def bind(one: Words, other: Words) -> Words:
    """The product of two hypervectors, itself like neither; binding again undoes it."""
    return one ^ other


def bundle(vectors: Words | Sequence[Words]) -> Words:
    """The majority of hypervectors [n, words], like each; between equal halves the first wins."""
    stack = np.asarray(vectors, dtype=np.uint64)
    if stack.ndim != 2 or not len(stack):
        raise DimensionError(
            f"bundling expects vectors [n, words] with n >= 1, found shape {stack.shape}",
            "stack at least one hypervector",
        )
    bits = unpack(stack)
    negative = 2 * bits.sum(axis=0, dtype=np.int64)
    return pack((negative > len(stack)) | ((negative == len(stack)) & bits[0]))


def permute(vector: Words, shift: int = 1) -> Words:
    """Each hypervector [..., words] rolled by `shift` dimensions; the opposite shift undoes it."""
    return pack(np.roll(unpack(vector), shift, axis=-1))


def similarity(one: Words, other: Words) -> NDArray[np.int64]:
    """The dot product of +-1 vectors, D - 2 x differing bits, broadcast over leading axes."""
    bits = one.shape[-1] * WORD_BITS
    return np.asarray(bits - 2 * np.bitwise_count(one ^ other).sum(axis=-1, dtype=np.int64))


def _words_of(bits: int) -> int:
    if bits < WORD_BITS or bits % WORD_BITS:
        raise DimensionError(
            f"a hypervector expects a multiple of {WORD_BITS} bits, found {bits}",
            "choose 8192, or another multiple of 64",
        )
    return bits // WORD_BITS
