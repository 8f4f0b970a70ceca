"""The benchmark of adaptation in the runtime, on a small world."""

from __future__ import annotations

import pytest

from benchmarks.adapt.sets import plan_digits
from benchmarks.adapt_runtime import crossover as crossover_module
from benchmarks.adapt_runtime import run as run_module
from benchmarks.adapt_runtime.crossover import crossover
from benchmarks.adapt_runtime.replay import replay_stream
from edge.sim.adaptation import AdaptationWorld, LabelledRows, StreamPlan, plan_streams
from tests.edge.core.session.adapted_worlds import WIDE, drawn, seen

COUNT = 300


def world(_seed=0):
    """A domain, and one that has moved away from it."""
    classes = drawn(COUNT, 1)
    return AdaptationWorld(
        name="small",
        domains={
            "home": LabelledRows(seen(classes, 0.0, 1), classes),
            "away": LabelledRows(seen(classes, 1.0, 2), classes),
        },
        spans=((0, WIDE),),
    )


def stream():
    """The moved domain's stream."""
    return next(iter(plan_streams(world(), 0, {"iid": ("home",)})))


def test_a_stream_is_answered_with_adaptation_and_without():
    """Both answer every sample; only one adapts, and it has more right."""
    off, auto = (replay_stream(world(), stream(), policy) for policy in ("off", "auto"))
    assert len(off.right) == len(auto.right) == COUNT
    assert off.adapted == 0 < auto.adapted
    assert off.degraded == auto.degraded > 0.5
    assert auto.right.mean() > off.right.mean()


def test_labels_arrive_step_by_step():
    """The steps have more and more facts; from five a class on, both answer alike."""
    points = list(crossover(world(), stream()))
    facts = [one.facts for one in points]
    assert facts == sorted(facts)
    assert facts[: len(crossover_module.FACTS)] == list(crossover_module.FACTS)
    late = [one for one in points if one.step in {"5 a class", "10 a class", "20 a class"}]
    assert len(late) == 3
    assert all(one.off == one.auto for one in late)
    assert any(one.off != one.auto for one in points)


@pytest.mark.parametrize("change", ["offset", "gain"])
def test_kernels_go_on_while_the_head_of_the_labels_is_no_better(change):
    """Kernels answer digits of a changed sensor as they are.  Where they are right for four in
    five and a head of two labels a class for nine in ten, the head takes over; where they are right
    for nearly all, they go on."""
    digits = plan_digits(None, quick=True).world(0)
    moved = next(
        one
        for one in plan_streams(digits, 0, {"changes iid": ()})
        if one.name == f"digits > {change}"
    )
    points = {one.step: one for one in crossover(digits, moved)}
    for step in ("2 a class", "3 a class"):
        # Two samples: the head has learned from more unlabelled ones where it has served longer.
        assert points[step].auto >= points[step].off - 5
    if change == "gain":
        assert points["2 a class"].auto > points["2 a class"].off


def test_the_report_has_a_line_for_each_stream_and_step(monkeypatch):
    """Figures of both policies, the worst gain, and what could not be read."""
    plans = {"small": lambda _data, **_: StreamPlan(world)}
    monkeypatch.setattr(run_module, "SETS", plans)
    monkeypatch.setattr(run_module, "STREAMS", {"small": {"iid": ("home",)}})
    monkeypatch.setattr(run_module, "LABELLED", {"small": {"iid": ("home",)}})
    report = run_module.run(None, quick=True)
    metrics = {(row.method, row.metric) for row in report.rows}
    assert ("auto", "small, iid: home > away") in metrics
    assert ("off", "home > away, 4 labels") in metrics
    assert report.summary["small_gain_points"] == report.summary["small_worst_points"] > 0
    assert report.summary["small_streams_losing_half_point"] == 0
