"""The guard of the pool: not worse than the best simple expert, at a bounded price."""

from collections.abc import Callable, Iterator, Mapping
from math import exp, log
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from edge.core.config import Config
from edge.core.errors import StateError
from edge.core.events import Observation
from edge.core.forecasting.experts.expert import DelayedTargets
from edge.core.forecasting.forecaster import ForecastTask
from edge.core.forecasting.guard import BaselineGuard
from edge.core.forecasting.history import JumpCorrectedHistory
from edge.core.forecasting.kinds import FORECASTERS
from edge.core.forecasting.series import SeriesSnapshot, SeriesTracker
from edge.storage.series_state import SeriesStateFile

HORIZONS = (1, 6, 12)
LEARNED = 100


def errors(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Mean absolute errors by horizon, from the hundredth sample on."""
    return np.array(
        [
            np.abs(points[LEARNED:-ahead, place] - rows[LEARNED + ahead :]).mean()
            for place, ahead in enumerate(HORIZONS)
        ]
    )


def pool_errors(rows: np.ndarray, period: int | None = None) -> np.ndarray:
    """The errors of the pool."""
    pool = FORECASTERS["pool"](ForecastTask(rows.shape[1], HORIZONS, period=period))
    return errors(np.array([pool.step(row, 300.0).point for row in rows]), rows)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e6])
@pytest.mark.parametrize("period", [None, 24])
def test_a_random_walk_is_forecast_like_the_last_value(size: float, period: int | None) -> None:
    """On 400 samples of random walks the error is within 1.01 of the last value's, in any unit."""
    rows = size * np.cumsum(np.random.default_rng(7).normal(size=(400, 8)), axis=0)
    last = errors(np.repeat(rows[:, None], 3, axis=1), rows)
    assert (pool_errors(rows, period) < 1.01 * last).all()


def test_a_short_trend_is_forecast_by_its_drift() -> None:
    """On 250 samples of a noisy trend the error is within 1.03 of the mean increment's."""
    noise = np.random.default_rng(8).normal(size=(250, 8))
    rows = np.cumsum(1.0 + 0.5 * noise, axis=0)
    slope = (rows - rows[0]) / np.maximum(np.arange(250), 1)[:, None]
    points = rows[:, None] + slope[:, None] * np.array(HORIZONS)[:, None]
    assert (pool_errors(rows) < 1.03 * errors(points, rows)).all()


def test_what_the_experts_learn_is_not_lost() -> None:
    """On a season of 300 samples the pool stays far below the best simple expert."""
    steps, noise = np.arange(300)[:, None], np.random.default_rng(9).normal(size=(300, 4))
    rows = 10 * np.sin(steps * np.pi / 12) + 0.2 * np.cumsum(noise, axis=0) + noise
    seasonal = np.stack([np.roll(rows, 24 - ahead, axis=0) for ahead in HORIZONS], axis=1)
    assert (pool_errors(rows, period=24) < 0.95 * errors(seasonal, rows)).all()


def test_luck_many_steps_ahead_is_not_taken_for_skill() -> None:
    """On 250 samples of a random walk there are six independent outcomes 24 steps ahead, on which
    the pool may do well by chance: what counts is that 6 and 12 steps ahead it does not."""
    task, ahead, ratios = ForecastTask(12, (1, 6, 12, 24)), 24, []
    for seed in (7, 8, 9):
        rows = np.cumsum(np.random.default_rng(seed).normal(size=(250, 12)), axis=0)
        pool = FORECASTERS["pool"](task)
        points = np.array([pool.step(row, 300.0).point[-1] for row in rows])
        later, known = rows[LEARNED + ahead :], slice(LEARNED, -ahead)
        ours, last = (np.abs(one[known] - later).mean(axis=0) for one in (points, rows))
        ratios.append((ours / last).mean())
    assert np.mean(ratios) < 1.018


def test_a_pool_that_is_lost_is_found_out_before_its_long_forecasts_are_due() -> None:
    """Once the pool fails 6 steps ahead, its forecasts 24 steps ahead count little, although
    all of those that are due were good."""
    targets, history = DelayedTargets(1, (6, 24)), JumpCorrectedHistory(1)
    guard, shares = BaselineGuard(1, targets), []
    for step, sign in enumerate(np.random.default_rng(14).choice([-1.0, 1.0], 145)):
        history.step(np.zeros(1), 1.0)
        targets.step(history)
        forecasts = np.full((4, 2, 1), sign)
        forecasts[-1] *= 0.6 if step < 120 else 3.0
        mixture = guard.step(forecasts, np.zeros(1), targets)
        shares.append(((mixture - sign) / (forecasts[-1] - sign))[1].item())
    assert shares[119] > 0.6
    assert shares[-1] < 0.4


class GuardRun:
    """Runs a guard of one channel, one step ahead, and sums the price of the pool.

    price: sum of the mixture's errors minus the baseline's, in mean errors.
    """

    def __init__(self) -> None:
        self.targets = DelayedTargets(1, (1,))
        self.guard = BaselineGuard(1, self.targets)
        self.history = JumpCorrectedHistory(1)
        self.price = 0.0
        self.mixture = np.zeros((1, 1))

    def step(self, value: float, simple: float, pool: float) -> None:
        """Take a value; all simple experts and the pool then forecast so much."""
        self.history.step(np.array([value]), 1.0)
        self.targets.step(self.history)
        before, last = self.mixture, np.array([value])
        baseline = self.guard.pending[-1, self.targets.flat_origin_rows]
        forecasts = np.array([simple, simple, simple, pool]).reshape(4, 1, 1)
        self.mixture = self.guard.step(forecasts, last, self.targets)
        if self.targets.arrived.all():
            loss = np.abs(before - last) - np.abs(baseline - last)
            self.price += float((loss / self.guard.scale).item())


def turncoat(step: int) -> float:
    """Errors of a pool that is perfect until it is trusted, and useless from then on."""
    return 0.0 if step < 150 else 2.5


def alternating(step: int) -> float:
    """Errors of a pool that is perfect and useless in turn."""
    return 0.0 if step // 40 % 2 else 2.0


def useless(step: int) -> float:
    """Errors of a pool that is always worse."""
    del step
    return 2.0


@pytest.mark.parametrize("error", [turncoat, alternating, useless])
def test_the_pool_costs_a_bounded_sum(error: Callable[[int], float]) -> None:
    """Whatever the pool does, the mixture loses at most ln(1 + 1/e) / 0.2 mean errors to the
    baseline over the whole run, one step ahead."""
    run, signs = GuardRun(), np.random.default_rng(10).choice([-1.0, 1.0], 2000)
    worst = 0.0
    for step, sign in enumerate(signs):
        run.step(0.0, sign, sign * error(step))
        worst = max(worst, run.price)
    # The smallest share, e^-8, is never taken away.
    assert worst < log(1 + exp(-1)) / 0.2 + 2000 * exp(-8)


def test_a_better_pool_takes_over() -> None:
    """With half of the baseline's error the pool has 99 % of the mixture after 150 samples."""
    run, signs = GuardRun(), np.random.default_rng(11).choice([-1.0, 1.0], 150)
    for sign in signs:
        run.step(0.0, sign, 0.5 * sign)
    run.step(0.0, 1.0, 0.5)
    assert run.mixture.item() == pytest.approx(0.5, abs=0.005)


def test_the_evidence_is_part_of_the_state() -> None:
    """A restored guard continues with the same bits; one without its evidence is refused."""
    rows = np.cumsum(np.random.default_rng(12).normal(size=(160, 2)), axis=0)
    first, second, third = (FORECASTERS["pool"](ForecastTask(2, period=12)) for _ in range(3))
    for row in rows[:120]:
        first.step(row, 60.0)
    state = dict(first.state())
    second.restore(state)
    for row in rows[120:]:
        assert np.array_equal(first.step(row, 60.0).point, second.step(row, 60.0).point)
    del state["guard.log_wealth"]
    with pytest.raises(StateError, match="log_wealth"):
        third.restore(state)


def test_the_state_of_a_pool_without_a_guard_starts_again(tmp_path: Path) -> None:
    """A file of an earlier version, with fewer experts and no guard, costs its series their state
    and nothing else: the reason is given, and the next sample is forecast."""
    tracker = SeriesTracker(Config())
    for number in range(40):
        list(tracker.process(sample(number)))
    earlier = tuple(tracker.saved())

    def saved() -> Iterator[SeriesSnapshot]:
        return (replace(one, state=without_guard(one.state)) for one in earlier)

    tracker.saved = saved  # type: ignore[method-assign]
    file = SeriesStateFile(tmp_path / "knowledge.db")
    file.save(tracker)
    fresh = SeriesTracker(Config())
    assert file.restore(fresh) == 0
    assert "expected finite" in file.problem
    assert len(list(fresh.process(sample(40)))) == 1


def without_guard(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The state as it was before the pool had a guard and two of its experts."""
    kept = {name: array for name, array in state.items() if "/guard." not in name}
    for name in ("forecaster/mixing.losses", "forecaster/mixing.forecasts"):
        kept[name] = kept[name][2:]
    return kept


def sample(number: int) -> Observation:
    """A sample of two channels."""
    return Observation(
        stream="links",
        sequence=number,
        captured_at_ns=number * 60 * 10**9,
        payload=[float(number % 7), 1.0],
        kind="series",
    )
