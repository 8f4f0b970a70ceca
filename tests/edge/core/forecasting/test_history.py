"""The history of channels: jumps, gaps, missing values."""

import numpy as np

from edge.core.forecasting.history import JumpCorrectedHistory


def walked(history: JumpCorrectedHistory, steps: int = 100, seed: int = 0) -> np.ndarray:
    """Feed a random walk about 100; returns the last values."""
    values = np.full(history.channels, 100.0)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        values = values + rng.normal(size=history.channels)
        history.step(values, 300.0)
    return values


def test_a_joint_jump_leaves_no_mark_on_the_course() -> None:
    """Channels that jump together are marked, and their course stands still."""
    history = JumpCorrectedHistory(4)
    values = walked(history)
    before = history.course.copy()
    history.step(values + np.array([50.0, -40.0, 60.0, 0.0]), 300.0)
    assert history.moved.tolist() == [True, True, True, False]
    assert np.array_equal(history.course, before)
    assert np.abs(history.inputs).max() < 5


def test_a_channel_that_dies_keeps_its_unit() -> None:
    """A channel that falls to nothing is dead, and its unit waits for it."""
    history = JumpCorrectedHistory(2)
    values = walked(history)
    unit = history.unit[0]
    for _ in range(50):
        history.step(values * np.array([0.0, 1.0]), 300.0)
    assert history.dead.tolist() == [True, False]
    assert history.unit[0] == unit
    history.step(values, 300.0)
    assert history.moved[0]
    assert not history.dead[0]


def test_a_value_after_silence_is_a_jump() -> None:
    """Missing values change nothing; what comes after a long silence has no increment."""
    history = JumpCorrectedHistory(2)
    values = walked(history)
    for missing in (np.nan, np.inf, -np.inf, np.nan):
        history.step(np.array([missing, values[1]]), 300.0)
    assert history.last[0] == values[0]
    history.step(values + 30, 300.0)
    assert history.moved[0]
    assert np.isfinite(history.inputs).all()


def test_a_day_is_found_from_the_time_between_samples() -> None:
    """Five-minute samples have a season of 288 steps, hourly ones of a day and a week."""
    day, week = JumpCorrectedHistory(1), JumpCorrectedHistory(1)
    for step in range(20):
        day.step(np.array([float(step)]), 300.0)
        week.step(np.array([float(step)]), 3600.0)
    assert day.seasons == (288,)
    assert week.seasons == (24, 168)


def test_time_may_do_what_it_likes() -> None:
    """Clocks set back, gaps of a million steps and infinities leave finite inputs."""
    history = JumpCorrectedHistory(2)
    values = walked(history)
    for elapsed in (-5.0, 0.0, np.nan, np.inf, 3e8, 300.0):
        history.step(values, elapsed)
        assert np.isfinite(history.inputs).all()
        assert history.broken == (elapsed == 3e8)


def test_a_constant_that_falls_to_nothing_gives_no_warning() -> None:
    """Whatever a level of nothing is divided into, nothing overflows."""
    history = JumpCorrectedHistory(2)
    with np.errstate(all="raise", under="ignore"):
        for value in [5e9] * 60 + [0.0, 0.0, -1e99, 3.0]:
            history.step(np.array([value, 1.0]), 300.0)
    assert np.isfinite(history.inputs).all()
