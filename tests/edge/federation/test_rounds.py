"""Rounds: who takes part, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge.core.errors import EdgeError
from edge.federation.rounds import InProcessExchange, choose_devices, run_rounds
from edge.federation.strategies.averaging import FedAvg
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
