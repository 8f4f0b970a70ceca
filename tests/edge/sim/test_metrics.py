from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sim import metrics as m
from edge.sim.recording import DecisionStep, TimelineMark

MATRIX = np.array([[0.9, 0.2, 0.1], [0.8, 0.9, 0.3], [0.7, 0.8, 1.0]])
TAUGHT = (0, 1, 2)


def step(index: int, **changes) -> DecisionStep:
    """A step of a known sample, answered rightly."""
    given: dict[str, Any] = {
        "index": index,
        "stream": "s",
        "truth_domain": "a",
        "truth_label": "x",
        "known": True,
        "domain": "a",
        "label": "x",
        "guess": "x",
        "score": 0.0,
        "p_value": 1.0,
        "window_p": 1.0,
        "alarm": False,
        "novel": False,
    }
    return DecisionStep(**(given | changes))


def test_matrix_metrics_match_a_hand_calculation() -> None:
    """ACC, BWT, FWT and forgetting of a small matrix are those of the papers' formulas."""
    assert m.average_accuracy(MATRIX, TAUGHT) == pytest.approx((0.7 + 0.8 + 1.0) / 3)
    assert m.backward_transfer(MATRIX, TAUGHT) == pytest.approx((-0.2 - 0.1) / 2)
    assert m.forward_transfer(MATRIX, TAUGHT, 0.1) == pytest.approx((0.1 + 0.2) / 2)
    assert m.forgetting(MATRIX, TAUGHT) == pytest.approx((0.2 + 0.1) / 2)


def test_forgetting_counts_from_the_best_checkpoint() -> None:
    """A domain that rose before it fell is measured from its highest point."""
    matrix = np.array([[0.5], [0.9], [0.6]])
    assert m.forgetting(matrix, (0,)) == pytest.approx(0.3)
    assert m.backward_transfer(matrix, (0,)) == pytest.approx(0.1)


def test_a_domain_never_taught_does_not_count() -> None:
    """Only taught domains enter the averages, and without any the figures are undefined."""
    assert m.average_accuracy(MATRIX, (0, None, None)) == pytest.approx(0.7)
    assert m.average_accuracy(MATRIX, (None, None, None)) is None
    assert m.forward_transfer(MATRIX, (0, None, None), 0.1) is None


@given(st.lists(st.integers(0, 9), min_size=1), st.lists(st.integers(0, 9), min_size=1))
def test_auroc_is_the_chance_that_a_new_sample_scores_higher(known, new) -> None:
    """AUROC equals the share of pairs in the right order, ties counted by half."""
    pairs = [(n > k) + 0.5 * (n == k) for k in known for n in new]
    assert m.auroc([float(k) for k in known], [float(n) for n in new]) == pytest.approx(
        float(np.mean(pairs))
    )


def test_fpr95_counts_new_samples_below_the_known_95_percent() -> None:
    """New samples below the 95 % quantile of the known scores are accepted."""
    known = [float(value) for value in range(101)]
    assert m.fpr95(known, [94.0, 95.0, 96.0, 200.0]) == pytest.approx(0.5)
    assert m.fpr95([], [1.0]) is None


def test_detection_delay_counts_to_the_first_alarm_and_misses() -> None:
    """One change found after three observations, one missed, one to a known domain left out."""
    new = [step(i, novel=True, alarm=i >= 12) for i in range(10, 20)]
    missed = [step(i, novel=True) for i in range(20, 25)]
    back = [step(i) for i in range(25, 30)]
    steps = [*(step(i) for i in range(10)), *new, *missed, *back]
    marks = [TimelineMark(index, "domain", "d") for index in (0, 10, 20, 25)]
    assert m.detection_delay(steps, marks) == (3.0, 1)


def test_rates_count_only_where_the_detector_speaks() -> None:
    """Undecided observations enter neither the false-alarm rate nor the detection rate."""
    steps = [
        step(0, known=False),
        step(1, known=True),
        step(2, known=None),
        step(3, known=False, novel=True),
        step(4, known=None, novel=True),
    ]
    assert m.false_alarm_rate(steps) == 0.5
    assert m.detection_rate(steps) == 1.0
    assert m.false_alarm_rate([]) is None


def test_false_alarms_have_an_interval_on_independent_samples() -> None:
    """The interval holds the rate, counts known samples alone, and is wider where false alarms come
    in runs; without known samples there is none."""
    spread = [step(i, known=i % 20 != 0) for i in range(400)]
    runs = [step(i, known=i >= 20) for i in range(400)]
    new = [step(i, known=False, novel=True) for i in range(50)]
    low, high = m.false_alarm_interval([*spread, *new]) or (1.0, 0.0)
    wide_low, wide_high = m.false_alarm_interval(runs) or (1.0, 0.0)
    assert wide_low < low < 0.05 < high < wide_high
    assert m.false_alarm_interval(new) is None


def test_a_window_with_a_new_sample_is_no_false_alarm() -> None:
    """Only windows made of known samples count for the windows' false-alarm rate."""
    steps = [step(0, novel=True), *(step(i, alarm=i < 4) for i in range(1, 7))]
    assert m.window_false_alarm_rate(steps, 2) == pytest.approx(2 / 5)


def test_timing_gives_median_and_tail() -> None:
    """A stage that never ran has no calls, and one that did has its quantiles."""
    assert m.time_stage("store", []).count == 0
    timing = m.time_stage("store", [float(v) for v in range(101)])
    assert (timing.p50_us, timing.p99_us, timing.count) == (50.0, 99.0, 101)
