"""Each strategy's update by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge.core.errors import EdgeError
from edge.federation.local_training import LocalPlan, LocalResult, work_locally
from edge.federation.strategies.adaptive import TAU, FedAdam
from edge.federation.strategies.averaging import FedAvg, FedProx
from edge.federation.strategies.exact_sums import ExactSums
from edge.federation.strategies.hypergradient import (
    GLOBAL_MAX,
    GLOBAL_MIN,
    FedHyper,
    FedHyperClient,
    FedHyperGlobal,
    FedHyperRelative,
    FedHyperServer,
)
from edge.federation.strategies.robust import FedMedian, FedTrimmedMean
from edge.federation.strategies.strategy import FederatedSettings
from tests.federations import START, TASKS, BowlTask

SETTINGS = FederatedSettings(rate=0.1, server_rate=0.5)
ZERO = {"w": np.zeros(2, np.float32)}


def result(values, examples: int = 1, device: str = "a", **more) -> LocalResult:
    """A device's answer."""
    arrays = {"w": np.array(values, np.float32)}
    return LocalResult(device=device, examples=examples, arrays=arrays, **more)


def test_fedavg_weighs_by_facts():
    """One fact at 0 and three at 4 give 3."""
    made = FedAvg(SETTINGS).aggregate(ZERO, [result([0, 0]), result([4, 8], 3, "b")])
    assert made["w"].tolist() == [3, 6]


def test_fedprox_stays_nearer():
    """The proximal term pulls each device towards the fleet's model."""
    strategy = FedProx(FederatedSettings(proximal=1.0))
    plan = strategy.plan(1, 3)
    assert plan.proximal == 1.0
    near = work_locally("a", BowlTask(1.0), plan, START, {}).arrays["w"]
    far = work_locally("a", BowlTask(1.0), FedAvg(SETTINGS).plan(1, 3), START, {}).arrays["w"]
    assert 0 < near[0] < far[0]


def test_fedadam_steps_along_the_mean_update():
    """The first step: a tenth of the update over the root of a hundredth of its square."""
    made = FedAdam(SETTINGS).aggregate(ZERO, [result([1, -2])])
    update = np.array([1, -2.0])
    root = np.sqrt(0.99 * TAU**2 + 0.01 * update**2)
    assert np.allclose(made["w"], 0.5 * 0.1 * update / (root + TAU))


def test_the_global_rate_follows_successive_updates():
    """1 at first, then 1 plus their inner product, within bounds."""
    strategy = FedHyperGlobal(SETTINGS)
    first = strategy.aggregate(ZERO, [result([0.5, 0])])
    assert first["w"].tolist() == [0.5, 0]
    second = strategy.aggregate(first, [result([1.0, 0])])
    assert strategy.global_rate == 1.25
    assert second["w"].tolist() == [0.5 + 1.25 * 0.5, 0]
    strategy.aggregate(ZERO, [result([100, 0])])
    assert strategy.global_rate == 1 + GLOBAL_MAX
    strategy.aggregate(ZERO, [result([-100, 0])])
    assert strategy.global_rate == pytest.approx(1 + GLOBAL_MIN)


def test_the_server_sets_the_local_rate():
    """By the same inner products, within a tenth and ten times the initial rate."""
    strategy = FedHyperServer(SETTINGS)
    one = strategy.aggregate(ZERO, [result([1, 0])])
    strategy.aggregate(one, [result([2, 0])])
    assert strategy.plan(3, 1).rate == pytest.approx(0.2)
    strategy.aggregate(one, [result([-50, 0])])
    assert strategy.plan(4, 1).rate == pytest.approx(0.01)


def test_devices_change_their_rate_within_bounds():
    """Client-side rates grow by at most a tenth a step, and end within ten times the first."""
    plan = FedHyperClient(SETTINGS).plan(1, 1)
    assert plan.rule == "hyper"
    made = work_locally("a", BowlTask(50.0), plan, START, {})
    assert 0.1 < made.rate <= 0.1 * 1.1 ** (plan.steps - 1) + 1e-9
    falling = LocalPlan(number=1, rate=1.9, base=1.9, rule="hyper", steps=20)
    assert work_locally("a", BowlTask(50.0), falling, START, {}).rate >= 0.19


def test_fedhyper_sends_the_last_update():
    """The direction is the mean update before the global rate; nothing in the first round."""
    strategy = FedHyper(SETTINGS)
    assert strategy.direction == {}
    strategy.aggregate(ZERO, [result([1, 0])])
    assert strategy.direction["w"].tolist() == [1, 0]
    assert strategy.plan(2, 1).rule == "hyper"


def test_the_relative_variant_carries_rates_and_takes_a_bad_round_back():
    """Rates are averaged geometrically; where the loss rises by half, the best model returns."""
    strategy = FedHyperRelative(SETTINGS)
    two = [
        result([1, 1], loss=2.0, rate=0.1),
        result([1, 1], device="b", loss=2.0, rate=0.4),
    ]
    good = strategy.aggregate(ZERO, two)
    assert strategy.plan(2, 2).rate == pytest.approx(0.2)
    kept = strategy.aggregate(good, [result([900, 900], loss=90.0, rate=0.2)])
    assert kept["w"].tolist() == [0, 0]
    assert strategy.plan(3, 1).rate == pytest.approx(0.01)


def test_the_median_and_the_trimmed_mean_leave_the_ends_out():
    """In each coordinate, whatever the numbers of facts."""
    several = [result([at, -at], 10**at, str(at)) for at in (0, 1, 2, 3, 100)]
    assert FedMedian(SETTINGS).aggregate(ZERO, several)["w"].tolist() == [2, -2]
    trimmed = FedTrimmedMean(replace(SETTINGS, trim=0.2)).aggregate(ZERO, several)
    assert trimmed["w"].tolist() == [2, -2]
    with pytest.raises(EdgeError, match="at least 0 and below"):
        FedTrimmedMean(replace(SETTINGS, trim=0.5))
    two = [result([1, 3]), result([2, 5], device="b")]
    for strategy in (FedMedian(SETTINGS), FedTrimmedMean(replace(SETTINGS, trim=0.4))):
        assert strategy.aggregate(ZERO, two)["w"].tolist() == [1.5, 4]


def test_the_relative_variant_goes_farther_where_updates_agree():
    """Its factor on the server grows with the cosine of successive mean updates, within bounds, and
    falls where they oppose each other."""
    strategy = FedHyperRelative(SETTINGS)
    model: Mapping[str, Any] = ZERO
    steps = []
    for sign in (1, 1, 1, 1, 1, 1, -1):
        made = {"w": model["w"] + np.array([sign, 0], np.float32)}
        given = [LocalResult(device="a", examples=1, arrays=made, loss=1.0, rate=0.1)]
        before, model = model, strategy.aggregate(model, given)
        steps.append(float(model["w"][0] - before["w"][0]))
    assert steps[:3] == pytest.approx([1, np.exp(0.5), np.exp(1.0)], rel=1e-5)
    assert steps[5] == 1 + GLOBAL_MAX
    assert steps[6] == pytest.approx(-(1 + GLOBAL_MAX) * np.exp(-0.5), rel=1e-5)


def test_sums_are_those_of_one_device():
    """Any split of the facts over devices gives the same bits."""
    strategy = ExactSums(SETTINGS)
    plan = strategy.plan(1, 3)
    assert (plan.work, strategy.done) == ("sums", False)
    found = [work_locally(name, task, plan, START, {}) for name, task in TASKS.items()]
    made = strategy.aggregate(START, found)
    whole = {name: np.sum([one.arrays[name] for one in found], axis=0) for name in found[0].arrays}
    alone = ExactSums(SETTINGS).aggregate(
        START, [LocalResult(device="all", examples=1, arrays=whole)]
    )
    assert strategy.done
    assert all(np.array_equal(made[name], alone[name]) for name in made)
