import numpy as np

from nas import Blueprint, enumerate_space
from nas.designs import describe, read_taps


def test_descriptions_are_of_one_length_and_at_most_one():
    """Encoders with different taps share columns, all from 0 to 1."""
    found = [describe(list(enumerate_space(taps)), taps) for taps in (1, 3, 8)]
    assert len({one.shape[1] for one in found}) == 1
    assert all(one.min() >= 0 and one.max() <= 1 for one in found)


def test_different_blueprints_differ():
    """No two blueprints of a space are the same point with their taps."""
    space = list(enumerate_space(4))
    points = np.concatenate([describe(space, 4), read_taps(space, 4)], axis=1)
    assert len(np.unique(points, axis=0)) == len(space)


def test_taps_are_flags():
    """Each tap that is read is 1."""
    assert read_taps([Blueprint(kind="none", taps=(0, 2))], 3).tolist() == [[1, 0, 1]]
