"""What every entry of the table of forecasters keeps: crossed with the whole table."""

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
    """A step gives [H, C] arrays in order low, point, high, and leaves the sample as it was."""
    made = FORECASTERS[kind](TASK)
    for row in samples():
        before = row.copy()
        told = made.step(row, 1.0)
        assert np.array_equal(row, before)
        assert told.horizons == (1, 3)
        assert told.point.shape == told.low.shape == told.high.shape == (2, 3)
        assert (told.low <= told.point).all()
        assert (told.point <= told.high).all()


def test_what_was_told_is_not_changed_later(kind: str) -> None:
    """A forecast stays what it was when further samples come."""
    made = FORECASTERS[kind](TASK)
    told = [made.step(row, 1.0) for row in samples(20)]
    kept = [one.point.copy() for one in told]
    points(made, samples(20, seed=1))
    assert all(np.array_equal(one.point, copy) for one, copy in zip(told, kept, strict=True))


def test_the_same_seed_gives_the_same(kind: str) -> None:
    """Two of a kind say the same to the bit."""
    first, second = (FORECASTERS[kind](TASK) for _ in range(2))
    assert np.array_equal(points(first, samples()), points(second, samples()))


def test_a_state_that_is_restored_goes_on(kind: str) -> None:
    """A forecaster with another's state says what that one says; taking it changes nothing."""
    first, second = (FORECASTERS[kind](TASK) for _ in range(2))
    points(first, samples(), 300.0)
    second.restore(first.state())
    assert np.array_equal(
        points(first, samples(40, 1), 300.0), points(second, samples(40, 1), 300.0)
    )


def test_the_state_does_not_grow(kind: str) -> None:
    """A hundred samples later, the state takes the same room."""
    made = FORECASTERS[kind](TASK)
    sizes = []
    for seed in range(3):
        points(made, samples(30, seed))
        sizes.append(sum(array.nbytes for array in made.state().values()))
    assert sizes[0] == sizes[1] == sizes[2]


def test_the_state_of_another_task_is_refused(kind: str) -> None:
    """Another number of channels is a StateError, and so is a number that is not finite."""
    made = FORECASTERS[kind](TASK)
    points(made, samples(5))
    with pytest.raises(StateError):
        FORECASTERS[kind](ForecastTask(channels=4, horizons=(1, 3), period=8)).restore(made.state())
    spoilt = {name: np.array(array) for name, array in made.state().items()}
    spoilt["history.course"] = np.full(3, np.nan)
    with pytest.raises(StateError, match=r"course"):
        FORECASTERS[kind](TASK).restore(spoilt)


def test_the_truth_comes_late(kind: str) -> None:
    """What is said up to a sample depends on the samples up to it alone."""
    first, second = (FORECASTERS[kind](TASK) for _ in range(2))
    rows, other = samples(80), samples(80)
    other[50:] += 100.0
    assert np.array_equal(points(first, rows)[:50], points(second, other)[:50])


@pytest.mark.parametrize("bad", [np.nan, -np.inf, -1e99])
def test_bad_values_poison_nothing(kind: str, bad: float) -> None:
    """After values that are none, or absurd, forecasts are finite and come back to the series."""
    made = FORECASTERS[kind](TASK)
    points(made, samples(60))
    for row in samples(10, seed=1):
        assert np.isfinite(made.step(np.where([True, False, False], bad, row), 1.0).point).all()
    told = points(made, samples(160, seed=2))
    assert np.abs(told[-50:, :, 1:] - 10).max() < 5
    if abs(bad) > 1e100 or np.isnan(bad):
        assert np.abs(told[-50:] - 10).max() < 5


def test_a_channel_that_was_never_seen_has_nothing_to_say(kind: str) -> None:
    """NaN where no value has come yet; from the first on there are forecasts."""
    made = FORECASTERS[kind](TASK)
    rows = samples(40)
    rows[:20, 1] = np.nan
    told = points(made, rows)
    assert np.isnan(told[:20, :, 1]).all()
    assert np.isfinite(told[20:]).all()
    assert np.isfinite(told[:, :, 0]).all()


def test_one_value_and_constant_channels_are_repeated(kind: str) -> None:
    """The first forecast is the value itself, and a constant stays what it is."""
    made = FORECASTERS[kind](TASK)
    told = points(made, np.tile([5.0, 0.0, -2.0], (100, 1)))
    assert np.array_equal(told[0], np.tile([5.0, 0.0, -2.0], (2, 1)))
    assert np.allclose(told[-1], [5.0, 0.0, -2.0])


@pytest.mark.parametrize("elapsed_s", [-1.0, 0.0, np.nan, np.inf, 1e6 * 300.0])
def test_time_may_do_what_it_likes(kind: str, elapsed_s: float) -> None:
    """Clocks set back and gaps of a million steps leave finite forecasts near the series."""
    made = FORECASTERS[kind](ForecastTask(channels=3, horizons=(1, 3)))
    points(made, samples(60), 300.0)
    made.step(samples(1)[0], elapsed_s)
    told = points(made, samples(60, seed=1), 300.0)
    assert np.abs(told - 10).max() < 5


def test_another_unit_is_followed(kind: str) -> None:
    """A channel that is a thousand times as large from now on is forecast in its new size."""
    made = FORECASTERS[kind](TASK)
    points(made, samples(100))
    told = points(made, samples(300, seed=1) * np.array([1000.0, 1.0, 1.0]))
    assert np.abs(told[-50:, :, 0] / 1000 - 10).max() < 5
    assert np.abs(told[-50:, :, 1:] - 10).max() < 5


def test_a_sample_of_another_shape_is_refused(kind: str) -> None:
    """Two values for three channels are a ValueError."""
    with pytest.raises(ValueError, match="3 values"):
        FORECASTERS[kind](TASK).step(np.zeros(2), 1.0)


def test_a_task_out_of_range_is_refused() -> None:
    """Horizons that do not rise are a ConfigError."""
    with pytest.raises(ConfigError, match="ascending"):
        ForecastTask(channels=1, horizons=(6, 1))
