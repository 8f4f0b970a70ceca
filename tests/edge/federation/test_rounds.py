"""Rounds: who takes part, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.core.errors import EdgeError
from edge.federation.arrays import are_finite
from edge.federation.local_training import LocalResult
from edge.federation.rounds import InProcessExchange, choose_devices, run_rounds
from edge.federation.strategies.averaging import FedAvg
from edge.federation.strategies.exact_sums import ExactSums
from edge.federation.strategies.kinds import FEDERATED_STRATEGIES
from edge.federation.strategies.strategy import FederatedSettings
from tests.federations import START, TASKS


def test_a_share_of_the_devices_is_chosen_by_name():
    """At least one; which ones depends on seed and round alone, and all are chosen in time."""
    names = tuple("abcdefgh")
    first = choose_devices(names, 0.25, 0, 1)
    assert len(first) == 2
    assert first == choose_devices(names[::-1], 0.25, 0, 1)
    assert len({one for number in range(40) for one in choose_devices(names, 0.25, 0, number)}) == 8
    assert choose_devices(names, 1.0, 0, 1) == names


def test_a_fleet_without_devices_is_refused():
    """There is nothing to train on."""
    with pytest.raises(EdgeError, match="no device"):
        run_rounds(FedAvg(FederatedSettings()), START, InProcessExchange({}), 1)


@pytest.mark.parametrize(
    "arrays",
    [
        {"w": np.zeros(3, np.float32)},
        {"w": np.zeros(4, np.float64)},
        {"v": np.zeros(4, np.float32)},
    ],
)
def test_a_model_of_another_shape_is_refused(arrays):
    """The error names the device, what was expected and what was found."""

    class Strange(InProcessExchange):
        def work(self, devices, plan, given, direction):
            """One device runs another release."""
            made = super().work(devices, plan, given, direction)
            return [*made[1:], replace(made[0], arrays=arrays)]

    with pytest.raises(EdgeError, match="north does not fit"):
        run_rounds(FedAvg(FederatedSettings()), START, Strange(TASKS), 1)


@pytest.mark.parametrize("answers", [("north", "north"), ("north",), ("north", "east")])
def test_each_chosen_device_answers_once_under_its_own_name(answers: tuple[str, ...]):
    """A node that answers as another device would count twice, or silence it."""

    class Strange(InProcessExchange):
        def work(self, devices, plan, given, direction):
            """Answer under these names."""
            made = super().work(devices, plan, given, direction)
            return [replace(made[0], device=name) for name in answers]

    with pytest.raises(EdgeError, match="expected one answer of each"):
        run_rounds(FedAvg(FederatedSettings()), START, Strange(TASKS), 1)


@pytest.mark.parametrize("strategy", ["fedavg", "fedadam", "fedhyper", "fedhyper-relative"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_one_hostile_model_leaves_the_fleets_finite(strategy: str, value: float):
    """NaN is left out; the largest finite numbers cannot turn the model into NaN either."""

    class Hostile(InProcessExchange):
        def work(self, devices, plan, given, direction):
            """One device sends this number everywhere, with the other sign each round."""
            made = super().work(devices, plan, given, direction)
            sign = np.float32(1 - 2 * (plan.number % 2))
            bad = {name: np.full_like(one, sign * value) for name, one in made[0].arrays.items()}
            return [*made[1:], replace(made[0], arrays=bad)]

    with np.errstate(all="ignore"):
        made = run_rounds(
            FEDERATED_STRATEGIES[strategy](FederatedSettings()), START, Hostile(TASKS), 4
        )
    assert are_finite(made)


@pytest.mark.parametrize(
    "changed",
    [
        {"counts": np.zeros(9, np.int64)},
        {"counts": np.array([-1, 4], np.int64)},
        {"counts": np.array([1.0, 2.0])},
        {"counts": np.array([1 << 62, 1 << 62])},
        {"counts": np.array([1 << 24, 1])},
    ],
)
def test_sums_of_another_shape_or_kind_are_refused(changed: dict[str, NDArray[Any]]):
    """They are checked as models are."""

    class Strange(InProcessExchange):
        def work(self, devices, plan, given, direction):
            """Answer with sums, one of them changed."""
            del plan, given, direction
            good = {"counts": np.array([1, 2], np.uint8)}
            made = [LocalResult(device=one, examples=3, arrays=good) for one in sorted(devices)]
            return [*made[:-1], replace(made[-1], arrays=changed)]

    with pytest.raises(EdgeError, match=r"do not fit those of|sum up to the sums of"):
        run_rounds(ExactSums(FederatedSettings()), START, Strange(TASKS), 1)
