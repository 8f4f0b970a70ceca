"""Every method on NAB: the published board, its scores scored again, ours, peers and dummies."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.core.anomaly import alarm_starts

from ..report import BenchmarkRow
from .board import NAB
from .gaussian import windowed_gaussian
from .halves import confirmation, development
from .nab import (
    PROFILES,
    STANDARD,
    NabSeries,
    alarm_score,
    best_refractory_threshold,
    best_threshold,
    load_nab,
    refractory,
)
from .ours import scored
from .peers import Alarms, beyond_range, clock, neighbour_scores, river_alarms, river_scores

Floats = NDArray[np.float64]
Scored = Sequence[Floats]

OURS: Final = "Auricle"
LIMITS: Final = (1.5, 12.0, 150)
"""Lowest, highest, and number of limits of our score that are tried; the best is inside."""
METRICS: Final = ("nab_standard", "nab_low_fp", "nab_low_fn")
# Members of the board whose score of every row is in the file of data.
RESCORED: Final = {"knncad": "KNN-CAD", "numenta": "Numenta HTM"}
SILENT_ROWS: Final = 100
"""Rows without a second alarm in the rows marked refractory.  It helps every method with long
alarms, so the score without it stands beside."""
SHARES: Final = (0.1, 0.01, 0.001)
"""P-values up to which normal samples are counted: as many should be below each."""
WARM_UP: Final = 200
"""First samples of a series that are left out there: windows are compared from 158 samples on."""
APART: Final = 100
"""Samples around a labelled anomaly that are left out there, as they may belong to it.  Chosen by
hand."""
PERIODS: Final = (100, 200, 400, 800, 1_600)
"""Periods tried for the clock, in rows."""


def nab_rows(folder: Path) -> tuple[list[BenchmarkRow], dict[str, float]]:
    """Return the rows of the board, its members scored again, ours, peers and dummies, and the
    summary."""
    corpus = load_nab(folder)
    summary = _ours(corpus)
    rows = [BenchmarkRow(OURS, metric, value) for metric, value in summary.items()]
    rows += [
        BenchmarkRow(f"{name} (published)", metric, value)
        for name, values in NAB.items()
        for metric, value in zip(METRICS, values, strict=True)
    ]
    methods = {
        f"{shown} (scored again)": [series.published[name] for series in corpus]
        for name, shown in RESCORED.items()
    }
    methods["Windowed Gaussian (scored again)"] = [windowed_gaussian(s.values) for s in corpus]
    methods["kNN of windows"] = [neighbour_scores(s.values, s.probation) for s in corpus]
    methods["beyond the running range"] = [beyond_range(s.values) for s in corpus]
    methods["always fires"] = [np.ones(len(s.values)) for s in corpus]
    methods["never fires"] = [np.zeros(len(s.values)) for s in corpus]
    methods["a clock"] = _clock(corpus)
    for name, scores in methods.items():
        rows += score_rows(name, corpus, scores)
    return rows, summary


def _ours(corpus: Sequence[NabSeries]) -> dict[str, float]:
    """Return our figures.  An alarm starts as in the daemon: after quiet samples.

    At the limit that is best for the corpus, as NAB does it, by profile; at the limit that is best
    for the development half; at the default rate of false alarms per day, each series with the
    limit that it finds for itself; and where every sample above the limit is an alarm."""
    found = [scored(series.values[:, None], series.seconds) for series in corpus]
    scores = [one.scores for one in found]
    limits = np.geomspace(*LIMITS)
    alarms = [
        [np.fromiter(alarm_starts(score, limit), np.int64) for score in scores] for limit in limits
    ]
    figures = {
        metric: max(alarm_score(corpus, at, profile) for at in alarms)
        for metric, profile in zip(METRICS, PROFILES, strict=True)
    }
    best = max(alarms, key=lambda at: alarm_score(development(corpus), development(at), STANDARD))
    default = [np.flatnonzero(one.raised) for one in found]
    for name, at in (("development_threshold", best), ("default_rate", default)):
        figures[f"nab_standard_{name}"] = alarm_score(corpus, at, STANDARD)
        for half in (development, confirmation):
            key = f"nab_standard_{name}_{half.__name__}"
            figures[key] = alarm_score(half(corpus), half(at), STANDARD)
    figures["nab_standard_every_row"] = best_threshold(corpus, scores, STANDARD)[0]
    p_values = [one.p_values for one in found]
    for half in (development, confirmation):
        normal = np.concatenate(_normal_parts(half(corpus), half(p_values)))
        for share in SHARES:
            key = f"nab_p_{share:g}_{half.__name__}"
            figures[key] = float((normal <= share).mean())
    return figures


def _normal_parts(corpus: Sequence[NabSeries], values: Scored) -> list[Floats]:
    """Return the values of samples after the warm-up and away from labelled anomalies."""
    parts = []
    for series, found in zip(corpus, values, strict=True):
        normal = np.arange(len(found)) >= WARM_UP
        for first, last in series.windows:
            normal[max(0, first - APART) : last + APART] = False
        parts.append(found[normal])
    return parts


def river_rows(folder: Path) -> list[BenchmarkRow]:
    """Return the rows of River's detectors, each at the best setting of its grid on the development
    half; some minutes."""
    corpus = load_nab(folder)
    half = development(corpus)
    rows: list[BenchmarkRow] = []
    grids: dict[str, dict[str, Callable[[Floats], Floats]]] = {
        name: {setting: partial(_as_scores, run) for setting, run in settings.items()}
        for name, settings in river_alarms().items()
    }
    grids |= {name: dict(settings) for name, settings in river_scores().items()}
    for name, settings in grids.items():
        scored = {
            setting: [run(series.values[:, None]) for series in half]
            for setting, run in settings.items()
        }
        best = max(scored, key=lambda s: best_threshold(half, scored[s], STANDARD)[0])
        rest = [settings[best](series.values[:, None]) for series in confirmation(corpus)]
        whole = [rest[at // 2] if at % 2 else scored[best][at // 2] for at in range(len(corpus))]
        rows += score_rows(f"{name}, {best}", corpus, whole)
    return rows


def _as_scores(run: Alarms, values: Floats) -> Floats:
    return run(values).astype(np.float64)


def score_rows(name: str, corpus: Sequence[NabSeries], scores: Scored) -> list[BenchmarkRow]:
    """Return a method's scores at its own optimum by profile, at the threshold that is best on the
    development half, on both halves, and the same with a refractory time."""
    rows = [
        BenchmarkRow(name, metric, best_threshold(corpus, scores, profile)[0])
        for metric, profile in zip(METRICS, PROFILES, strict=True)
    ]
    halves = (development, confirmation)
    for suffix, silent in (("", 0), ("_refractory", SILENT_ROWS)):
        at = _optimum(development(corpus), development(scores), silent)[1]
        found = [refractory(score, at, silent) for score in scores]
        rows.append(
            BenchmarkRow(
                name,
                f"nab_standard{suffix}_development_threshold",
                alarm_score(corpus, found, STANDARD),
            )
        )
        rows += [
            BenchmarkRow(
                name,
                f"nab_standard{suffix}_{half.__name__}",
                alarm_score(half(corpus), half(found), STANDARD),
            )
            for half in halves
        ]
    rows += [
        BenchmarkRow(
            name,
            f"{metric}_refractory",
            best_refractory_threshold(corpus, scores, profile, SILENT_ROWS)[0],
        )
        for metric, profile in zip(METRICS, PROFILES, strict=True)
    ]
    return rows


def _optimum(corpus: Sequence[NabSeries], scores: Scored, silent: int) -> tuple[float, float]:
    if silent:
        return best_refractory_threshold(corpus, scores, STANDARD, silent)
    return best_threshold(corpus, scores, STANDARD)


def _clock(corpus: Sequence[NabSeries]) -> list[Floats]:
    """Return 1 at every so many rows, at the period that is best on the development half."""
    half = development(corpus)
    best = max(
        PERIODS,
        key=lambda period: alarm_score(
            half, [clock(len(series.values), period) for series in half], STANDARD
        ),
    )
    scores = []
    for series in corpus:
        score = np.zeros(len(series.values))
        score[clock(len(score), best)] = 1.0
        scores.append(score)
    return scores
