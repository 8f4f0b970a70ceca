"""The pool compared with its own simple experts on short, seasonal and random-walk series.

Every sample from the first on gives a forecast; errors count from the hundredth sample on.  Each
figure is a sum of absolute errors over that of the best simple method on the same set and horizon,
chosen in hindsight: last value, seasonal naive, drift.
"""

import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from edge.core.forecasting import FORECASTERS, ForecastTask
from edge.storage import shipped_weights

from ..report import BenchmarkRow
from .pool_sets import Floats, PoolSet, pool_sets

HORIZONS: Final = (1, 6, 12, 24)
"""Steps ahead."""
FIRST: Final = 100
"""Samples that are for learning alone."""
TARGETS_MIN: Final = 30
"""Fewest targets of a horizon: with fewer, a ratio says nothing."""
LONG: Final = 800
"""Samples of a long set: then the longest horizon has thirty targets that do not overlap."""
OURS, SWITCH, LAST = "Auricle", "best so far", "last value"
Ratios = Mapping[str, list[float]]


def run_part(
    data: Path | None, *, quick: bool = False
) -> tuple[list[BenchmarkRow], dict[str, float], list[str]]:
    """Return the ratios by set and horizon, their mean and worst, and notes."""
    sets, notes = pool_sets(data, quick=quick)
    found = {one.name: measure_set(one) for one in sets}
    rows = [
        BenchmarkRow(method, f"{name}_h{ahead}", value)
        for name, ratios in found.items()
        for method in (OURS, LAST, SWITCH)
        for ahead, value in zip(HORIZONS, ratios[method], strict=True)
        if np.isfinite(value)
    ]
    summary: dict[str, float] = {}
    halves = {"": sets, "_development": [], "_confirmation": [], "_long": []}
    for one in sets:
        halves["_development" if one.development else "_confirmation"].append(one)
        if len(one.values) >= LONG:
            halves["_long"].append(one)
    for half, members in halves.items():
        by_method = {
            method: [found[one.name][method] for one in members]
            for method in (OURS, LAST, "seasonal naive", "drift", SWITCH)
        }
        rows += _aggregates(half, by_method)
        if members:
            table = np.array(by_method[OURS])
            summary[f"pool_over_best_simple_mean{half}"] = _largest_mean(table)
            summary[f"pool_over_best_simple_worst{half}"] = float(np.nanmax(table))
    notes.append("pool: ratios to the best of last value, seasonal naive and drift in hindsight")
    notes.append("pool, mean: the largest of the means over sets by horizon; worst: over all")
    notes.append(f"pool, '{SWITCH}': a switch to the simple method with the least error so far")
    return rows, summary, notes


def measure_set(one: PoolSet) -> dict[str, list[float]]:
    """Return each method's error over the best simple one's, by horizon; NaN with few targets."""
    simple = _simple_points(one)
    errors = {name: _errors(points, one.values) for name, points in simple.items()}
    errors[SWITCH] = _switched(list(errors.values()))
    errors[OURS] = _errors(_pool_points(one), one.values)
    sums = {name: np.nansum(each[FIRST:], axis=0) for name, each in errors.items()}
    # Channels count alike, whatever their unit.
    unit = np.maximum(sums[LAST], 1e-300)
    totals = {name: (each / unit).sum(axis=1) for name, each in sums.items()}
    best = np.min([totals[name] for name in simple], axis=0)
    targets = len(one.values) - FIRST - np.array(HORIZONS)
    best = np.where((targets >= TARGETS_MIN) & (best > 0), best, np.nan)
    return {name: (total / best).tolist() for name, total in totals.items()}


def _pool_points(one: PoolSet) -> Floats:
    task = ForecastTask(
        one.values.shape[1], HORIZONS, period=one.period, weights=shipped_weights("cfc")
    )
    pool = FORECASTERS["pool"](task)
    return np.array([pool.step(row, one.elapsed_s).point for row in one.values])


def _simple_points(one: PoolSet) -> dict[str, Floats]:
    """Return the points [steps, H, C] of the simple methods, from the plain values."""
    values = _held(one.values)
    steps = np.arange(len(values))
    last = np.repeat(values[:, None], len(HORIZONS), axis=1)
    slope = (values - values[0]) / np.maximum(steps, 1)[:, None]
    drift = last + slope[:, None] * np.array(HORIZONS)[:, None]
    seasonal = last.copy()
    for place, ahead in enumerate(HORIZONS if one.period else ()):
        season = one.period or 1
        # The latest known value that lies whole seasons before the target.
        origin = steps - (-ahead) % season
        known = (origin >= 0) & (steps >= season - 1)
        seasonal[known, place] = values[origin[known]]
    return {LAST: last, "seasonal naive": seasonal, "drift": drift}


def _held(values: Floats) -> Floats:
    """Return each channel's latest value at each step."""
    rows = np.where(np.isfinite(values), np.arange(len(values))[:, None], 0)
    held: Floats = np.take_along_axis(values, np.maximum.accumulate(rows, axis=0), axis=0)
    return held


def _errors(points: Floats, values: Floats) -> Floats:
    """Return absolute errors [steps, H, C] at the origin of each forecast; NaN at the end."""
    found = np.full(points.shape, np.nan)
    for place, ahead in enumerate(HORIZONS):
        found[:-ahead, place] = np.abs(points[:-ahead, place] - values[ahead:])
    return found


def _switched(errors: list[Floats]) -> Floats:
    """Return the errors of a switch to the method with the least error over the known targets."""
    stacked = np.stack(errors)
    known = np.zeros_like(stacked)
    for place, ahead in enumerate(HORIZONS):
        sums = np.cumsum(np.nan_to_num(stacked[:, :, place]), axis=1)
        known[:, ahead:, place] = sums[:, :-ahead]
    chosen = known.argmin(axis=0)[None]
    switched: Floats = np.take_along_axis(stacked, chosen, axis=0)[0]
    return switched


def _largest_mean(table: Floats) -> float:
    columns = [column[np.isfinite(column)] for column in table.T]
    return max(float(column.mean()) for column in columns if len(column))


def _aggregates(half: str, by_method: Mapping[str, list[list[float]]]) -> Iterable[BenchmarkRow]:
    """Return the mean, the worst, and the share above 1.03, by horizon."""
    for method, ratios in by_method.items():
        for ahead, column in zip(HORIZONS, zip(*ratios, strict=True), strict=False):
            values = [value for value in column if np.isfinite(value)]
            if values:
                yield BenchmarkRow(method, f"mean{half}_h{ahead}", statistics.fmean(values))
                yield BenchmarkRow(method, f"worst{half}_h{ahead}", max(values))
                above = statistics.fmean(value > 1.03 for value in values)
                yield BenchmarkRow(method, f"above_3_percent{half}_h{ahead}", above)
