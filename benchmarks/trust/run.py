"""Whether alarms and answers can be trusted on real streams: all parts in one report.

Each part is a file of this folder with `run_part(data, quick=...)`, which returns its rows, its
share of the summary and its notes.  A part's docstring has its protocol and names the sets on which
defaults were chosen and those that only confirm them.
"""

import importlib
import os
from collections.abc import Sequence
from pathlib import Path

from ..report import BenchmarkReport, BenchmarkRow

PARTS = ("time_order", "small_data", "domains", "answers", "pool")


def run(
    data: Path | None, *, quick: bool = False, sets: Sequence[str] | None = None
) -> BenchmarkReport:
    """Run the parts in `sets`, all if None, one after the other.

    quick: fewer seeds and sets.  Raises ValueError for an unknown part.
    """
    chosen = tuple(sets or PARTS)
    unknown = sorted(set(chosen) - set(PARTS))
    if unknown:
        raise ValueError(f"expected parts among {', '.join(PARTS)}, found {', '.join(unknown)}")
    # One thread: the work is many small problems, and results then depend on no thread count.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    rows: list[BenchmarkRow] = []
    summary: dict[str, float] = {}
    notes: list[str] = []
    for part in chosen:
        found = importlib.import_module(f"{__package__}.{part}").run_part(data, quick=quick)
        rows += found[0]
        summary |= found[1]
        notes += found[2]
    return BenchmarkReport("trust", tuple(rows), summary, tuple(notes))
