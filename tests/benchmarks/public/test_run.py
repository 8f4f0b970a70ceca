"""The benchmark of public boards: missing data, halves, peers and dummies."""

from __future__ import annotations

import numpy as np

from benchmarks.public.halves import confirmation, development
from benchmarks.public.peers import beyond_range, clock, neighbour_scores
from benchmarks.public.run import run


def test_missing_data_is_noted(tmp_path):
    """Without the files the report has no rows, and a note for each board."""
    for folder in (None, tmp_path):
        report = run(folder, quick=True)
        assert report.rows == ()
        assert [note.partition(":")[0] for note in report.notes[1:]] == ["NAB", "SKAB", "TCPD"]


def test_the_halves_have_nothing_in_common():
    """The even items are for development, the odd ones for confirmation."""
    assert development("abcde") == ["a", "c", "e"]
    assert confirmation("abcde") == ["b", "d"]


def test_values_beyond_the_running_range_are_scored_by_ranges():
    """A value a range above the highest so far scores 1, values inside score 0."""
    values = np.tile([0.0, 1.0], 20)
    values[30] = 2.0
    assert np.flatnonzero(beyond_range(values)).tolist() == [30]
    assert beyond_range(values)[30] == 1.0


def test_a_clock_fires_at_its_period():
    """The clock looks at nothing but the number of rows."""
    assert clock(100, 30).tolist() == [30, 60, 90]


def test_an_unknown_shape_is_far_from_its_neighbours():
    """A window that never occurred is further from its neighbours than every other one."""
    values = np.sin(np.arange(600) / 3)
    values[500:508] = 0.0
    scores = neighbour_scores(values, 90)
    # Early windows have few neighbours.
    assert 500 <= 300 + int(np.argmax(scores[300:])) < 508 + 16
