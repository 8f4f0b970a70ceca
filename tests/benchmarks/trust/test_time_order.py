"""The benchmark of false alarms in time order, on recordings whose drift is known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.trust import time_order
from benchmarks.trust.time_sets import TimePart

SUMMARY = {
    "far_time_sample_worst",
    "far_time_window_worst",
    "far_time_sample_worst_unconfirmed",
    "far_time_window_worst_unconfirmed",
    "far_time_sample_worst_within_unconfirmed",
    "far_time_window_worst_within_unconfirmed",
    "detected_after_recalibration",
    "detected_unconfirmed",
}


def part(name: str, drift: float = 0.0, count: int = 1_000) -> TimePart:
    """Samples of independent noise, of which the first 70 % are enrolled; their mean moves by so
    many deviations while the others are judged.  The switch is far away."""
    random = np.random.default_rng(len(name))
    values = random.normal(size=(count, 6))
    judged = count - int(0.7 * count)
    values[-judged:] += drift * np.linspace(0, 1, judged)[:, None]
    switch = {"away": random.normal(4.0, 1.0, (64, 6))}
    labels = np.zeros(len(values), np.int64)
    return TimePart(group="made", name=name, values=values, labels=labels, switches=switch)


def test_a_stream_like_the_enrolled_one_keeps_the_rate_and_a_switch_is_found():
    """Few alarms, no question, and the switch is separable and found."""
    found = time_order.judge(part("still"), timed=True, confirms=False)
    assert found.attainable
    assert found.judged == 300
    assert found.sample <= 0.03
    assert found.window <= 0.03
    assert found.questions == 0
    assert found.found == found.separable == (True,)


def test_drift_beyond_the_bound_is_seen_and_one_answer_ends_it():
    """Unanswered, most of the end is outside; answered, less of it is, for a question."""
    drifts = part("drifts", 2.0)
    alone = time_order.judge(drifts, timed=True, confirms=False)
    answered = time_order.judge(drifts, timed=True, confirms=True)
    assert alone.window > 0.2
    assert answered.questions >= 1
    assert answered.window < alone.window / 2


def test_the_part_reports_the_summary_that_is_promised(monkeypatch: pytest.MonkeyPatch):
    """Every figure has its key, rates are shares, and parts that are not attainable are named."""
    parts = [part("still"), part("drifts", 2.0), part("short", count=60)]
    monkeypatch.setattr(time_order, "time_parts", lambda _data, **_: (parts, []))
    monkeypatch.setattr(time_order, "peer_alarms", lambda _parts: [])
    rows, summary, notes = time_order.run_part(None, quick=True)
    assert set(summary) == SUMMARY
    assert all(0 <= one <= 1 for one in summary.values())
    assert summary["detected_unconfirmed"] == 1.0
    assert summary["far_time_window_worst_unconfirmed"] >= summary["far_time_window_worst"]
    assert any("1 of 3 (short)" in note for note in notes)
    assert {"made: false alarms, window", "made: questions per 500"} <= {one.metric for one in rows}
