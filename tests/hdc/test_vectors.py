"""Operations on hypervectors agree with torchhd, to the bit."""

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hdc import bind, bundle, permute, random_vectors, similarity
from hdc.geometry import unpack

if TYPE_CHECKING:
    import torch
    import torchhd
else:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    torchhd = pytest.importorskip("torchhd", reason="torchhd, the reference, is not installed")

VECTOR_BITS = 256
seeds = st.integers(0, 2**64 - 1)


def as_bsc(words: np.ndarray) -> torchhd.BSCTensor:
    """The binary spatter code of torchhd with the same bits."""
    return torch.from_numpy(unpack(words).copy()).as_subclass(torchhd.BSCTensor)


def as_map(words: np.ndarray) -> torchhd.MAPTensor:
    """The multiply-add-permute vector of torchhd: a set bit is -1."""
    signs = 1 - 2 * unpack(words).astype(np.float32)
    return torch.from_numpy(signs).as_subclass(torchhd.MAPTensor)


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_bind_agrees_with_torchhd(seed: int) -> None:
    """Exclusive or is BSC's binding and MAP's multiplication, and undoes itself."""
    one, other = random_vectors(seed, 2, VECTOR_BITS)
    bound = bind(one, other)
    assert torch.equal(torchhd.bind(as_bsc(one), as_bsc(other)), as_bsc(bound))
    assert torch.equal(torchhd.bind(as_map(one), as_map(other)), as_map(bound))
    assert np.array_equal(bind(bound, other), one)


@given(seed=seeds, count=st.sampled_from([1, 3, 5, 9]))
@settings(max_examples=30, deadline=None)
def test_bundle_agrees_with_torchhd(seed: int, count: int) -> None:
    """Of an odd number the majority is BSC's bundle and the sign of MAP's sum."""
    vectors = random_vectors(seed, count, VECTOR_BITS)
    made = bundle(vectors)
    assert torch.equal(torchhd.multiset(as_bsc(vectors)), as_bsc(made))
    assert torch.equal(torch.sign(torchhd.multiset(as_map(vectors))), as_map(made))


@given(seed=seeds, shift=st.integers(-300, 300))
@settings(max_examples=30, deadline=None)
def test_permute_agrees_with_torchhd(seed: int, shift: int) -> None:
    """Rolling by dimensions is torchhd's permutation; the opposite shift undoes it."""
    vector = random_vectors(seed, 1, VECTOR_BITS)
    moved = permute(vector, shift)
    assert torch.equal(torchhd.permute(as_bsc(vector), shifts=shift), as_bsc(moved))
    assert np.array_equal(permute(moved, -shift), vector)


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_similarity_agrees_with_torchhd(seed: int) -> None:
    """The similarity is MAP's dot product, and follows BSC's."""
    one, other = random_vectors(seed, 2, VECTOR_BITS)
    found = int(similarity(one, other))
    assert found == int(torchhd.dot_similarity(as_map(one), as_map(other)))
    assert found == int(torchhd.dot_similarity(as_bsc(one), as_bsc(other)))
