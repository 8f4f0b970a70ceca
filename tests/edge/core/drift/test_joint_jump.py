from __future__ import annotations

import numpy as np
import pytest

from edge.core.drift.cusum import ChannelCusum
from edge.core.drift.joint_jump import JointJump


def sensors(steps=400, channels=6):
    """Sensors around 100 with a little noise."""
    return 100 + np.random.default_rng(1).normal(0, 1, (steps, channels))


def detected(detector, values):
    """Every change that a detector reports."""
    return [change for sample in values for change in detector.step(sample)]


@pytest.mark.parametrize("make", [JointJump, ChannelCusum])
def test_a_burst_is_not_a_change(make):
    """A joint jump of one or two steps is not reported; one that stays is."""
    for steps in (1, 2):
        values = sensors()
        values[200 : 200 + steps] += 50
        assert detected(make(6), values) == []
    values = sensors()
    values[200:] += 50
    found = detected(make(6), values)
    assert [change.step for change in found] == [202]
    assert found[0].start in range(197, 201)


def test_outage_and_return_of_a_single_channel_are_reported_at_once():
    """A sensor that falls to zero is an outage in the same step, and its recovery a return."""
    values = sensors()
    values[200:300, 2] = 0.0
    found = detected(JointJump(6), values)
    assert [(c.step, c.kind, c.channels) for c in found] == [
        (200, "outage", (2,)),
        (300, "return", (2,)),
    ]
    assert found[0].severity == found[1].severity == 1.0


def test_a_slide_of_one_channel_is_detected_by_its_cusum():
    """A slide of one sensor over twenty steps, too slow for a jump, is detected by CUSUM."""
    values = sensors()
    values[200:220, 1] += np.linspace(0, 100, 20)
    values[220:, 1] += 100
    found = detected(ChannelCusum(6), values)
    assert found
    assert all(change.channels == (1,) and 200 <= change.step <= 222 for change in found)
