"""What the pool promises: near its best expert, valid intervals, no harm from a failure."""

from functools import partial

import numpy as np
import pytest

from edge.core.forecasting.delayed_targets import DelayedTargets
from edge.core.forecasting.expert_weights import ExpertWeights
from edge.core.forecasting.forecaster import Forecaster, ForecastTask
from edge.core.forecasting.kinds import FORECASTERS
from edge.sim.links.simulator import simulate_links

HORIZONS = (1, 6, 12)


def errors(made: Forecaster, rows: np.ndarray, elapsed_s: float = 300.0) -> np.ndarray:
    """Absolute errors [H, steps, C] of the forecasts issued at each step; NaN at the end."""
    told = np.array([made.step(row, elapsed_s).point for row in rows])
    found = np.full((len(HORIZONS), *rows.shape), np.nan)
    for place, ahead in enumerate(HORIZONS):
        found[place, :-ahead] = np.abs(told[:-ahead, place] - rows[ahead:])
    return found


@pytest.fixture(scope="module")
def links() -> tuple[np.ndarray, list[int]]:
    """Eight links of a small backbone for five days, the last three with failures; their events."""
    world = simulate_links("nsfnet", seed=7, days=5, quiet_days=2)
    return world.loads[:, :8] / 1e3, [event.step for event in world.events]


def test_a_failure_does_no_harm(links: tuple[np.ndarray, list[int]]) -> None:
    """In the first five steps after events, the pool is no worse than the last value."""
    rows, events = links
    after = np.unique([event + step for event in events for step in range(5)])
    pool, last = (
        errors(FORECASTERS[kind](ForecastTask(8)), rows)[:, after] for kind in ("pool", "last")
    )
    assert len(events) >= 4
    assert (np.nanmean(pool, axis=(1, 2)) <= np.nanmean(last, axis=(1, 2))).all()


def test_intervals_cover_what_they_say(links: tuple[np.ndarray, list[int]]) -> None:
    """Between 86 and 94 in 100 values lie in the intervals of 90 %, failures included."""
    rows, _ = links
    made = FORECASTERS["pool"](ForecastTask(8))
    told = [made.step(row, 300.0) for row in rows]
    for place, ahead in enumerate(HORIZONS):
        pairs = [(told[at], rows[at + ahead]) for at in range(288, len(rows) - ahead)]
        held = [(one.low[place] <= row) & (row <= one.high[place]) for one, row in pairs]
        assert 0.86 < np.mean(held) < 0.94


@pytest.mark.parametrize("kind", ["walk", "season", "noise", "ramp"])
def test_the_pool_is_never_much_worse_than_its_best_expert(kind: str) -> None:
    """On what suits one expert alone, the pool is within a tenth of the best one."""
    rng = np.random.default_rng(3)
    steps, noise = np.arange(1200)[:, None], rng.normal(size=(1200, 3))
    rows = {
        "walk": np.cumsum(noise, axis=0),
        "season": 10 * np.sin(steps * np.pi / 24) + noise,
        "noise": noise,
        "ramp": 0.5 * steps + noise,
    }[kind]
    names = ("pool", "last", "seasonal", "huber", "liquid")
    marks = {
        name: np.nanmean(
            errors(FORECASTERS[name](ForecastTask(3, period=48)), rows)[:, 400:], axis=(1, 2)
        )
        for name in names
    }
    best = np.min([marks[name] for name in names[1:]], axis=0)
    assert (marks["pool"] <= 1.1 * best).all()


def test_noise_with_bursts_is_forecast_by_its_median() -> None:
    """Where nothing can be known but a level and rare bursts, the pool errs as the median does."""
    rng = np.random.default_rng(4)
    rows = 5 + rng.normal(size=(1500, 1)) * 0.2
    rows[rng.random(1500) < 0.06] += rng.exponential(8, size=1)
    pool = np.nanmean(errors(FORECASTERS["pool"](ForecastTask(1)), rows)[:, 500:], axis=(1, 2))
    best = np.abs(rows[500:] - np.median(rows)).mean()
    assert (pool < 1.1 * best).all()


def test_mixing_follows_a_new_best() -> None:
    """Where experts change places, the mixture has changed over a hundred steps later."""
    truth = DelayedTargets(1, (1,))
    truth.due[:] = True
    mixing = ExpertWeights(2, 1, truth)
    forecasts = np.array([[[0.0]], [[10.0]]])
    step = partial(mixing.step, forecasts, truth)
    told = []
    for number in range(400):
        truth.count = number
        truth.now, truth.then = number % 2, (number - truth.horizons) % 2
        truth.flat_then, truth.flat_now = truth.then, slice(truth.now, truth.now + 1)
        truth.target[:] = 0.0 if number < 200 else 10.0
        told.append(float(step()[0, 0]))
    assert abs(told[199]) < 0.1
    assert abs(told[310] - 10.0) < 0.1


@pytest.mark.parametrize("seen", [20, 231, 232])
def test_a_pool_of_many_channels_goes_on_from_its_state(seen: int) -> None:
    """Where only every second sample teaches, one that was restored says the same to the bit."""
    rows = 1000 + np.cumsum(np.random.default_rng(0).normal(size=(260, 18)), axis=0)
    first, second = (FORECASTERS["pool"](ForecastTask(18, period=24)) for _ in range(2))
    for row in rows[:seen]:
        first.step(row, 300.0)
    second.restore(first.state())
    for row in rows[seen : seen + 20]:
        one, other = (made.step(row, 300.0) for made in (first, second))
        assert np.array_equal(one.point, other.point)
        assert np.array_equal(one.high, other.high)
