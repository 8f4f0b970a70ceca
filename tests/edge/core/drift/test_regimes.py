from __future__ import annotations

import numpy as np

from edge.core.drift.regimes import REGIMES_MAX, Regimes


def test_a_move_and_its_undoing_lead_back():
    """Two failures in any order and their repair are recognised, each state by its own number."""
    regimes = Regimes(6)
    first, second = np.eye(6)[0], -np.eye(6)[3]
    assert [regimes.enter(move) for move in (first, second, -first, -second)] == [1, 2, 3, 0]
    assert [regimes.enter(move) for move in (second, first, -second, -first)] == [3, 2, 1, 0]


def test_a_state_is_recognised_although_it_moved_less_this_time():
    """A move within a half of the first one is the same; errors of many turns do not add up."""
    regimes, move = Regimes(4), np.array([1.0, -0.6, 0.0, 0.4])
    random = np.random.default_rng(0)
    for turn in range(50):
        noise = random.normal(0, 0.1, 4)
        assert regimes.enter(move + noise) == 1, turn
        assert regimes.enter(-move) == 0, turn


def test_the_oldest_state_is_forgotten_when_memory_is_full():
    """More states than there is room for: the least recent goes, and its number is not reused."""
    count = REGIMES_MAX + 4
    regimes = Regimes(count)
    for channel in range(count):
        assert regimes.enter(np.eye(count)[channel]) == channel + 1
        regimes.enter(-np.eye(count)[channel])
    assert regimes.enter(np.eye(count)[count - 1]) == count
    assert regimes.enter(-np.eye(count)[count - 1]) == 0
    assert regimes.enter(np.eye(count)[0]) == count + 1
