"""The benchmark of forecasts: truth arrives late, and the figures match their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.forecast.data import BenchmarkStream
from benchmarks.forecast.evaluate import measure
from benchmarks.forecast.peers import (
    ONLINE,
    DLinearOnline,
    LagRls,
    LastValuePeer,
    SeasonalNaivePeer,
)
from benchmarks.forecast.score import HORIZONS, score

STEPS, START, PERIOD = 400, 200, 24
EVENTS = (260, 330)


def stream(seed=0, channels=3):
    """A daily wave with a little noise, and two events that move its level."""
    random = np.random.default_rng(seed)
    waves = 10 * np.sin(2 * np.pi * np.arange(STEPS) / PERIOD)[:, None] * np.ones(channels)
    values = 50 + waves + random.normal(0, 0.5, (STEPS, channels))
    values[EVENTS[0] : EVENTS[1]] += 30
    elapsed = np.full(STEPS, 300.0)
    return BenchmarkStream(
        group="made",
        name="made",
        values=values,
        elapsed_s=elapsed,
        start=START,
        period=PERIOD,
        scale=np.ones(channels),
        events=EVENTS,
    )


def foresight(made):
    """The forecast of an oracle."""
    points = np.full((STEPS, len(HORIZONS), made.values.shape[1]), np.nan)
    for place, ahead in enumerate(HORIZONS):
        points[:-ahead, place] = made.values[ahead:]
    return points


def test_perfect_forecasts_have_no_error():
    """The truth as forecast scores zero everywhere, and intervals around it hold everything."""
    made = stream()
    points = foresight(made)
    marks = score(made, points, points - 1, points + 1)
    assert marks["mae"] == marks["rmse"] == marks["part"] == [0, 0, 0]
    assert marks["after"] == [[0] * 4] * 3
    assert marks["coverage"] == marks["coverage_after"] == 1
    assert marks["width"] == pytest.approx([2, 2, 2])


def test_an_error_counts_at_its_horizon_and_after_its_event():
    """A wrong forecast just after an event is in the marks of its horizon, and in no other."""
    made = stream()
    points = foresight(made)
    points[EVENTS[0], 1] += 7.0
    marks = score(made, points)
    assert marks["mae"][0] == marks["mae"][2] == 0
    assert marks["mae"][1] == pytest.approx(7 / (STEPS - START - 6))
    # Mean over both events: the first 1 step, the first 5, ...
    assert marks["after"][1][:2] == pytest.approx([7 / 2, 7 / 5 / 2])


def test_a_missing_forecast_counts_as_the_last_value():
    """A method that says nothing is scored as the one that repeats the last value."""
    made = stream()
    silent = np.full((STEPS, len(HORIZONS), 3), np.nan)
    assert score(made, silent)["mae"] == pytest.approx(measure("last value", made)["mae"])


@pytest.mark.parametrize("kind", [LastValuePeer, SeasonalNaivePeer, DLinearOnline, LagRls])
def test_no_method_sees_the_future(kind):
    """A forecast does not depend on later samples."""
    points = []
    for later in (0.0, 1e3):
        made = stream()
        made.values[300:] += later
        method = kind(made)
        method.begin(made.values[:START], made.elapsed_s[:START])
        points.append([method.step(values, 300.0)[0] for values in made.values[START:300]])
    assert np.array_equal(points[0], points[1])


@pytest.mark.parametrize("name", ["seasonal naive", "DLinear online", "lag-RLS"])
def test_peers_use_the_season(name):
    """On a plain daily wave each peer with a season is far better than the last value."""
    made = stream()
    made.values[EVENTS[0] : EVENTS[1]] -= 30
    ours, last = (measure(each, made)["mae"][2] for each in (name, "last value"))
    assert ours < 0.3 * last
    assert name in ONLINE
