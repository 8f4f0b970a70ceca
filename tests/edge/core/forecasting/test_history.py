"""The jump-corrected history: jumps, gaps, missing values, the sampling clock."""

import numpy as np
import pytest

from edge.core.forecasting.forecaster import ForecastTask
from edge.core.forecasting.history import JumpCorrectedHistory
from edge.core.forecasting.kinds import FORECASTERS
from edge.storage.network_weights import shipped_weights
from tests.series import demand


def walked(history: JumpCorrectedHistory, steps: int = 100, seed: int = 0) -> np.ndarray:
    """Feed a random walk about 100; return the last values."""
    values = np.full(history.channels, 100.0)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        values = values + rng.normal(size=history.channels)
        history.step(values, 300.0)
    return values


def test_a_joint_jump_does_not_change_the_jump_corrected_sum() -> None:
    """Channels that jump together are marked, and their jump-corrected sum stays the same."""
    history = JumpCorrectedHistory(4)
    values = walked(history)
    before = history.jump_corrected_sum.copy()
    history.step(values + np.array([50.0, -40.0, 60.0, 0.0]), 300.0)
    assert history.jumped.tolist() == [True, True, True, False]
    assert np.array_equal(history.jump_corrected_sum, before)
    assert np.abs(history.inputs).max() < 5


def test_a_dead_channel_keeps_its_scale() -> None:
    """A channel that falls to zero is dead and keeps its scale until it comes back."""
    history = JumpCorrectedHistory(2)
    values = walked(history)
    scale = history.scale[0]
    for _ in range(50):
        history.step(values * np.array([0.0, 1.0]), 300.0)
    assert history.dead.tolist() == [True, False]
    assert history.scale[0] == scale
    history.step(values, 300.0)
    assert history.jumped[0]
    assert not history.dead[0]


def test_a_value_after_missing_samples_is_a_jump() -> None:
    """Missing values change nothing; the first value after four of them counts as a jump."""
    history = JumpCorrectedHistory(2)
    values = walked(history)
    for missing in (np.nan, np.inf, -np.inf, np.nan):
        history.step(np.array([missing, values[1]]), 300.0)
    assert history.last[0] == values[0]
    history.step(values + 30, 300.0)
    assert history.jumped[0]
    assert np.isfinite(history.inputs).all()


def test_the_season_follows_from_the_sampling_interval() -> None:
    """Five-minute samples have a season of 288 steps, hourly ones of a day and a week."""
    day, week = JumpCorrectedHistory(1), JumpCorrectedHistory(1)
    for step in range(20):
        day.step(np.array([float(step)]), 300.0)
        week.step(np.array([float(step)]), 3600.0)
    assert day.seasons == (288,)
    assert week.seasons == (24, 168)


def test_odd_intervals_leave_finite_inputs() -> None:
    """Clocks set back, gaps of a million steps and infinities leave finite inputs."""
    history = JumpCorrectedHistory(2)
    values = walked(history)
    for elapsed in (-5.0, 0.0, np.nan, np.inf, 3e8, 300.0):
        history.step(values, elapsed)
        assert np.isfinite(history.inputs).all()
        assert history.after_gap == (elapsed == 3e8)


def test_a_constant_that_falls_to_zero_gives_no_warning() -> None:
    """A level of zero never makes a division overflow."""
    history = JumpCorrectedHistory(2)
    with np.errstate(all="raise", under="ignore"):
        for value in [5e9] * 60 + [0.0, 0.0, -1e99, 3.0]:
            history.step(np.array([value, 1.0]), 300.0)
    assert np.isfinite(history.inputs).all()


@pytest.mark.parametrize(
    ("intervals", "missing"), [(1.0, 0), (1.5, 0), (2.0, 1), (2.2, 1), (3.0, 2), (13.0, 12)]
)
def test_missing_samples_keep_their_place_in_the_season(intervals: float, missing: int) -> None:
    """Samples that did not come count as steps from the first one on, so that the season is not
    shifted; a late sample does not."""
    history = JumpCorrectedHistory(2)
    values = walked(history)
    before = history.steps
    history.step(values, 300.0 * intervals)
    assert history.steps - before == 1 + missing
    assert history.after_gap == bool(missing)


def test_forgetting_an_hour_does_not_shift_the_season() -> None:
    """After two half-hourly samples of a daily course are left out, the next day is forecast as
    well as without the gap."""
    rows = demand(1_200)
    errors = []
    for gone in (set(), {1_150, 1_151}):
        made = FORECASTERS["pool"](ForecastTask(2, weights=shipped_weights()))
        last, error = 0, 0.0
        for number, row in enumerate(rows):
            if number in gone:
                continue
            point = made.step(row, 1_800.0 * (number - last)).point
            last = number
            if 1_152 <= number < 1_188:
                error += float(np.abs(point[2] - rows[number + 12]).sum())
        errors.append(error)
    assert errors[1] < 1.1 * errors[0]
