"""What every entry of the table of forecasters keeps."""

import numpy as np
import pytest

from edge.core import ConfigError
from edge.core.forecasting import FORECASTERS, Forecaster, Task

TASK = Task(channels=3, horizons=(1, 3), period=8)


@pytest.fixture(params=sorted(FORECASTERS))
def made(request: pytest.FixtureRequest) -> Forecaster:
    """Each forecaster of the table, on one task."""
    return FORECASTERS[request.param](TASK)


def samples(count: int = 60, seed: int = 0) -> np.ndarray:
    """A season of 8 steps in three phases, with noise: float64 [count, 3]."""
    rng = np.random.default_rng(seed)
    wave = np.sin(np.arange(count)[:, None] * np.pi / 4 + np.arange(3))
    return 10 + wave + 0.1 * rng.normal(size=(count, 3))


def test_forecasts_have_their_shape_and_keep_inputs(made: Forecaster) -> None:
    """A step gives [H, C] arrays in order low, point, high, and leaves the sample as it was."""
    for row in samples():
        before = row.copy()
        told = made.step(row, 1.0)
        assert np.array_equal(row, before)
    assert told.horizons == (1, 3)
    assert told.point.shape == told.low.shape == told.high.shape == (2, 3)
    assert (told.low <= told.point).all()
    assert (told.point <= told.high).all()


def test_a_state_that_is_restored_goes_on(made: Forecaster) -> None:
    """A forecaster with another's state says what that one says."""
    for row in samples():
        made.step(row, 1.0)
    other = type(made)(TASK)  # type: ignore[call-arg]
    other.restore(made.state())
    for row in samples(20, seed=1):
        assert np.array_equal(made.step(row, 1.0).point, other.step(row, 1.0).point)


def test_a_task_out_of_range_is_refused() -> None:
    """Horizons that do not rise are a ConfigError."""
    with pytest.raises(ConfigError, match="ascending"):
        Task(channels=1, horizons=(6, 1))
