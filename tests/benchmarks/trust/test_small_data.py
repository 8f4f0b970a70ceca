"""The benchmark of few samples a class: what counts as an answer, and its summary."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from benchmarks.ood.sets import FeatureSet
from benchmarks.trust import small_data


def packaged_digits() -> FeatureSet:
    """Digits of 8 x 8 pixels that scikit-learn ships, as a table of one domain."""
    values, label = load_digits(return_X_y=True)
    return FeatureSet(
        name="digits",
        values=values.astype(np.float32),
        label=label.astype(np.int64),
        domain=np.zeros(len(label), np.int64),
        slices=((0, values.shape[1]),),
        granularity="channel",
        sources=(0,),
    )


def test_rates_are_those_of_three_answers():
    """New samples are among those that are new or doubted; more samples a class decide more."""
    digits = packaged_digits()
    few = small_data.measure(digits, 30, left_out_max=1)
    assert few is not None
    assert 0 <= few.new <= few.unknown <= 1
    assert few.known > 0.5
    assert few.unknown > 0.5
    assert small_data.measure(digits, 10_000, left_out_max=1) is None


def test_the_part_reports_the_summary_that_is_promised(monkeypatch: pytest.MonkeyPatch):
    """Means and worst cases at 30 samples a class."""
    digits = packaged_digits()
    monkeypatch.setattr(small_data, "_sets", lambda *_: iter([("digits", digits)]))
    rows, summary, _ = small_data.run_part(None, quick=True)
    assert {row.metric for row in rows} == {
        f"small_digits_30_{what}" for what in ("known", "unknown", "new")
    }
    assert set(summary) == {
        f"{what}_at_30_per_class{worst}"
        for what in ("unknown", "known")
        for worst in ("", "_worst")
    }
    assert all(0 <= one <= 1 for one in summary.values())
    assert summary["unknown_at_30_per_class_worst"] <= summary["unknown_at_30_per_class"]
