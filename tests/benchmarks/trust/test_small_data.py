"""The benchmark of few samples a class: what counts as an answer, and its summary."""

from __future__ import annotations

import pytest

from benchmarks.ood.sets import SETS
from benchmarks.trust import small_data


def test_rates_are_those_of_three_answers():
    """New samples are among those that are new or doubted; more samples a class decide more."""
    digits = SETS["digits_pixels"](None)
    few = small_data.measure(digits, 30, left_out_max=1)
    assert few is not None
    assert 0 <= few.new <= few.unknown <= 1
    assert few.known > 0.5
    assert few.unknown > 0.5
    assert small_data.measure(digits, 10_000, left_out_max=1) is None


def test_the_part_reports_the_summary_that_is_promised(monkeypatch: pytest.MonkeyPatch):
    """Means and worst cases at 30 samples a class."""
    digits = SETS["digits_pixels"](None)
    monkeypatch.setattr(small_data, "_sets", lambda *_: iter([("digits_pixels", digits)]))
    rows, summary, _ = small_data.run_part(None, quick=True)
    assert {row.metric for row in rows} == {
        f"small_digits_pixels_30_{what}" for what in ("known", "unknown", "new")
    }
    assert set(summary) == {
        f"{what}_at_30_per_class{worst}"
        for what in ("unknown", "known")
        for worst in ("", "_worst")
    }
    assert all(0 <= one <= 1 for one in summary.values())
    assert summary["unknown_at_30_per_class_worst"] <= summary["unknown_at_30_per_class"]
