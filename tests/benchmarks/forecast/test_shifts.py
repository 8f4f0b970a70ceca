"""Injected shifts: what counts as found, and what the data choose."""

from __future__ import annotations

import numpy as np

from benchmarks.forecast.shifts import CHOICE_STEPS, PAST, chosen, found_in


def noise(channels: int = 6, steps: int = 900) -> np.ndarray:
    """Independent noise."""
    return 10 + np.random.default_rng(2).normal(size=(steps, channels))


def test_a_shift_of_levels_is_found_by_the_kind_that_fits():
    """On noise, segments find a shift of four deviations that joint jumps miss; neither finds one
    of size 0."""
    found = {
        (kind, size): [found_in(kind, noise(), size, np.random.default_rng(n)) for n in range(4)]
        for kind in ("joint", "segments")
        for size in (0, 4)
    }
    assert all(found["segments", 4])
    assert not any(found["joint", 4])
    assert sum(found["segments", 0]) <= 1


def test_the_data_choose():
    """Noise is levels with noise, a random walk is not."""
    assert chosen(noise()[:128]) == "segments"
    assert chosen(noise().cumsum(axis=0)[:128]) == "joint"
    assert PAST > CHOICE_STEPS
