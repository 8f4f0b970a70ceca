"""Digits after changes of the sensor, all classes in one stream, under the default policy."""

from __future__ import annotations

import pytest

pytest.importorskip("sklearn.datasets")

from edge.sim.adaptation import StreamPlan, digits_world, run_policies, summarise_policies


@pytest.mark.parametrize("order", ["changes iid", "changes correlated"])
def test_a_changed_sensor_is_adapted_to(order: str) -> None:
    """Heads that answer all digits with one label, as after an offset, are no stream of one class;
    nor does noise in pixels that were always dark hide how the digits differ."""
    plan = StreamPlan(digits_world, {order: ()})
    lines = summarise_policies(run_policies([plan], ("auto",), (0,)))
    line = next(one for one in lines if one.policy == "auto")
    gains = {stream.rpartition("> ")[2]: gain for (_, stream, _), gain in line.gains.items()}
    assert gains["offset"] > 30
    assert gains["noise"] > 20
    assert line.worst > -0.5
    assert line.gain > 15
