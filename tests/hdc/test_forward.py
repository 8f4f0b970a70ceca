"""The forward pass against a plain sum over all paths of states."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import hdc
from hdc import native
from tests.natives import computing_with

STAYS = (0.0, 0.5, 0.99)


def over_paths(rows: np.ndarray) -> np.ndarray:
    """Probabilities of the last state: the sum of the probabilities of all paths."""
    states, made = rows.shape[1], np.zeros(rows.shape[1])
    for stay in STAYS:
        for path in product(range(states), repeat=len(rows)):
            one = 1 / states
            for at, state in enumerate(path):
                if at:
                    one *= (1 - stay) / states + stay * (state == path[at - 1])
                one *= rows[at, state]
            made[path[-1]] += one
    return np.asarray(made / made.sum())


@pytest.mark.parametrize("states", [1, 2, 3])
def test_probabilities_are_the_sum_over_all_paths(states):
    """For each number of rows up to five, and the likeliest state is that of most paths."""
    random = np.random.default_rng(states)
    for count in range(1, 6):
        rows = random.random((count, states))
        rows /= rows.max(axis=1, keepdims=True)
        expected = over_paths(rows)
        found = hdc.forward_posterior(rows.tolist(), STAYS)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        assert hdc.likeliest(rows.tolist(), STAYS) == expected.argmax()


@pytest.mark.parametrize("kernel", [None, native.KERNEL])
def test_the_longest_window_of_many_states_stays_in_range(kernel):
    """64 rows of 8,192 equally likely states: nothing underflows, and the first one counts."""
    rows = [[1.0] * 8_192] * 64
    with computing_with(kernel):
        assert hdc.likeliest(rows, STAYS) == 0
    found = hdc.forward_posterior(rows, STAYS)
    np.testing.assert_allclose(found, 1 / 8_192)


@pytest.mark.skipif(native.KERNEL is None, reason="the C part is not built")
def test_rows_of_another_size_are_refused():
    """C reads no further than a row is long."""
    with pytest.raises(ValueError, match="expected 2 floats, found 1"):
        hdc.likeliest([[1.0, 0.5], [1.0]], STAYS)
