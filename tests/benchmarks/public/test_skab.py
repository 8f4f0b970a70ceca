"""SKAB's scores of rows and of change points."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.public.skab import (
    FILE,
    LEARNED_ROWS,
    SkabRecording,
    change_score,
    load_skab,
    row_scores,
    toggles,
)


def recording(first=600, last=900, rows=1_000):
    """One recording, a sample a second, with a fault between two rows."""
    anomalous = np.zeros(rows, bool)
    anomalous[first:last] = True
    return SkabRecording(
        name="made up",
        seconds=np.arange(rows, dtype=float),
        values=np.zeros((rows, 8)),
        anomalous=anomalous,
        changes=np.append(False, anomalous[1:] != anomalous[:-1]),
    )


def flags(*rows, count=1_000):
    """Reports at some rows of a recording, behind the learned ones."""
    found = np.zeros(count, bool)
    found[list(rows)] = True
    return found[LEARNED_ROWS:]


def test_the_truth_scores_1_and_silence_0():
    """The labels themselves give F1 1 without alarms that are false or missed; silence gives 0."""
    one = recording()
    truth = one.anomalous[LEARNED_ROWS:]
    assert row_scores([one], [truth]) == (1.0, 0.0, 0.0)
    assert row_scores([one], [~truth & False]) == (0.0, 0.0, 1.0)
    assert row_scores([one], [truth | True]) == pytest.approx((2 / 3, 1.0, 0.0))


def test_change_points_score_by_their_delay():
    """A report at each change is 100, none is 0, a later one is worth less, a false one costs."""
    one = recording()
    best = change_score([one], [flags(600, 900)])
    assert best == pytest.approx(100.0)
    assert change_score([one], [flags()]) == 0.0
    late = change_score([one], [flags(640, 940)])
    assert 0.0 < late < best
    assert change_score([one], [flags(600, 900, 700)]) == pytest.approx(100 - 100 * 0.11 / 4)
    assert change_score([one], [flags(661)]) == pytest.approx(-100 * 0.11 / 4)


def test_a_judgement_that_changes_is_a_change_point():
    """Change points of judged rows are where two neighbours differ."""
    judged = np.array([False, True, True, False])
    assert toggles(judged).tolist() == [False, True, False, True]


def test_calling_every_row_anomalous_has_an_f1_of_70_percent(data_folder):
    """On the real recordings the dummy that always fires has F1 0.70: F1 alone says little."""
    if not (data_folder / FILE).exists():
        pytest.skip(f"needs {FILE}")
    recordings = load_skab(data_folder)
    always = [np.ones(len(one.values) - LEARNED_ROWS, bool) for one in recordings]
    assert len(recordings) == 34
    assert row_scores(recordings, always) == pytest.approx((0.698, 1.0, 0.0), abs=1e-3)
