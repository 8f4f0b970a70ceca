"""Every method on TCPD: the published board, ours, peers and dummies.

A change point counts at the place that its report names (`start`), as for the offline methods of
the board; ours names it while the series arrives, later than it happened but without a look at the
samples after the report.  River's detectors name no place: theirs is the step of the report.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.core.drift import DETECTORS, default_detector

from ..report import BenchmarkRow
from .board import TCPD
from .halves import confirmation, development
from .ours import change_finder
from .peers import beyond_range, clock, neighbour_alarms, river_alarms, rows_of
from .tcpd import UNJUDGED, AnnotatedSeries, ChangeFinder, cover, f1, load_tcpd

Floats = NDArray[np.float64]

OURS: Final = "Auricle"
PERIODS: Final = (25, 50, 100, 200)
"""Periods tried for the clock, in samples."""


def tcpd_rows(folder: Path) -> tuple[list[BenchmarkRow], dict[str, float]]:
    """Return the rows and the summary: of the real series with one channel."""
    every = load_tcpd(folder)
    rows = [
        BenchmarkRow(f"{name} (published)", f"{metric}_published_25", value)
        for name, values in TCPD.items()
        for metric, value in zip(("tcpd_f1", "tcpd_cover"), values, strict=True)
    ]
    summary: dict[str, float] = {}
    for name, finder in _methods(every).items():
        found = {series.name: list(finder(series.values)) for series in every}
        figures = _figures(every, found)
        rows += [BenchmarkRow(name, metric, value) for metric, value in figures.items()]
        if name == OURS:
            summary |= figures
        elif name == "never fires":
            summary |= {"never_f1": figures["tcpd_f1"], "never_cover": figures["tcpd_cover"]}
    return rows, summary


def _figures(
    every: Sequence[AnnotatedSeries], found: Mapping[str, Sequence[int]]
) -> dict[str, float]:
    """Return F1 and cover by set of series."""
    real = [series for series in every if series.is_real]
    sets = {
        "": real,
        "_development": [series for series in development(every) if series.is_real],
        "_confirmation": [series for series in confirmation(every) if series.is_real],
        "_published_25": [series for series in real if series.name != UNJUDGED],
        "_all": list(every),
    }
    return {
        f"tcpd_{measure.__name__}{suffix}": float(
            np.mean([measure(series, found[series.name]) for series in chosen])
        )
        for suffix, chosen in sets.items()
        for measure in (f1, cover)
    }


def _methods(every: Sequence[AnnotatedSeries]) -> dict[str, ChangeFinder]:
    """Return ours by kind, peers at the best setting of their grid on the development half, and
    dummies."""
    half = development(every)
    methods: dict[str, ChangeFinder] = {OURS: change_finder()}
    methods |= {
        f"{OURS}, {kind}": change_finder(kind) for kind in DETECTORS if kind != default_detector(1)
    }
    grids: dict[str, Mapping[str, Any]] = {
        name: {setting: _fired(run) for setting, run in settings.items()}
        for name, settings in {**neighbour_alarms(), **river_alarms()}.items()
    }
    grids["a clock"] = {
        f"every {period} samples": partial(_ticks, period=period) for period in PERIODS
    }
    for name, settings in grids.items():
        best = max(settings, key=lambda setting: _value(half, settings[setting]))
        methods[f"{name}, {best}"] = settings[best]
    methods["beyond the running range"] = lambda values: rows_of(beyond_range(values) > 0.0)
    methods["always fires"] = lambda values: range(len(values))
    methods["never fires"] = lambda _: ()
    return methods


def _value(half: Sequence[AnnotatedSeries], finder: ChangeFinder) -> float:
    """Return F1 plus cover, by which settings are chosen."""
    total = 0.0
    for series in half:
        found = list(finder(series.values))
        total += f1(series, found) + cover(series, found)
    return total


def _ticks(values: Floats, period: int) -> Sequence[int]:
    ticks: list[int] = clock(len(values), period).tolist()
    return ticks


def _fired(run: Callable[[Floats], Any]) -> ChangeFinder:
    return lambda values: rows_of(run(values))
