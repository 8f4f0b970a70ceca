from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas import Blueprint, NasError, NoFit, successive_halving

BLUEPRINTS = [Blueprint(kind="linear", taps=(0,), width=width) for width in range(1, 41)]


def test_the_best_wins_without_noise():
    """With noise-free accuracies the best blueprint is chosen."""
    found = successive_halving(BLUEPRINTS, lambda one, _: -abs(one.width - 17), 64, 8)
    assert not isinstance(found, NoFit)
    assert found[0].width == 17


@given(st.integers(1, 60), st.integers(1, 200), st.integers(2, 5), st.data())
def test_rounds_shrink_and_the_last_sees_all_facts(count, facts, keep, data):
    """Each round has fewer blueprints and no fewer facts; the last trains on all facts."""
    fewest = data.draw(st.integers(1, facts))
    blueprints = [Blueprint(kind="linear", taps=(0,), width=width) for width in range(1, count + 1)]
    found = successive_halving(blueprints, lambda one, _: one.width % 7, facts, fewest, keep)
    assert not isinstance(found, NoFit)
    sizes = [len(each.blueprints) for each in found[1]]
    assert sizes[0] == count
    assert all(after < before for before, after in pairwise(sizes))
    assert [each.facts for each in found[1]] == sorted(each.facts for each in found[1])
    assert found[1][-1].facts == facts


@pytest.mark.parametrize("failed", [np.nan, np.inf, -np.inf])
def test_a_failed_training_ranks_last(failed):
    """An accuracy that is not finite never wins."""
    found = successive_halving(
        BLUEPRINTS[:8], lambda one, _: failed if one.width < 8 else 0.1, 10, 5
    )
    assert not isinstance(found, NoFit)
    assert found[0].width == 8


def test_no_blueprints_give_a_reason():
    """An empty list of blueprints gives a reason, not an error."""
    assert isinstance(successive_halving([], lambda *_: 0.0, 10, 5), NoFit)


@pytest.mark.parametrize(("facts", "fewest", "keep"), [(10, 0, 4), (10, 11, 4), (10, 5, 1)])
def test_invalid_rounds_are_refused(facts, fewest, keep):
    """A first round without facts, or one that keeps everything, is an error."""
    with pytest.raises(NasError, match="halving"):
        successive_halving(BLUEPRINTS, lambda *_: 0.0, facts, fewest, keep)
