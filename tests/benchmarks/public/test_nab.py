"""NAB's scoring rules, on made-up series and on the published scores of its board."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.public.gaussian import windowed_gaussian
from benchmarks.public.nab import (
    FILE,
    LOW_FN,
    LOW_FP,
    PROFILES,
    STANDARD,
    NabSeries,
    alarm_score,
    best_refractory_threshold,
    best_threshold,
    load_nab,
    point_weights,
    published_board,
    refractory,
)


def series(windows=((400, 499),), rows=1_000, name="made up"):
    """A flat series with labelled windows."""
    return NabSeries(
        name=name,
        seconds=np.arange(rows, dtype=float),
        values=np.zeros(rows),
        windows=np.array(windows, np.int64).reshape(-1, 2),
    )


def test_a_perfect_detector_scores_100_and_a_silent_one_0():
    """One alarm at the first row of every window is 100 in each profile, no alarm is 0."""
    corpus = [series(), series(((300, 349), (700, 799)))]
    perfect = [one.windows[:, 0] for one in corpus]
    silent = [np.zeros(0, np.int64)] * 2
    for profile in PROFILES:
        assert alarm_score(corpus, perfect, profile) == pytest.approx(100.0)
        assert alarm_score(corpus, silent, profile) == 0.0


def test_only_the_first_alarm_in_a_window_counts():
    """More alarms later in the window change nothing; a later first alarm is worth less."""
    corpus = [series()]
    first = alarm_score(corpus, [np.array([420])], STANDARD)
    assert alarm_score(corpus, [np.array([420, 430, 499])], STANDARD) == first
    assert 0.0 < alarm_score(corpus, [np.array([490])], STANDARD) < first < 100.0


def test_a_false_alarm_costs_by_profile_and_distance():
    """Before any window it costs the full weight, just behind one less; the probation is free."""
    corpus = [series()]
    costs = [
        -alarm_score(corpus, [np.array([300])], profile) for profile in (STANDARD, LOW_FP, LOW_FN)
    ]
    assert costs == pytest.approx([100 * 0.11 / 2, 100 * 0.22 / 2, 100 * 0.11 / 3])
    near = -alarm_score(corpus, [np.array([505])], STANDARD)
    assert 0.0 < near < costs[0] / 2
    assert alarm_score(corpus, [np.array([149])], STANDARD) == 0.0
    assert alarm_score(corpus, [np.array([150])], STANDARD) < 0.0


def test_weights_follow_the_published_sigmoid():
    """A window's first row is worth 1, its last nearly nothing, the row a width behind it -0.987
    of a false alarm."""
    weight, window = point_weights(series(), STANDARD)
    assert weight[400] == pytest.approx(1.0)
    assert weight[499] == pytest.approx(np.tanh(2.5 / 100) / np.tanh(2.5))
    assert weight[499 + 99] == pytest.approx(-0.11 * np.tanh(2.5))
    assert set(np.flatnonzero(window == 0)) == set(range(400, 500))


def test_the_best_threshold_is_the_best_of_all():
    """The optimiser agrees with trying every score as the threshold, ties included."""
    random = np.random.default_rng(3)
    corpus = [series(((200, 230), (600, 640))), series(((500, 540),)), series(())]
    scores = [random.normal(size=1_000).round(1) for _ in corpus]
    for one, score in zip(corpus, scores, strict=True):
        for first, last in one.windows:
            score[first : last + 1] += 1.5
    for profile in PROFILES:
        found, at = best_threshold(corpus, scores, profile)
        tried = {
            float(threshold): alarm_score(
                corpus, [np.flatnonzero(score >= threshold) for score in scores], profile
            )
            for threshold in np.unique(np.concatenate(scores))
        }
        assert found == pytest.approx(max(0.0, *tried.values()))
        assert found > 0.0
        assert tried[at] == pytest.approx(found)


def test_a_useless_score_is_best_without_an_alarm():
    """A score that is high outside the windows only gets 0 and an infinite threshold."""
    score = np.ones(1_000)
    score[400:500] = 0.0
    assert best_threshold([series()], [score], STANDARD) == (0.0, float("inf"))


def test_an_alarm_silences_the_rows_after_it():
    """Rows above the threshold within the silent time are no alarms."""
    score = np.zeros(100)
    score[[10, 11, 15, 16, 40]] = 1.0
    assert refractory(score, 0.5, 5).tolist() == [10, 16, 40]
    score = np.full(1_000, 0.1)
    score[400:500] = 1.0
    best, at = best_refractory_threshold([series()], [score], STANDARD, 200)
    assert best == pytest.approx(100.0)
    assert 0.1 < at <= 1.0


def test_the_published_board_is_reproduced(data_folder):
    """The published scores of every row give the board's figures of three methods."""
    if not (data_folder / FILE).exists():
        pytest.skip(f"needs {FILE}")
    corpus, board = load_nab(data_folder), published_board(data_folder)
    found = {name: [one.published[name] for one in corpus] for name in ("knncad", "numenta")}
    found["windowedGaussian"] = [windowed_gaussian(one.values) for one in corpus]
    scores = {name: best_threshold(corpus, found[name], STANDARD)[0] for name in found}
    assert scores == pytest.approx({name: board[name]["standard"] for name in found}, abs=1e-4)
    assert {name: round(score, 1) for name, score in scores.items()} == {
        "knncad": 58.0,
        "numenta": 70.1,
        "windowedGaussian": 39.6,
    }
    stored = [one.published["windowedGaussian"] for one in corpus]
    assert all(
        np.abs(mine - theirs).max() < 1e-6
        for mine, theirs in zip(found["windowedGaussian"], stored, strict=True)
    )
