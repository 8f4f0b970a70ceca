"""Metrics of one method on one stream: prequential errors, before and after events."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.sim import steps_to_convergence

from .data import BenchmarkStream

Floats = NDArray[np.float64]

HORIZONS = (1, 6, 12)
"""Steps ahead: five minutes, half an hour and an hour on simulated loads."""
AFTER = (1, 5, 20, 100)
"""Steps after an event that errors are averaged over; 100 is the cap of `steps_to_convergence`."""
# The part of a stream for slow methods: steps after its start, and channels.
PART_STEPS = 480
PART_CHANNELS = 4
"""Bounds the run time of methods that need seconds a step."""


def part_channels(stream: BenchmarkStream) -> list[int]:
    """Return the channels of the bounded part: at most four, spread over the scored ones."""
    scored = np.flatnonzero(stream.scale > 0)
    count = min(PART_CHANNELS, len(scored))
    return [int(scored[at]) for at in np.linspace(0, len(scored) - 1, count).astype(int)]


def score(
    stream: BenchmarkStream, points: Floats, lows: Floats | None = None, highs: Floats | None = None
) -> dict[str, Any]:
    """Score the forecasts of every step: points [steps, horizons, channels].

    Missing forecasts count as the last value.  Errors are divided by the stream's scale and
    averaged over channels.  `mae`, `rmse`: by horizon; `part`: `mae` on the bounded part; `after`:
    for each count of steps the mean over events of the errors of forecasts issued within that many
    steps from the first sample under new conditions, for targets before the next event;
    `convergence`: mean steps, by horizon; `coverage`, `coverage_after` (100 steps) and `width` (in
    scales), if the method has intervals.
    """
    truth = stream.values
    scored = stream.scale > 0
    marks: dict[str, Any] = {"mae": [], "rmse": [], "part": [], "after": [], "convergence": []}
    chosen = np.isin(np.flatnonzero(scored), part_channels(stream))
    for place, ahead in enumerate(HORIZONS):
        origins = np.arange(stream.start, len(truth) - ahead)
        wanted = truth[origins + ahead][:, scored]
        given = points[origins, place][:, scored]
        given = np.where(np.isfinite(given), given, _held(truth[:, scored])[origins])
        errors = np.abs(given - wanted) / stream.scale[scored]
        marks["mae"].append(float(np.nanmean(errors)))
        marks["rmse"].append(float(np.sqrt(np.nanmean(errors**2))))
        marks["part"].append(float(np.nanmean(errors[:PART_STEPS, chosen])))
        marks["after"].append(_after(stream, np.nanmean(errors, axis=1), ahead))
        marks["convergence"].append(_convergence(stream, np.nanmean(errors, axis=1), ahead))
    if lows is not None and highs is not None:
        marks |= _intervals(stream, lows, highs)
    return marks


def _held(values: Floats) -> Floats:
    """Return each channel's latest value at each step."""
    rows = np.where(np.isfinite(values), np.arange(len(values))[:, None], 0)
    held: Floats = np.take_along_axis(values, np.maximum.accumulate(rows, axis=0), axis=0)
    return held


def _ends(stream: BenchmarkStream) -> list[tuple[int, int]]:
    """Return each scored event, with the step of the next one."""
    stops = [*stream.events[1:], len(stream.values)]
    return [pair for pair in zip(stream.events, stops, strict=False) if pair[0] >= stream.start]


def _after(stream: BenchmarkStream, errors: Floats, ahead: int) -> list[float | None]:
    found: list[float | None] = []
    for steps in AFTER:
        stretches = [
            errors[event - stream.start : min(event + steps, stop - ahead) - stream.start]
            for event, stop in _ends(stream)
        ]
        means = [float(np.nanmean(stretch)) for stretch in stretches if len(stretch)]
        found.append(float(np.mean(means)) if means else None)
    return found


def _convergence(stream: BenchmarkStream, errors: Floats, ahead: int) -> float | None:
    """Return the mean steps until errors are as before an event, for forecasts without an event
    before their target."""
    errors = errors.copy()
    for event in stream.events:
        errors[max(0, event - ahead - stream.start) : max(0, event - stream.start)] = np.nan
    counts = [
        steps_to_convergence(errors, event - stream.start, stop - ahead - stream.start)
        for event, stop in _ends(stream)
    ]
    known = [count for count in counts if count is not None]
    return float(np.mean(known)) if known else None


def _intervals(stream: BenchmarkStream, lows: Floats, highs: Floats) -> Mapping[str, Any]:
    truth, scored = stream.values, stream.scale > 0
    inside: list[Floats] = []
    near: list[Floats] = []
    widths: list[float] = []
    for place, ahead in enumerate(HORIZONS):
        origins = np.arange(stream.start, len(truth) - ahead)
        low, high = (each[origins, place][:, scored] for each in (lows, highs))
        wanted = truth[origins + ahead][:, scored]
        hit = np.where(np.isfinite(wanted), (wanted >= low) & (wanted <= high), np.nan)
        inside.append(hit.ravel())
        widths.append(float(np.nanmean((high - low) / stream.scale[scored])))
        for event, stop in _ends(stream):
            first = event - stream.start
            near.append(hit[first : min(first + 100, stop - ahead - stream.start)].ravel())
    after = np.concatenate(near) if near else np.empty(0)
    return {
        "coverage": float(np.nanmean(np.concatenate(inside))),
        "coverage_after": float(np.nanmean(after)) if len(after) else None,
        "width": widths,
    }
