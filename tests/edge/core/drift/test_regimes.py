from __future__ import annotations

import numpy as np

from edge.core.drift.regimes import REGIMES_MAX, Regimes


def test_a_reversed_move_leads_back():
    """Two failures in any order and their repairs lead through states with stable numbers."""
    regimes = Regimes(6)
    first, second = np.eye(6)[0], -np.eye(6)[3]
    assert [regimes.enter(move) for move in (first, second, -first, -second)] == [1, 2, 3, 0]
    assert [regimes.enter(move) for move in (second, first, -second, -first)] == [3, 2, 1, 0]


def test_a_noisy_state_is_recognised():
    """A state is recognised despite noise, also after fifty returns."""
    regimes, move = Regimes(4), np.array([1.0, -0.6, 0.0, 0.4])
    random = np.random.default_rng(0)
    for turn in range(50):
        noise = random.normal(0, 0.1, 4)
        assert regimes.enter(move + noise) == 1, turn
        assert regimes.enter(-move) == 0, turn


def test_the_least_recent_state_is_dropped_when_memory_is_full():
    """Beyond REGIMES_MAX the least recent state is dropped, and its number is not reused."""
    count = REGIMES_MAX + 4
    regimes = Regimes(count)
    for channel in range(count):
        assert regimes.enter(np.eye(count)[channel]) == channel + 1
        regimes.enter(-np.eye(count)[channel])
    assert regimes.enter(np.eye(count)[count - 1]) == count
    assert regimes.enter(-np.eye(count)[count - 1]) == 0
    assert regimes.enter(np.eye(count)[0]) == count + 1
