"""Anomaly scores and change points on the public boards NAB, SKAB and TCPD.

Rows marked `published` are figures of others, with their source in `board.py`; all other rows are
measured in this run.  Settings are chosen on the development half of a board: the even ones of its
series in the order of their names, counted from 0.
"""

from pathlib import Path

from ..report import BenchmarkReport, BenchmarkRow
from . import nab, skab, tcpd
from .nab_board import nab_rows, river_rows
from .skab_board import river_change_rows, skab_rows
from .tcpd_board import tcpd_rows

BOARDS = (
    ("NAB", nab.FILE, nab_rows),
    ("SKAB", skab.FILE, skab_rows),
    ("TCPD", tcpd.FILE, tcpd_rows),
)
RIVER = {"NAB": river_rows, "SKAB": river_change_rows}


def run(data: Path | None, *, quick: bool = False) -> BenchmarkReport:
    """Run every board whose file is in the folder; notes name the missing ones.  quick: without
    River's detectors on NAB and SKAB, which take most of the time."""
    rows: list[BenchmarkRow] = []
    summary: dict[str, float] = {}
    notes = ["development half of a board: its even series in the order of their names, from 0"]
    for board, file, measure in BOARDS:
        if data is None or not (data / file).exists():
            notes.append(f"{board}: no {file} in the folder of data")
            continue
        found, figures = measure(data)
        rows += found
        summary |= figures
        if board in RIVER and not quick:
            rows += RIVER[board](data)
    return BenchmarkReport("public", tuple(rows), summary, tuple(notes))
