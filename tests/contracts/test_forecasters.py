"""The contract of forecasters, for every entry of the table."""

import numpy as np
import pytest

from edge.core.errors import ConfigError, StateError
from edge.core.forecasting.forecaster import Forecaster, ForecastTask
from edge.core.forecasting.kinds import FORECASTERS

TASK = ForecastTask(channels=3, horizons=(1, 3), period=8)


@pytest.fixture(params=sorted(FORECASTERS))
def kind(request: pytest.FixtureRequest) -> str:
    """The name of each forecaster."""
    return str(request.param)


def samples(count: int = 60, seed: int = 0) -> np.ndarray:
    """A season of 8 steps in three phases, with noise: float64 [count, 3]."""
    rng = np.random.default_rng(seed)
    wave = np.sin(np.arange(count)[:, None] * np.pi / 4 + np.arange(3))
    return 10 + wave + 0.1 * rng.normal(size=(count, 3))


def points(made: Forecaster, rows: np.ndarray, elapsed_s: float = 1.0) -> np.ndarray:
    """Feed rows; return the points [count, H, C]."""
    return np.array([made.step(row, elapsed_s).point for row in rows])


def test_forecasts_have_their_shape_and_keep_inputs(kind: str) -> None:
    """A step gives ordered [H, C] arrays low, point and high, and does not modify the sample."""
    made = FORECASTERS[kind](TASK)
    for row in samples():
        before = row.copy()
        forecast = made.step(row, 1.0)
        assert np.array_equal(row, before)
        assert forecast.horizons == (1, 3)
        assert forecast.point.shape == forecast.low.shape == forecast.high.shape == (2, 3)
        assert (forecast.low <= forecast.point).all()
        assert (forecast.point <= forecast.high).all()


def test_a_forecast_does_not_change_later(kind: str) -> None:
    """Further samples do not modify an earlier forecast."""
    made = FORECASTERS[kind](TASK)
    forecasts = [made.step(row, 1.0) for row in samples(20)]
    kept = [one.point.copy() for one in forecasts]
    points(made, samples(20, seed=1))
    assert all(np.array_equal(one.point, copy) for one, copy in zip(forecasts, kept, strict=True))


def test_the_same_seed_gives_the_same_forecasts(kind: str) -> None:
    """Two forecasters of a kind give bit-equal forecasts."""
    first, second = (FORECASTERS[kind](TASK) for _ in range(2))
    assert np.array_equal(points(first, samples()), points(second, samples()))


def test_a_restored_forecaster_continues(kind: str) -> None:
    """A restored forecaster gives the same forecasts as the original."""
    first, second = (FORECASTERS[kind](TASK) for _ in range(2))
    points(first, samples(), 300.0)
    second.restore(first.state())
    assert np.array_equal(
        points(first, samples(40, 1), 300.0), points(second, samples(40, 1), 300.0)
    )


def test_the_state_does_not_grow(kind: str) -> None:
    """The state has the same size after more samples."""
    made = FORECASTERS[kind](TASK)
    sizes = []
    for seed in range(3):
        points(made, samples(30, seed))
        sizes.append(sum(array.nbytes for array in made.state().values()))
    assert sizes[0] == sizes[1] == sizes[2]


def test_the_state_of_another_task_is_refused(kind: str) -> None:
    """A state with other channels, or with a NaN, is a StateError."""
    made = FORECASTERS[kind](TASK)
    points(made, samples(5))
    with pytest.raises(StateError):
        FORECASTERS[kind](ForecastTask(channels=4, horizons=(1, 3), period=8)).restore(made.state())
    invalid = {name: np.array(array) for name, array in made.state().items()}
    invalid["history.course"] = np.full(3, np.nan)
    with pytest.raises(StateError, match=r"course"):
        FORECASTERS[kind](TASK).restore(invalid)


def test_forecasts_depend_on_past_samples_alone(kind: str) -> None:
    """Forecasts up to a sample do not depend on later samples."""
    first, second = (FORECASTERS[kind](TASK) for _ in range(2))
    rows, other = samples(80), samples(80)
    other[50:] += 100.0
    assert np.array_equal(points(first, rows)[:50], points(second, other)[:50])


@pytest.mark.parametrize("bad", [np.nan, -np.inf, -1e99])
def test_invalid_values_do_no_lasting_harm(kind: str, bad: float) -> None:
    """After missing and extreme values, forecasts are finite and return to the series."""
    made = FORECASTERS[kind](TASK)
    points(made, samples(60))
    for row in samples(10, seed=1):
        assert np.isfinite(made.step(np.where([True, False, False], bad, row), 1.0).point).all()
    found = points(made, samples(160, seed=2))
    assert np.abs(found[-50:, :, 1:] - 10).max() < 5
    if abs(bad) > 1e100 or np.isnan(bad):
        assert np.abs(found[-50:] - 10).max() < 5


def test_a_channel_without_values_has_no_forecast(kind: str) -> None:
    """A channel has NaN before its first value, and forecasts from then on."""
    made = FORECASTERS[kind](TASK)
    rows = samples(40)
    rows[:20, 1] = np.nan
    found = points(made, rows)
    assert np.isnan(found[:20, :, 1]).all()
    assert np.isfinite(found[20:]).all()
    assert np.isfinite(found[:, :, 0]).all()


def test_first_values_and_constant_channels_are_repeated(kind: str) -> None:
    """The first forecast repeats the value, and so do those of a constant channel."""
    made = FORECASTERS[kind](TASK)
    found = points(made, np.tile([5.0, 0.0, -2.0], (100, 1)))
    assert np.array_equal(found[0], np.tile([5.0, 0.0, -2.0], (2, 1)))
    assert np.allclose(found[-1], [5.0, 0.0, -2.0])


@pytest.mark.parametrize("elapsed_s", [-1.0, 0.0, np.nan, np.inf, 1e6 * 300.0])
def test_odd_intervals_do_no_harm(kind: str, elapsed_s: float) -> None:
    """Clocks set back and gaps of a million steps leave forecasts close to the series."""
    made = FORECASTERS[kind](ForecastTask(channels=3, horizons=(1, 3)))
    points(made, samples(60), 300.0)
    made.step(samples(1)[0], elapsed_s)
    found = points(made, samples(60, seed=1), 300.0)
    assert np.abs(found - 10).max() < 5


def test_a_change_of_unit_is_followed(kind: str) -> None:
    """A channel whose values grow a thousandfold is forecast at its new size."""
    made = FORECASTERS[kind](TASK)
    points(made, samples(100))
    found = points(made, samples(300, seed=1) * np.array([1000.0, 1.0, 1.0]))
    assert np.abs(found[-50:, :, 0] / 1000 - 10).max() < 5
    assert np.abs(found[-50:, :, 1:] - 10).max() < 5


def test_a_sample_of_another_shape_is_refused(kind: str) -> None:
    """Two values for three channels are a ValueError."""
    with pytest.raises(ValueError, match="3 values"):
        FORECASTERS[kind](TASK).step(np.zeros(2), 1.0)


def test_a_task_out_of_range_is_refused() -> None:
    """Horizons that do not ascend are a ConfigError."""
    with pytest.raises(ConfigError, match="ascending"):
        ForecastTask(channels=1, horizons=(6, 1))
