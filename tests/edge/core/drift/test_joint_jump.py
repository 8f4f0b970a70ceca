from __future__ import annotations

import numpy as np
import pytest

from edge.core.drift.cusum import ChannelCusum
from edge.core.drift.joint_jump import JointJump


def sensors(steps=400, channels=6):
    """Sensors around 100 with a little noise."""
    return 100 + np.random.default_rng(1).normal(0, 1, (steps, channels))


def told(detector, values):
    """Every change that a detector names."""
    return [change for sample in values for change in detector.step(sample)]


@pytest.mark.parametrize("make", [JointJump, ChannelCusum])
def test_a_burst_is_not_a_change(make):
    """All sensors leap for a step or two: nothing is named; where they stay there, it is."""
    for steps in (1, 2):
        values = sensors()
        values[200 : 200 + steps] += 50
        assert told(make(6), values) == []
    values = sensors()
    values[200:] += 50
    found = told(make(6), values)
    assert [change.step for change in found] == [202]
    assert found[0].start in range(197, 201)


def test_silence_and_return_of_a_single_channel_are_named_at_once():
    """One sensor that falls to nothing is an outage, and its return is a return."""
    values = sensors()
    values[200:300, 2] = 0.0
    found = told(JointJump(6), values)
    assert [(c.step, c.kind, c.channels) for c in found] == [
        (200, "outage", (2,)),
        (300, "return", (2,)),
    ]
    assert found[0].severity == found[1].severity == 1.0


def test_one_channel_that_slides_is_named_by_its_own_sum():
    """A slide of one sensor over twenty steps is too slow for a jump, and found by the sums."""
    values = sensors()
    values[200:220, 1] += np.linspace(0, 100, 20)
    values[220:, 1] += 100
    found = told(ChannelCusum(6), values)
    assert found
    assert all(change.channels == (1,) and 200 <= change.step <= 222 for change in found)
