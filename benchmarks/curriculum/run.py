"""What each curriculum finds in the same number of worlds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Final

import numpy as np
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

from edge.sim import Scenario, parse_scenario
from edge.sim.curriculum import CurriculumLine, search_worlds

from ..report import BenchmarkReport, BenchmarkRow

SEEDS: Final = (1, 2)
"""Seeds of teachers and worlds."""
EPISODES: Final = 60
"""Worlds of each curriculum; the first 25 come before the first mixture."""
EPISODES_QUICK: Final = 40
"""Worlds of each curriculum in a quick run."""
GUIDED: Final = "alp-gmm"
"""The curriculum that the summary compares."""
RANDOM: Final = "random"
"""The one that it is compared with."""


def run(_data: Path | None, *, quick: bool = False) -> BenchmarkReport:
    """Search with each curriculum.  Quick: one seed, fewer worlds.

    Cost: two minutes for a quick run, ten minutes for all.
    """
    seeds, episodes = (SEEDS[:1], EPISODES_QUICK) if quick else (SEEDS, EPISODES)
    lines: list[CurriculumLine] = []
    with threadpool_limits(1), tempfile.TemporaryDirectory(prefix="auricle-bench-") as folder:
        base = digits(Path(folder))
        for seed in seeds:
            lines += search_worlds(base, seed, episodes=episodes).lines
    return report(lines, episodes)


def digits(folder: Path) -> Scenario:
    """Return a scenario on the digits of scikit-learn as vectors."""
    found = load_digits()
    path = folder / "digits.npz"
    np.savez(path, features=found.data.astype(np.float32), labels=found.target)
    return parse_scenario(
        {
            "title": "digits",
            "encoder": {"model": "vector"},
            "device": {"false_alarm_rate": 0.1},
            "domains": {"digits": {"source": str(path)}},
            "phases": [{"domain": "digits", "enrol": 60, "observations": 20}],
        }
    )


def report(lines: Sequence[CurriculumLine], episodes: int) -> BenchmarkReport:
    """Return the report of some searches."""
    teachers = list(dict.fromkeys(line.teacher for line in lines))
    found = {name: [one for one in lines if one.teacher == name] for name in teachers}
    defects = {text for line in lines for text in line.defects}
    cells = {name: fmean(one.cells for one in mine) for name, mine in found.items()}
    summary = {
        "defects_found": float(len(defects)),
        "coverage_over_random": cells[GUIDED] / cells[RANDOM],
        "cliffs_over_random": _mean_cliffs(found[GUIDED]) / max(1.0, _mean_cliffs(found[RANDOM])),
    }
    rows = tuple(row for name, mine in found.items() for row in _rows(name, mine))
    notes = (f"{episodes} worlds for each curriculum and seed", *sorted(defects))
    return BenchmarkReport("curriculum", rows, summary, notes)


def _mean_cliffs(mine: Sequence[CurriculumLine]) -> float:
    return fmean(len(one.cliffs) for one in mine)


def _rows(name: str, mine: Sequence[CurriculumLine]) -> Iterator[BenchmarkRow]:
    yield BenchmarkRow(name, "different defects", fmean(len(one.defects) for one in mine))
    yield BenchmarkRow(name, "cliffs", _mean_cliffs(mine))
    yield BenchmarkRow(name, "different outcomes", fmean(one.cells for one in mine))
    yield BenchmarkRow(name, "mean reward", fmean(one.reward for one in mine))
