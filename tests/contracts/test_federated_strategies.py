"""The contract of federated strategies, for every entry of the table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge.federation import FEDERATED_STRATEGIES, FederatedSettings, InProcessExchange, run_rounds
from edge.federation.bounds import RoundResults
from edge.federation.local_training import work_locally
from tests.federations import START, TASKS

every = pytest.mark.parametrize("name", FEDERATED_STRATEGIES)
TRAINED = tuple(name for name in FEDERATED_STRATEGIES if name != "sums")


def trained(name: str, tasks=TASKS, rounds: int = 60, **changes):
    """The fleet's model after some rounds."""
    strategy = FEDERATED_STRATEGIES[name](FederatedSettings(**changes))
    return run_rounds(strategy, START, InProcessExchange(tasks), rounds)


def same(left, right) -> bool:
    """Bit for bit."""
    return left.keys() == right.keys() and all(
        np.array_equal(left[key], right[key]) and left[key].dtype == right[key].dtype
        for key in left
    )


class ShuffledExchange(InProcessExchange):
    """Results arrive in another order."""

    def work(self, devices, plan, arrays, direction):
        """Reversed."""
        return super().work(devices, plan, arrays, direction)[::-1]


@every
def test_the_same_seed_gives_the_same_bits_in_any_order(name: str):
    """Neither repetition nor the order of arrival changes the model; another seed does."""
    once = trained(name)
    strategy = FEDERATED_STRATEGIES[name](FederatedSettings())
    assert same(once, run_rounds(strategy, START, ShuffledExchange(TASKS), 60))
    if name in TRAINED:
        assert not same(once, trained(name, seed=1))


@every
def test_results_are_finite_float32(name: str):
    """Also at a rate at which steps overflow."""
    for rate in (0.1, 1e6):
        made = trained(name, rate=rate)
        assert all(value.dtype == np.float32 for value in made.values())
        assert all(np.isfinite(value).all() for value in made.values())


@pytest.mark.parametrize("name", TRAINED)
def test_a_training_finds_the_weighted_mean(name: str):
    """The sum of bowls is lowest at the mean of centres, weighted by facts: 2."""
    made = trained(name, server_rate=0.1, proximal=0.01)
    assert np.allclose(made["w"], 2.0, atol=0.2)


@every
def test_a_device_that_left_leaves_no_trace(name: str):
    """A fleet without a device trains as one that never had it, and differs from one that has."""
    fewer = {key: task for key, task in TASKS.items() if key != "west"}
    assert same(trained(name, fewer), trained(name, dict(reversed(fewer.items()))))
    assert not same(trained(name, fewer), trained(name))


@pytest.mark.parametrize("name", TRAINED)
def test_a_result_that_is_not_finite_is_left_out(name: str):
    """The others go on without it."""

    class Broken(InProcessExchange):
        def work(self, devices, plan, arrays, direction):
            """One device fails."""
            made = super().work(devices, plan, arrays, direction)
            return [replace(made[0], arrays={"w": np.full(4, np.nan, np.float32)}), *made[1:]]

    strategy = FEDERATED_STRATEGIES[name](FederatedSettings())
    made = run_rounds(strategy, START, Broken(TASKS), 5)
    assert np.isfinite(made["w"]).all()


@pytest.mark.parametrize("name", TRAINED)
def test_part_of_the_devices_may_take_part(name: str):
    """With a third of the devices in each round, all of them are chosen sooner or later."""
    chosen: set[str] = set()

    def note(number: int, arrays: object, used: RoundResults) -> None:
        assert len(used.results) == 1
        chosen.update(one.device for one in used.results)

    strategy = FEDERATED_STRATEGIES[name](FederatedSettings(share=0.3))
    run_rounds(strategy, START, InProcessExchange(TASKS), 20, note)
    assert chosen == set(TASKS)


@every
def test_inputs_stay_as_they_are(name: str):
    """Neither the work of a device nor a strategy changes the model that it is given."""
    strategy = FEDERATED_STRATEGIES[name](FederatedSettings())
    given = {key: value.copy() for key, value in START.items()}
    for number in (1, 2):
        plan = strategy.plan(number, len(TASKS))
        results = [work_locally(k, t, plan, given, strategy.direction) for k, t in TASKS.items()]
        strategy.aggregate(given, results)
    assert same(given, START)
