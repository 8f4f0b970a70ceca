"""The outlier gate: one extreme value is a fault, two are the new normal."""

import numpy as np
import pytest

from edge.core.forecasting.forecaster import ForecastTask
from edge.core.forecasting.kinds import FORECASTERS

GLITCH = 300


def forecasts(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points and widths [steps, H, C] of the pool after each sample."""
    pool = FORECASTERS["pool"](ForecastTask(values.shape[1], period=24))
    made = [pool.step(row, 3600.0) for row in values]
    return np.array([one.point for one in made]), np.array([one.high - one.low for one in made])


def daily_waves(channels: int = 1) -> np.ndarray:
    """Days of 24 samples with noise, about 20."""
    noise = np.random.default_rng(1).normal(size=(450, channels))
    return 20 + 3 * np.sin(np.arange(450) * np.pi / 12)[:, None] + 0.3 * noise


@pytest.mark.parametrize("glitch", [-999.0, 65_535.0, 1e12])
def test_a_single_extreme_value_counts_as_missing(glitch: float) -> None:
    """Forecasts after a single extreme value are those after a missing value."""
    values = daily_waves()
    values[GLITCH] = np.nan
    expected = forecasts(values)
    values[GLITCH] = glitch
    for found, plain in zip(forecasts(values), expected, strict=True):
        assert np.array_equal(found, plain, equal_nan=True)


def test_a_change_of_unit_is_followed() -> None:
    """Forecasts are close from the second sample in a new unit on, and accurate a day later."""
    values = daily_waves()
    values[GLITCH:] *= 1000
    points, widths = forecasts(values)
    misses = np.abs(points[:-12, 2, 0] - values[12:, 0]) / 1000
    assert misses[GLITCH + 1 : GLITCH + 24].max() < 12
    assert np.mean(misses[GLITCH + 48 :]) < 1.5
    assert widths[GLITCH + 48 :, 0].max() < 20_000


def test_a_joint_jump_is_followed_at_once() -> None:
    """Three channels that leave their range together are followed in the same sample."""
    values = daily_waves(4)
    values[GLITCH:, :3] += 900
    points, _ = forecasts(values)
    assert np.abs(points[GLITCH, 0, :3] - values[GLITCH, :3]).max() < 100


def test_a_large_jump_among_smaller_ones_is_followed() -> None:
    """A channel at ten times its range is followed when two others jump in the same sample."""
    values = daily_waves(4)
    values[GLITCH:, 0] += 900
    values[GLITCH:, 1:3] += 10
    points, _ = forecasts(values)
    assert abs(points[GLITCH, 0, 0] - values[GLITCH, 0]) < 100


def test_a_withheld_value_is_part_of_the_state() -> None:
    """A pool that is restored between two extreme values treats the second as the original does."""
    values = daily_waves()[: GLITCH + 10]
    values[GLITCH] = values[GLITCH + 5] = 5000.0
    first, second = (FORECASTERS["pool"](ForecastTask(1, period=24)) for _ in range(2))
    for row in values[: GLITCH + 2]:
        first.step(row, 3600.0)
    second.restore(first.state())
    for row in values[GLITCH + 2 :]:
        one, other = (made.step(row, 3600.0) for made in (first, second))
        assert np.array_equal(one.point, other.point)
