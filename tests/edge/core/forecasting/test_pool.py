"""The expert pool: close to its best expert, valid intervals, no harm from a failure."""

from functools import partial

import numpy as np
import pytest

from edge.backbone.simulator import simulate_links
from edge.core.forecasting.experts.expert import DelayedTargets
from edge.core.forecasting.forecaster import Forecaster, ForecastTask
from edge.core.forecasting.kinds import FORECASTERS
from edge.core.forecasting.pool import ExpertWeights

HORIZONS = (1, 6, 12)


def errors(made: Forecaster, rows: np.ndarray, elapsed_s: float = 300.0) -> np.ndarray:
    """Absolute errors [H, steps, C] of the forecasts issued at each step; NaN at the end."""
    points = np.array([made.step(row, elapsed_s).point for row in rows])
    found = np.full((len(HORIZONS), *rows.shape), np.nan)
    for place, ahead in enumerate(HORIZONS):
        found[place, :-ahead] = np.abs(points[:-ahead, place] - rows[ahead:])
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


def test_intervals_have_their_coverage(links: tuple[np.ndarray, list[int]]) -> None:
    """Between 86 and 94 % of the values lie in the 90 % intervals, failures included."""
    rows, _ = links
    made = FORECASTERS["pool"](ForecastTask(8))
    forecasts = [made.step(row, 300.0) for row in rows]
    for place, ahead in enumerate(HORIZONS):
        pairs = [(forecasts[at], rows[at + ahead]) for at in range(288, len(rows) - ahead)]
        covered = [(one.low[place] <= row) & (row <= one.high[place]) for one, row in pairs]
        assert 0.86 < np.mean(covered) < 0.94


@pytest.mark.parametrize("kind", ["walk", "season", "noise", "ramp"])
def test_the_pool_is_never_much_worse_than_its_best_expert(kind: str) -> None:
    """On data that suits one expert alone, the pool is within a tenth of the best one."""
    rng = np.random.default_rng(3)
    steps, noise = np.arange(1200)[:, None], rng.normal(size=(1200, 3))
    rows = {
        "walk": np.cumsum(noise, axis=0),
        "season": 10 * np.sin(steps * np.pi / 24) + noise,
        "noise": noise,
        "ramp": 0.5 * steps + noise,
    }[kind]
    names = ("pool", "last", "seasonal", "huber", "liquid")
    scores = {
        name: np.nanmean(
            errors(FORECASTERS[name](ForecastTask(3, period=48)), rows)[:, 400:], axis=(1, 2)
        )
        for name in names
    }
    best = np.min([scores[name] for name in names[1:]], axis=0)
    assert (scores["pool"] <= 1.1 * best).all()


def test_noise_with_bursts_is_forecast_by_its_median() -> None:
    """On noise about a level with rare bursts, the pool errs as little as the median."""
    rng = np.random.default_rng(4)
    rows = 5 + rng.normal(size=(1500, 1)) * 0.2
    rows[rng.random(1500) < 0.06] += rng.exponential(8, size=1)
    pool = np.nanmean(errors(FORECASTERS["pool"](ForecastTask(1)), rows)[:, 500:], axis=(1, 2))
    best = np.abs(rows[500:] - np.median(rows)).mean()
    assert (pool < 1.1 * best).all()


def test_weights_follow_a_new_best_expert() -> None:
    """When the experts change places, the mixture follows within a hundred steps."""
    targets = DelayedTargets(1, (1,))
    targets.valid[:] = True
    weights = ExpertWeights(2, 1, targets)
    forecasts = np.array([[[0.0]], [[10.0]]])
    step = partial(weights.step, forecasts, targets)
    mixtures = []
    for number in range(400):
        targets.count = number
        targets.row, targets.origin_rows = number % 2, (number - targets.horizons) % 2
        targets.flat_origin_rows = targets.origin_rows
        targets.flat_rows = slice(targets.row, targets.row + 1)
        targets.values[:] = 0.0 if number < 200 else 10.0
        mixtures.append(float(step()[0, 0]))
    assert abs(mixtures[199]) < 0.1
    assert abs(mixtures[310] - 10.0) < 0.1


@pytest.mark.parametrize("seen", [20, 231, 232])
def test_a_pool_of_many_channels_continues_from_its_state(seen: int) -> None:
    """A restored pool that learns from every second sample forecasts the same bits."""
    rows = 1000 + np.cumsum(np.random.default_rng(0).normal(size=(260, 18)), axis=0)
    first, second = (FORECASTERS["pool"](ForecastTask(18, period=24)) for _ in range(2))
    for row in rows[:seen]:
        first.step(row, 300.0)
    second.restore(first.state())
    for row in rows[seen : seen + 20]:
        one, other = (made.step(row, 300.0) for made in (first, second))
        assert np.array_equal(one.point, other.point)
        assert np.array_equal(one.high, other.high)
