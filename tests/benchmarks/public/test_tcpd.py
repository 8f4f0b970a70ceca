"""F1 and cover of change points."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.public.board import TCPD
from benchmarks.public.tcpd import FILE, UNJUDGED, AnnotatedSeries, cover, f1, load_tcpd


def series(annotations, rows=100):
    """A series of which only the length and the annotations count."""
    return AnnotatedSeries(
        name="made up", values=np.zeros((rows, 1)), annotations=tuple(map(tuple, annotations))
    )


def test_agreement_is_1():
    """Reports at the places on which all annotators agree score 1, five steps late for F1 as
    well."""
    agreed = series([[30, 60]] * 5)
    assert (f1(agreed, [30, 60]), cover(agreed, [30, 60])) == (1.0, 1.0)
    assert f1(agreed, [35, 65]) == 1.0
    assert f1(agreed, [36, 66]) == pytest.approx(1 / 3)


def test_each_change_takes_one_report():
    """A second report of the same change is a false one."""
    assert f1(series([[30]] * 2), [30, 32]) == pytest.approx(2 * (2 / 3) / (5 / 3))


def test_silence_is_right_for_annotators_who_saw_nothing():
    """Without a report F1 is 1 for annotators without changes, and lower where one has some."""
    assert (f1(series([[]] * 5), []), cover(series([[]] * 5), [])) == (1.0, 1.0)
    mixed = series([[], [50]])
    assert f1(mixed, []) == pytest.approx(2 * 0.75 / 1.75)
    assert cover(mixed, []) == pytest.approx(0.75)


def test_reporting_everything_has_no_cover():
    """With a report at every sample each segment overlaps one sample of it."""
    assert cover(series([[50]]), range(100)) == pytest.approx(1 / 50)


def test_never_firing_gives_the_published_figures(data_folder):
    """On the 25 series that the board's methods judged, no report gives the board's figures."""
    if not (data_folder / FILE).exists():
        pytest.skip(f"needs {FILE}")
    judged = [one for one in load_tcpd(data_folder) if one.is_real and one.name != UNJUDGED]
    assert len(judged) == 25
    found = (
        float(np.mean([f1(one, []) for one in judged])),
        float(np.mean([cover(one, []) for one in judged])),
    )
    assert found == pytest.approx(TCPD["never fires"], abs=5e-4)
