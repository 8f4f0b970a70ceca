"""Segments: shifts in noise, bursts, changes of unit, and series that wander."""

import numpy as np
import pytest

from edge.core.drift.detector import DetectedChange
from edge.core.drift.kinds import DETECTORS


def changes(values: np.ndarray) -> list[DetectedChange]:
    """The changes detected in a series [n] or [n, channels]."""
    rows = values.reshape(len(values), -1)
    detector = DETECTORS["segments"](rows.shape[1])
    return [change for row in rows for change in detector.step(row)]


def noise(steps: int, seed: int = 0) -> np.ndarray:
    """Standard normal deviates."""
    return np.random.default_rng(seed).normal(size=steps)


def wave(steps: int = 300) -> np.ndarray:
    """A day of 24 steps with noise, about 50."""
    return np.asarray(50 + 10 * np.sin(np.arange(steps) * np.pi / 12) + noise(steps))


def test_a_shift_below_the_noise_is_found_late_and_placed_where_it_was() -> None:
    """A shift of two standard deviations is reported once, later, with its start."""
    values = 20 + noise(300)
    values[150:] += 2
    (change,) = changes(values)
    assert abs(change.start - 150) <= 3
    assert change.start + 3 <= change.step <= change.start + 60
    assert change.kind == "level"


@pytest.mark.parametrize("factor", [1000.0, 0.001, 5.0])
def test_a_change_of_unit_is_one_change(factor: float) -> None:
    """A channel that switches from kilograms to grams is one change, at the right step."""
    values = wave()
    values[151:] *= factor
    (change,) = changes(values)
    assert (change.start, change.step) == (151, 153)


@pytest.mark.parametrize("length", [1, 2])
def test_a_burst_is_no_change(length: int) -> None:
    """A burst of one or two steps is not reported."""
    values = wave()
    values[150 : 150 + length] += 60
    assert changes(values) == []


def test_a_random_walk_has_no_change() -> None:
    """A walk of 1,000 steps is one segment, however far it goes."""
    assert changes(100 + np.cumsum(noise(1_000, 5))) == []


def test_a_sensor_that_wanders_raises_few_alarms() -> None:
    """Slow wandering under noise, which is neither a level nor a walk, raises at most five false
    alarms in 1,000 steps."""
    found = 0
    for seed in range(3):
        values = 100 + np.cumsum(0.1 * noise(1_000, seed)) + 0.5 * noise(1_000, seed + 10)
        found += len(changes(values))
    assert found <= 15


def test_only_channels_that_moved_are_named() -> None:
    """Of three channels the one that moved is reported, with its share of the change."""
    values = 20 + np.stack([noise(300, seed) for seed in range(3)], axis=1)
    values[150:, 1] += 10
    (change,) = changes(values)
    assert change.channels == (1,)
    assert change.severity == pytest.approx(1 / 3, abs=0.05)


def test_a_long_segment_is_compared_within_the_window() -> None:
    """After 2,000 samples of one segment a shift is still reported at its place."""
    values = 20 + noise(2_200)
    values[2_000:] += 5
    (change,) = changes(values)
    assert abs(change.start - 2_000) <= 1
