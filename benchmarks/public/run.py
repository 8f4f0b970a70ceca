"""Anomaly scores and change points on the public boards NAB, SKAB and TCPD.

`published` rows are figures of others, with their source in `board.py`; all other rows are measured
in this run.  Settings are chosen on the development half of a board: the even ones of its series in
the order of their names, counted from 0.
"""

from pathlib import Path

from ..report import BenchmarkReport, BenchmarkRow
from .nab import FILE as NAB_FILE
from .nab_board import nab_rows


def run(data: Path | None) -> BenchmarkReport:
    """Run every board whose file is in the folder; notes name the missing ones."""
    rows: list[BenchmarkRow] = []
    summary: dict[str, float] = {}
    notes: list[str] = []
    if data is not None and (data / NAB_FILE).exists():
        found = nab_rows(data)
        rows += found[0]
        summary |= found[1]
    else:
        notes.append(f"NAB: no {NAB_FILE} in the folder of data")
    return BenchmarkReport("public", tuple(rows), summary, tuple(notes))
