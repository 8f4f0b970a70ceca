"""The projection is the documented one, to the bit."""

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray

from hdc import DimensionError
from hdc.projection import hadamard_sums, project
from hdc.vectors import random_words, unpack

GOLDEN = {
    (1, 64): "76a5645de4d40905",
    (10, 128): "5b25b69423d0f725",
    (64, 8192): "01f2f33245583a58",
    (1280, 8192): "54622a7c4ef14437",
    (1500, 8192): "f622caa5c48a8bec",
}


def features(width: int, rows: int = 3) -> NDArray[np.uint8]:
    """Made by a rule that any language repeats: the top bytes of SplitMix64 words."""
    words = random_words(width, rows * width)
    return (words >> np.uint64(56)).astype(np.uint8).reshape(rows, width)


def by_definition(row: NDArray[np.uint8], seed: int, bits: int) -> list[int]:
    """The sums of the docstring, term by term, in Python integers."""
    padded = 1 << max(0, len(row) - 1).bit_length()
    rounds = -(-bits // padded)
    flips = unpack(random_words(seed, -(-rounds * padded // 64))).astype(int)
    made = []
    for place in range(bits):
        turn, index = divmod(place, padded)
        signs = [
            (-1) ** ((index & j).bit_count() + flips[turn * padded + j]) for j in range(len(row))
        ]
        made.append(sum(sign * int(value) for sign, value in zip(signs, row, strict=True)))
    return made


@pytest.mark.parametrize(("width", "bits"), [(1, 128), (2, 128), (16, 128), (40, 128), (300, 64)])
def test_sums_are_those_of_the_definition(width: int, bits: int) -> None:
    """The fast transform gives the sums that the docstring defines."""
    row = features(width)[0]
    assert hadamard_sums(row, 7, bits).astype(int).tolist() == by_definition(row, 7, bits)


def test_sums_of_wide_taps_are_those_of_the_definition() -> None:
    """Three rounds of products, the last blocks filled up with zeros, add the same."""
    row = features(4200)[0]
    assert hadamard_sums(row, 7, 64).astype(int).tolist() == by_definition(row, 7, 64)


def test_a_bit_is_the_sign_of_its_sum() -> None:
    """Negative sums set a bit; zero does not."""
    row = np.zeros(16, dtype=np.uint8)
    assert not unpack(project(row, 1, 64)).any()
    sums = hadamard_sums(features(16), 1, 64)
    assert np.array_equal(unpack(project(features(16), 1, 64)), sums < 0)


@pytest.mark.parametrize(("width", "bits"), list(GOLDEN))
def test_golden_vectors(width: int, bits: int) -> None:
    """The bits are those of every other machine."""
    made = project(features(width), 2026, bits)
    digest = hashlib.sha256(made.astype("<u8").tobytes()).hexdigest()[:16]
    assert digest == GOLDEN[width, bits]


def test_rows_do_not_depend_on_their_batch() -> None:
    """One row gives the same bits alone and among others, and the input is not changed."""
    rows = features(300, 50)
    before = rows.copy()
    together = project(rows, 3)
    alone = np.stack([project(row, 3) for row in rows])
    assert np.array_equal(together, alone)
    assert np.array_equal(rows, before)


@pytest.mark.parametrize("width", [1, 16, 64, 300])
def test_no_rows_are_a_batch_of_none(width: int) -> None:
    """An empty batch gives an empty batch of the same words."""
    assert project(np.zeros((0, width), dtype=np.uint8), 1, 512).shape == (0, 8)


def test_largest_sums_stay_exact() -> None:
    """The widest tap at full level still adds exactly in float32."""
    sums = hadamard_sums(np.full(1 << 16, 255, dtype=np.uint8), 5, 1 << 16)
    flips = 1 - 2 * unpack(random_words(5, 1 << 10)).astype(np.int64)
    assert int(sums[0]) == 255 * int(flips.sum())


def test_other_dtypes_are_refused() -> None:
    """Only uint8 features are projected."""
    with pytest.raises(DimensionError, match="uint8"):
        project(np.zeros(4, dtype=np.float32), 1)
