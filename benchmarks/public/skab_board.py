"""Every method on SKAB: the published board, ours, peers and dummies."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.core.drift import DETECTORS

from ..report import BenchmarkRow
from .board import SKAB, SKAB_CHANGE_POINTS
from .halves import confirmation, development
from .ours import changes, scored
from .peers import NEIGHBOURS, Alarms, beyond_range, clock, river_alarms
from .skab import (
    LEARNED_ROWS,
    SkabRecording,
    change_score,
    load_skab,
    row_scores,
    toggles,
)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
# Learns from the first rows [400, 8], scores every later one.
Scorer = Callable[[Floats, Floats], Floats]

OURS: Final = "Auricle"
PERIODS: Final = (30, 60, 120, 240)
"""Periods tried for the clock, in rows."""
METRICS: Final = ("skab_f1", "skab_far", "skab_mar")
FALSE_ALARMS_MAX: Final = 0.1
"""Rate on the development half that a threshold of a peer may have: the aim for ours."""
DRAWS: Final = 50
"""Random halves for the mean of the rows `_random_halves`."""
CLOCK: Final = slice(580 - LEARNED_ROWS, 980 - LEARNED_ROWS)
"""Rows in which most recordings have their fault: a dummy that looks at nothing."""


def skab_rows(folder: Path) -> tuple[list[BenchmarkRow], dict[str, float]]:
    """Return the rows of the board, ours, peers and dummies, and the summary."""
    recordings = load_skab(folder)
    rows = _ours(recordings)
    summary = {row.metric: row.value for row in rows if row.method == OURS}
    rows += [
        BenchmarkRow(f"{name} (published)", metric, value)
        for name, values in SKAB.items()
        for metric, value in zip(METRICS, values, strict=True)
    ]
    rows += [
        BenchmarkRow(f"{name} (published)", "skab_cp", value)
        for name, value in SKAB_CHANGE_POINTS.items()
    ]
    for name, scorer in _peers().items():
        scores = [scorer(*_split(each)) for each in recordings]
        rows += threshold_rows(name, recordings, scores)
    for name, judge in _dummies().items():
        rows += judged_rows(name, recordings, [judge(*_split(each)) for each in recordings])
    return [*rows, *_change_rows(recordings, _clocks())], summary


def river_change_rows(folder: Path) -> list[BenchmarkRow]:
    """Return the change points of River's detectors; some minutes."""
    return _change_rows(load_skab(folder), river_alarms())


def _ours(recordings: Sequence[SkabRecording]) -> list[BenchmarkRow]:
    """Return the figures of our alarms at the default rate, of our score with a threshold of the
    development half, and the change points of our change detectors, the default first, at the steps
    of their reports."""
    found = [scored(each.values, each.seconds) for each in recordings]
    rows = judged_rows(OURS, recordings, [one.alarms[LEARNED_ROWS:] for one in found])
    rows += threshold_rows(
        f"{OURS}, threshold of the development half",
        recordings,
        [one.scores[LEARNED_ROWS:] for one in found],
    )
    for kind in ("", *DETECTORS):
        reported = []
        for each in recordings:
            flags = np.zeros(len(each.values), bool)
            flags[[change.step for change in changes(each.values, kind)]] = True
            reported.append(flags[LEARNED_ROWS:])
        points = change_score(recordings, reported)
        name = f"{OURS}, {kind or 'change detector'}"
        rows.append(BenchmarkRow(name, "skab_cp", points))
    return rows


def _split(each: SkabRecording) -> tuple[Floats, Floats]:
    return each.values[:LEARNED_ROWS], each.values[LEARNED_ROWS:]


def judged_rows(
    name: str, recordings: Sequence[SkabRecording], judged: Sequence[Flags]
) -> list[BenchmarkRow]:
    """Return all figures of a method without a threshold to choose: on the whole, on both halves
    and on the mean random half."""
    rows = _figures(name, "", recordings, judged)
    for half in (development, confirmation):
        rows += _figures(name, f"_{half.__name__}", half(recordings), half(judged))
    drawn = [
        row_scores([recordings[at] for at in places], [judged[at] for at in places])
        for _, places in _draws(len(recordings))
    ]
    return [*rows, *_mean_rows(name, drawn)]


def threshold_rows(
    name: str, recordings: Sequence[SkabRecording], scores: Sequence[Floats]
) -> list[BenchmarkRow]:
    """Return the figures of a score at the threshold of the development half; in the random halves
    it is chosen on one half and judged on the other."""
    at = _threshold(development(recordings), development(scores))
    judged = [score > at for score in scores]
    rows = _figures(name, "", recordings, judged)
    for half in (development, confirmation):
        rows += _figures(name, f"_{half.__name__}", half(recordings), half(judged))
    drawn = []
    for known, places in _draws(len(recordings)):
        at = _threshold([recordings[i] for i in known], [scores[i] for i in known])
        drawn.append(row_scores([recordings[i] for i in places], [scores[i] > at for i in places]))
    return [*rows, *_mean_rows(name, drawn)]


def _figures(
    name: str, suffix: str, recordings: Sequence[SkabRecording], judged: Sequence[Flags]
) -> list[BenchmarkRow]:
    rows = [
        BenchmarkRow(name, f"{metric}{suffix}", value)
        for metric, value in zip(METRICS, row_scores(recordings, judged), strict=True)
    ]
    points = change_score(recordings, [toggles(flags) for flags in judged])
    return [*rows, BenchmarkRow(name, f"skab_cp{suffix}", points)]


def _mean_rows(name: str, drawn: Sequence[tuple[float, float, float]]) -> list[BenchmarkRow]:
    return [
        BenchmarkRow(name, f"{metric}_random_halves", float(np.mean(values)))
        for metric, values in zip(METRICS, zip(*drawn, strict=True), strict=True)
    ]


def _draws(count: int) -> list[tuple[list[int], list[int]]]:
    """Return random halves: the places of one half and of the other."""
    random = np.random.default_rng(0)
    orders = [random.permutation(count).tolist() for _ in range(DRAWS)]
    return [(order[: count // 2], order[count // 2 :]) for order in orders]


def _threshold(recordings: Sequence[SkabRecording], scores: Sequence[Floats]) -> float:
    """Return the threshold with the best F1 among those with few enough false alarms."""
    tried = np.unique(np.quantile(np.concatenate(list(scores)), np.linspace(0.3, 1.0, 141)))
    found = [
        (f1, float(at))
        for at in tried
        for f1, false, _ in [row_scores(recordings, [score > at for score in scores])]
        if false <= FALSE_ALARMS_MAX
    ]
    return max(found, default=(0.0, float("inf")))[1]


def _peers() -> dict[str, Scorer]:
    return {
        "kNN": _neighbours,
        "Mahalanobis": _mahalanobis,
        "River HalfSpaceTrees": _half_space_trees,
        "beyond the learned range": _beyond,
        "beyond the running range": lambda learned, judged: beyond_range(
            np.vstack((learned, judged))
        )[len(learned) :],
    }


def _standard(learned: Floats, judged: Floats) -> tuple[Floats, Floats]:
    mean, scale = learned.mean(0), np.maximum(learned.std(0), 1e-6)
    return (learned - mean) / scale, (judged - mean) / scale


def _neighbours(learned: Floats, judged: Floats) -> Floats:
    known, new = _standard(learned, judged)
    apart = (new**2).sum(1)[:, None] + (known**2).sum(1) - 2.0 * new @ known.T
    nearest = np.partition(apart, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
    return np.asarray(np.sqrt(np.maximum(nearest, 0.0)).mean(1))


def _mahalanobis(learned: Floats, judged: Floats) -> Floats:
    known, new = _standard(learned, judged)
    inverse = np.linalg.pinv(np.cov(known.T))
    return np.asarray(np.sqrt(np.einsum("ij,jk,ik->i", new, inverse, new)))


def _half_space_trees(learned: Floats, judged: Floats) -> Floats:
    from river import anomaly as modules

    anomaly: Any = modules
    low, high = learned.min(0), learned.max(0)
    trees = anomaly.HalfSpaceTrees(n_trees=10, height=8, window_size=LEARNED_ROWS // 2, seed=1)
    samples = [
        dict(enumerate(row))
        for row in ((np.vstack((learned, judged)) - low) / np.maximum(high - low, 1e-9)).tolist()
    ]
    for sample in samples[:LEARNED_ROWS]:
        trees.learn_one(sample)
    return np.array([trees.score_one(sample) for sample in samples[LEARNED_ROWS:]])


def _beyond(learned: Floats, judged: Floats) -> Floats:
    low, high = learned.min(0), learned.max(0)
    beyond = np.maximum(judged - high, low - judged) / np.maximum(high - low, 1e-9)
    return np.asarray(np.maximum(beyond, 0.0).max(1))


def _dummies() -> dict[str, Callable[[Floats, Floats], Flags]]:
    return {
        "never fires": lambda _, judged: np.zeros(len(judged), bool),
        "always fires": lambda _, judged: np.ones(len(judged), bool),
        "a clock, rows 580 to 980": lambda _, judged: _between(len(judged)),
    }


def _between(rows: int) -> Flags:
    flags = np.zeros(rows, bool)
    flags[CLOCK] = True
    return flags


def _ticks(values: Floats, period: int) -> Flags:
    flags = np.zeros(len(values), bool)
    flags[clock(len(values), period)] = True
    return flags


def _clocks() -> dict[str, dict[str, Alarms]]:
    return {
        "a clock": {f"every {period} rows": partial(_ticks, period=period) for period in PERIODS}
    }


def _change_rows(
    recordings: Sequence[SkabRecording], grids: Mapping[str, Mapping[str, Alarms]]
) -> list[BenchmarkRow]:
    """Return the change points of detectors, each at the best setting of its grid on the
    development half."""
    rows = []
    for name, settings in grids.items():
        found = {
            setting: [run(each.values)[LEARNED_ROWS:] for each in recordings]
            for setting, run in settings.items()
        }
        scored = {
            setting: change_score(development(recordings), development(flags))
            for setting, flags in found.items()
        }
        best = max(scored, key=lambda setting: scored[setting])
        rows.append(
            BenchmarkRow(f"{name}, {best}", "skab_cp", change_score(recordings, found[best]))
        )
    return rows
