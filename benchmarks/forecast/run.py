"""Forecasts of drifting streams: ours compared with the usual peers on the same streams,
prequentially.

Every method takes one sample per step and forecasts 1, 6 and 12 steps ahead; a target is available
only once its sample arrives.  Streams: simulated backbones under link failures (three schedules
each), ETTh1, ELEC2, an ISP's link traffic, NAB's real series.
"""

import os
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..report import BenchmarkReport, BenchmarkRow
from .cells import measure_cells
from .data import ASIDE, NAB_ROWS_MAX, BenchmarkStream, load_streams
from .detect import detect
from .evaluate import GRU, OURS, PLAIN, measure_all, methods
from .score import AFTER, HORIZONS, PART_CHANNELS, PART_STEPS
from .shifts import shifts
from .speed import time_steps

Marks = Mapping[tuple[str, str], dict[str, Any]]
LAST = "last value"
# Variants of our own pipeline are not peers.
OWN = (OURS, GRU, PLAIN)


def run(data: Path | None, *, quick: bool = False, sets: Sequence[str] = ()) -> BenchmarkReport:
    """Run all streams and methods; earlier measurements come from the cache.  quick: without
    re-fitted peers, one schedule of failures, a quarter of NAB.  sets: only those, without
    detectors and timings.  Raises ValueError for an unknown set."""
    streams, notes = load_streams(data, quick=quick)
    groups = {stream.group: [s for s in streams if s.group == stream.group] for stream in streams}
    if strange := set(sets) - set(groups):
        raise ValueError(f"choosing sets: expected some of {sorted(groups)}, found {strange}")
    groups = {group: members for group, members in groups.items() if group in (sets or groups)}
    streams = [stream for members in groups.values() for stream in members]
    names = methods(heavy=not quick)
    jobs = min(2, len(os.sched_getaffinity(0)))
    marks = measure_all(streams, names, jobs, lambda text: print(text, file=sys.stderr, flush=True))
    rows = [row for group, members in groups.items() for row in _rows(marks, group, members, names)]
    ratios = {group: _ratio(marks, members, names) for group, members in groups.items()}
    summary = {f"mae_ratio_vs_best_peer_{g}": ratio for g, (ratio, _) in ratios.items()}
    summary |= {
        "mean_ratio": statistics.fmean(ratio for ratio, _ in ratios.values()),
        "worst_ratio": max(ratio for ratio, _ in ratios.values()),
    }
    summary |= _after_events(marks, groups, names[0]) | _coverage(marks, streams, names[0])
    if GRU in names:
        by_group = [_relative_errors(marks, members, OURS, GRU) for members in groups.values()]
        summary["liquid_vs_gru_ratio"] = statistics.fmean(by_group)
    notes += [f"best peer on {group}: {peer}" for group, (_, peer) in ratios.items()]
    parts = [] if sets else [detect(quick=quick), time_steps(), measure_cells()]
    for part in parts:
        rows += part.rows
        summary |= part.summary
    if not sets:
        shifted, missing = shifts(data, quick=quick)
        rows += shifted
        notes += missing
    return BenchmarkReport("forecast", tuple(rows), summary, (*notes, *_notes()))


UNITS = (
    "mae: Mbit/s for nsfnet and euro28; a share of the last value's for nab; else standard"
    " deviations of the part for learning"
)


def _notes() -> list[str]:
    part = f"{PART_CHANNELS} channels and {PART_STEPS} steps of each stream"
    return [
        UNITS,
        "elec2: errors of price and demand of New South Wales; Victoria's columns are shown too",
        f"nab: the first {NAB_ROWS_MAX:,} rows of each series, a quarter of them for learning",
        f"methods marked 'part' ran on {part}; ratios against them are on the same part",
        "methods marked 'N of M' ran on N of the M streams of a set; ratios are on those",
        f"kept aside while designing: {', '.join(ASIDE)}",
    ]


def _errors(marks: Marks, stream: BenchmarkStream, name: str, *, part: bool) -> list[float]:
    """Return errors by horizon relative to the last value's, on the whole stream or its part."""
    key = "part" if part else "mae"
    pairs = zip(marks[name, stream.name][key], marks[LAST, stream.name][key], strict=True)
    # A constant series has no error to compare with: every method is right.
    return [mine / last if last > 0 else 1.0 for mine, last in pairs]


def _relative_errors(
    marks: Marks, streams: Sequence[BenchmarkStream], mine: str, peer: str
) -> float:
    """Return errors of one method relative to another's, mean over horizons, where both ran."""
    streams = [s for s in streams if (mine, s.name) in marks and (peer, s.name) in marks]
    part = not all(marks[name, s.name]["whole"] for s in streams for name in (mine, peer))
    by_horizon = []
    for place in range(len(HORIZONS)):
        own, other = (
            statistics.fmean(_errors(marks, s, name, part=part)[place] for s in streams)
            for name in (mine, peer)
        )
        by_horizon.append(own / other)
    return statistics.fmean(by_horizon)


def _ratio(
    marks: Marks, streams: Sequence[BenchmarkStream], names: Sequence[str]
) -> tuple[float, str]:
    """Compare ours with the strongest peer; returns the ratio and its name."""
    found = [
        (_relative_errors(marks, streams, names[0], peer), peer)
        for peer in names
        if peer not in OWN
    ]
    return max(found)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _rows(
    marks: Marks, group: str, streams: Sequence[BenchmarkStream], names: Sequence[str]
) -> Iterable[BenchmarkRow]:
    """Return a row for each metric of a group, mean over its streams."""
    relative = group == "nab"
    everything = streams
    for name in names:
        streams = [stream for stream in everything if (name, stream.name) in marks]
        mine = [marks[name, stream.name] for stream in streams]
        whole = all(each["whole"] for each in mine)
        shown = name if whole else f"{name} (part)"
        shown += (
            "" if len(streams) == len(everything) else f" ({len(streams)} of {len(everything)})"
        )
        for place, ahead in enumerate(HORIZONS):
            plain = [each["mae" if whole else "part"][place] for each in mine]
            if relative:
                plain = [_errors(marks, s, name, part=not whole)[place] for s in streams]
            yield BenchmarkRow(shown, f"{group}_mae_h{ahead}", statistics.fmean(plain))
            if whole and not relative:
                rmse = statistics.fmean(each["rmse"][place] for each in mine)
                yield BenchmarkRow(shown, f"{group}_rmse_h{ahead}", rmse)
            yield from _after_rows(shown, group, mine, place, ahead)
        for key in ("coverage", "coverage_after", "us", "learned", "bytes"):
            value = _mean(each.get(key) for each in mine)
            if value is not None:
                yield BenchmarkRow(shown, f"{group}_{key}", value)


def _after_rows(
    shown: str, group: str, mine: Sequence[dict[str, Any]], place: int, ahead: int
) -> Iterable[BenchmarkRow]:
    """Return errors after events, time to convergence, width of intervals."""
    for at, steps in enumerate(AFTER):
        value = _mean(each["after"][place][at] for each in mine)
        if value is not None:
            yield BenchmarkRow(shown, f"{group}_mae_h{ahead}_first_{steps}", value)
    value = _mean(each["convergence"][place] for each in mine)
    if value is not None:
        yield BenchmarkRow(shown, f"{group}_convergence_h{ahead}", value)
    if group != "nab":
        value = _mean(each["width"][place] if "width" in each else None for each in mine)
        if value is not None:
            yield BenchmarkRow(shown, f"{group}_width_h{ahead}", value)


def _after_events(
    marks: Marks, groups: Mapping[str, Sequence[BenchmarkStream]], ours: str
) -> dict[str, float]:
    """Return errors in the first five steps after failures and repairs, relative to the last
    value's."""
    found: dict[str, float] = {}
    worst = []
    for group in sorted({"nsfnet", "euro28"} & set(groups)):
        for place, ahead in enumerate(HORIZONS):
            mine, last = (
                _mean(marks[name, s.name]["after"][place][AFTER.index(5)] for s in groups[group])
                for name in (ours, LAST)
            )
            if mine is not None and last:
                found[f"post_event_ratio_{group}_h{ahead}"] = mine / last
                worst.append(mine / last)
    return {"post_event_ratio_vs_last_value": max(worst), **found} if worst else {}


def _coverage(marks: Marks, streams: Sequence[BenchmarkStream], ours: str) -> dict[str, float]:
    """Return the share of targets inside the 90 % intervals: by group of streams, and after
    events."""
    found: dict[str, float] = {}
    for key, shown in (("coverage", "coverage_90"), ("coverage_after", "coverage_90_after")):
        groups: dict[str, list[float]] = {}
        for stream in streams:
            value = marks[ours, stream.name].get(key)
            if value is not None:
                groups.setdefault(stream.group, []).append(value)
        means = {group: statistics.fmean(values) for group, values in groups.items()}
        if means:
            found[shown] = statistics.fmean(means.values())
            found |= {f"{shown}_{group}": value for group, value in means.items()}
    return found
