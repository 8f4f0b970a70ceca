"""CUSUM of single channels: changes and bursts."""

import numpy as np
import pytest

from edge.core.drift.detector import DetectedChange
from edge.core.drift.kinds import DETECTORS


def changes(values: np.ndarray) -> list[DetectedChange]:
    """The changes detected in one channel."""
    detector = DETECTORS["cusum"](1)
    return [change for value in values for change in detector.step(np.array([value]))]


def wave(steps: int = 300) -> np.ndarray:
    """A day of 24 steps with noise, about 50."""
    noise = np.random.default_rng(0).normal(size=steps)
    return 50 + 10 * np.sin(np.arange(steps) * np.pi / 12) + noise


@pytest.mark.parametrize("factor", [1000.0, 0.001, 5.0])
def test_a_change_of_unit_is_one_change(factor: float) -> None:
    """A channel that switches from kilograms to grams is one change, at the right step."""
    values = wave()
    values[151:] *= factor
    (change,) = changes(values)
    assert (change.start, change.step) == (151, 153)
    assert change.severity == pytest.approx(1 - min(factor, 1 / factor), abs=0.1)


def test_a_burst_is_no_change() -> None:
    """A burst of two steps is not reported."""
    values = wave()
    values[150:152] += 60
    assert changes(values) == []
