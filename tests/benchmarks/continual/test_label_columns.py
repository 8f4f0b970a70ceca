"""The benchmark of label columns: clusters are named once each, and its summary compares."""

from __future__ import annotations

import numpy as np
import pytest

import encoder
from benchmarks.adapt.pictures import PICTURES
from benchmarks.continual import label_columns
from benchmarks.continual.data import ContinualSamples
from benchmarks.report import BenchmarkRow

WIDTH = 64


def toy() -> ContinualSamples:
    """Two domains of seven clouds each."""
    random = np.random.default_rng(0)
    count = 1_400
    label, domain = np.arange(count) % 7, np.arange(count) % 14 // 7
    centres = random.normal(0, 25, (7, WIDTH))
    rows = 120 + centres[label] + 10 * domain[:, None] + random.normal(0, 12, (count, WIDTH))
    return ContinualSamples(
        features=rows.clip(0, 255).astype(np.uint8),
        label=label,
        domain=domain,
        train=np.arange(0, count, 2),
        held=np.arange(1, count, 2),
        spans=((0, WIDTH),),
        quantiser=encoder.Quantiser(np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.int32)),
    )


def test_without_pictures_it_is_skipped():
    """Without its data the report names the file."""
    report = label_columns.run(None)
    assert not report.rows
    assert PICTURES in report.notes[0]


def test_a_draw_compares_three_ways():
    """Every method answers the same pictures; on clouds far apart seven names are enough."""
    found = dict(label_columns.trial(toy(), (0, 1), 7, 0))
    assert set(found) == {label_columns.FACTS, label_columns.PLAIN, label_columns.COLUMNS}
    assert found[label_columns.COLUMNS] > 0.9


def test_the_summary_compares_with_both_rivals():
    """Gains are points over each rival: their mean and the least."""
    rows = [
        BenchmarkRow(method, metric, value)
        for metric, values in {"one": (0.5, 0.6, 0.7), "two": (0.5, 0.5, 0.4)}.items()
        for method, value in zip(
            (label_columns.FACTS, label_columns.PLAIN, label_columns.COLUMNS), values, strict=True
        )
    ]
    found = label_columns.summarise(rows)
    assert found == pytest.approx(
        {
            "gain_points": 5,
            "gain_least": -10,
            "gain_over_unlabelled_points": 0,
            "gain_over_unlabelled_least": -10,
        }
    )
