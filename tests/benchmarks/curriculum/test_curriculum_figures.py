"""The figures of the benchmark of curricula."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn.datasets")

from benchmarks.curriculum.run import digits, report
from edge.sim.curriculum.search import CurriculumLine
from edge.sim.scenarios import Scenario


def line(teacher: str, cells: int, defects: dict[str, int], cliffs: tuple[int, ...]):
    """What one search found."""
    return CurriculumLine(
        teacher=teacher, episodes=(), defects=defects, cliffs=cliffs, cells=cells, reward=0.5
    )


def test_the_summary_compares_with_random() -> None:
    """Different defects are counted over all searches, and coverage as a ratio of outcomes."""
    lines = [
        line("alp-gmm", 30, {"lost": 4}, (1, 2)),
        line("random", 20, {"lost": 9, "late": 3}, ()),
    ]
    found = report(lines, 60)
    assert found.summary["defects_found"] == 2
    assert found.summary["coverage_over_random"] == pytest.approx(1.5)
    assert found.summary["cliffs_over_random"] == pytest.approx(2.0)
    assert "late" in found.notes


def test_the_scenario_holds_the_digits(tmp_path: Path) -> None:
    """It is a device scenario on the vectors of scikit-learn's digits."""
    scenario = digits(tmp_path)
    assert isinstance(scenario, Scenario)
    with np.load(scenario.domains["digits"].source) as held:
        assert held["features"].shape == (1_797, 64)
