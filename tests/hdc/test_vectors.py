"""Packed-bit operations agree with torchhd's BSC and MAP tensors."""

import numpy as np
import pytest
import torch
import torchhd
from hypothesis import given, settings
from hypothesis import strategies as st

from hdc import DimensionError, bind, bundle, permute, random_vectors, similarity
from hdc.vectors import pack, random_words, unpack

BITS = 256
seeds = st.integers(0, 2**64 - 1)


def as_bsc(words: np.ndarray) -> torchhd.BSCTensor:
    """The binary spatter code of torchhd with the same bits."""
    return torch.from_numpy(unpack(words).copy()).as_subclass(torchhd.BSCTensor)


def as_map(words: np.ndarray) -> torchhd.MAPTensor:
    """The multiply-add-permute vector of torchhd: a set bit is -1."""
    signs = 1 - 2 * unpack(words).astype(np.float32)
    return torch.from_numpy(signs).as_subclass(torchhd.MAPTensor)


def test_random_words_are_splitmix64() -> None:
    """The first words of seed 0 are the published ones of SplitMix64."""
    assert [hex(word) for word in random_words(0, 3).tolist()] == [
        "0xe220a8397b1dcdaf",
        "0x6e789e6aa1b965f4",
        "0x6c45d188009454f",
    ]


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_pack_and_unpack_are_inverse(seed: int) -> None:
    """Bits survive packing."""
    words = random_vectors(seed, 3, BITS)
    assert np.array_equal(pack(unpack(words)), words)


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_bind_agrees_with_torchhd(seed: int) -> None:
    """Exclusive or is BSC's binding and MAP's multiplication, and undoes itself."""
    one, other = random_vectors(seed, 2, BITS)
    bound = bind(one, other)
    assert torch.equal(torchhd.bind(as_bsc(one), as_bsc(other)), as_bsc(bound))
    assert torch.equal(torchhd.bind(as_map(one), as_map(other)), as_map(bound))
    assert np.array_equal(bind(bound, other), one)


@given(seed=seeds, count=st.sampled_from([1, 3, 5, 9]))
@settings(max_examples=30, deadline=None)
def test_bundle_agrees_with_torchhd(seed: int, count: int) -> None:
    """Of an odd number the majority is BSC's bundle and the sign of MAP's sum."""
    vectors = random_vectors(seed, count, BITS)
    made = bundle(vectors)
    assert torch.equal(torchhd.multiset(as_bsc(vectors)), as_bsc(made))
    assert torch.equal(torch.sign(torchhd.multiset(as_map(vectors))), as_map(made))


def test_bundle_of_halves_follows_the_first() -> None:
    """Where as many are set as clear, the first vector decides."""
    one, other = random_vectors(1, 2, BITS)
    assert np.array_equal(bundle([one, other]), one)


@given(seed=seeds, shift=st.integers(-300, 300))
@settings(max_examples=30, deadline=None)
def test_permute_agrees_with_torchhd(seed: int, shift: int) -> None:
    """Rolling by dimensions is torchhd's permutation; the opposite shift undoes it."""
    vector = random_vectors(seed, 1, BITS)
    moved = permute(vector, shift)
    assert torch.equal(torchhd.permute(as_bsc(vector), shifts=shift), as_bsc(moved))
    assert np.array_equal(permute(moved, -shift), vector)


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_similarity_agrees_with_torchhd(seed: int) -> None:
    """The similarity is MAP's dot product, and follows BSC's."""
    one, other = random_vectors(seed, 2, BITS)
    found = int(similarity(one, other))
    assert found == int(torchhd.dot_similarity(as_map(one), as_map(other)))
    assert found == int(torchhd.dot_similarity(as_bsc(one), as_bsc(other)))


def test_odd_sizes_are_refused() -> None:
    """A number of bits that fills no whole words is an error that says so."""
    with pytest.raises(DimensionError, match="multiple of 64"):
        random_vectors(0, 1, 100)
    with pytest.raises(DimensionError, match="at least one"):
        bundle(np.empty((0, 4), dtype=np.uint64))
