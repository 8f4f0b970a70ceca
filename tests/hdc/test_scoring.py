"""From distances to one number."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hdc.scoring import ONE, combine, combine_one


def ints(numbers: object) -> NDArray[np.int64]:
    """Whole numbers as an array."""
    return np.asarray(numbers, np.int64)


SCALES = ints([[100, 10], [50, 5]])


def test_usual_distances_score_alike() -> None:
    """A sample at its usual distances counts two spreads a block."""
    found = combine(ints([[100, 50]]), SCALES, ints([1, 1]))
    assert found.tolist() == [int(np.sqrt(8) * ONE)]


def test_scores_rise_with_every_distance_and_vote() -> None:
    """Farther is newer, and votes weigh."""
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
    """The quick way for a few numbers gives what arrays do, however far off they are."""
    found = combine(ints([distances]), SCALES, ints([1, 4]))
    assert combine_one(distances, SCALES.tolist(), (1, 4)) == found[0]
