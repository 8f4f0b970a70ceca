"""Integer arithmetic is exact, and joint scores are ordered."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hdc.integers import ONE, combine, combine_one, log2, mean, root


@given(st.integers(0, 2**26), st.integers(-1, 1))
def test_root_is_the_integer_root(side: int, off: int) -> None:
    """Roots are rounded down, next to squares as well, up to the bound that is stated."""
    value = min(max(side * side + off, 0), 2**52)
    assert int(root(np.asarray([value], dtype=np.int64))[0]) == math.isqrt(value)
    assert int(root(np.asarray([value], dtype=np.float64))[0]) == math.isqrt(value)


@given(st.integers(1, 2**53))
def test_log2_is_near_the_logarithm(value: int) -> None:
    """Logarithms are right to a thousandth, and whole at powers of two but for the table's step."""
    assert abs(int(log2(np.asarray([value]))[0]) / 4096 - math.log2(value)) < 1.5e-3


def test_the_logarithm_of_nothing_is_that_of_one() -> None:
    """A tap of zeros has a norm of 0, and still a logarithm."""
    assert log2(np.asarray([0, 1])).tolist() == log2(np.asarray([1, 1])).tolist()
    assert abs(int(log2(np.asarray([0]))[0])) < 8


@given(st.lists(st.integers(1, 2**53), min_size=2, max_size=20))
def test_log2_keeps_order(values: list[int]) -> None:
    """Larger numbers never have smaller logarithms."""
    found = log2(np.asarray(sorted(values)))
    assert (np.diff(found) >= 0).all()


@given(st.integers(-(2**40), 2**40), st.integers(1, 1000))
def test_mean_is_rounded_half_up(total: int, count: int) -> None:
    """Means are the nearest whole number."""
    found = int(mean(np.asarray([total], np.int64), count)[0])
    assert abs(found * count - total) * 2 <= count
    assert int(mean(np.asarray([total], np.int64), 0)[0]) == total


def test_means_of_huge_sums_do_not_overflow() -> None:
    """Sums up to the largest int64 less half a count are divided, not doubled."""
    sums = np.asarray([2**62 + 1, 2**63 - 2**20, -(2**63) + 2**20], dtype=np.int64)
    for count in (1, 3, 2**20, 2**40):
        fitting = sums[(sums <= 2**63 - 1 - count // 2)]
        expected = [(2 * total + count) // (2 * count) for total in fitting.tolist()]
        assert mean(fitting, count).tolist() == expected


def ints(numbers: object) -> NDArray[np.int64]:
    """Whole numbers as an array."""
    return np.asarray(numbers, np.int64)


SCALES = ints([[100, 10], [50, 5]])


def test_mean_distances_score_alike() -> None:
    """A sample at the mean distances scores two deviations per block."""
    found = combine(ints([[100, 50]]), SCALES, ints([1, 1]))
    assert found.tolist() == [int(np.sqrt(8) * ONE)]


def test_scores_rise_with_every_distance_and_vote() -> None:
    """A larger distance or a larger vote gives a higher score."""
    votes = ints([1, 1])
    scores = combine(ints([[100, 50], [110, 50], [110, 55], [900, 55]]), SCALES, votes)
    assert (np.diff(scores) > 0).all()
    assert combine(ints([[100, 55]]), SCALES, ints([1, 2]))[0] > scores[0]


def test_extreme_distances_do_not_overflow() -> None:
    """Very near and very far stay finite and in order."""
    found = combine(ints([[0, 0], [2**40, 2**40]]), SCALES, ints([1, 2]))
    assert found[0] == 0 < found[1] < 2**20


@given(st.lists(st.integers(0, 2**40), min_size=2, max_size=2))
def test_one_sample_scores_as_in_a_batch(distances: list[int]) -> None:
    """`combine_one` agrees with `combine`, however large the distances."""
    found = combine(ints([distances]), SCALES, ints([1, 4]))
    assert combine_one(distances, SCALES.tolist(), (1, 4)) == found[0]
