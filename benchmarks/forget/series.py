"""What forgetting an hour of a series costs its forecasts of the next day, on real series.

Each series is followed up to a moment.  Then an hour is forgotten, and the next day is forecast
sample by sample.  The error is compared with that of the same tracker without the forget, and with
that of a tracker that starts again, as every tracker did before samples were kept.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.core import Config, Observation, Selector, SeriesForecast, SeriesForgotten
from edge.core.forecasting import SeriesTracker, WaitingSamples
from edge.storage import shipped_weights

from ..report import BenchmarkReport, BenchmarkRow

Floats = NDArray[np.float64]

BEGIN_NS: Final = 10**18
"""Time of the first sample: any will do."""
HOUR_S, DAY_S = 3_600, 86_400
"""Seconds: what is forgotten, and what is forecast afterwards."""
TUNED: Final = "ELEC2 demand"
"""The series on which `limits.SERIES_PART_SAMPLES` was chosen; the others confirm it."""
ROWS_MAX, LONG_ROWS_MAX = 2_500, 7_000
"""Samples followed at most: more than a part, and more than a full buffer keeps, so that the oldest
ones are lost.  Seven weeks of half-hourly samples, and a month of five-minute ones."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RealSeries:
    """values: float64 [steps, channels].  step_s: seconds between two samples.  rows_max: samples
    followed at most."""

    name: str
    values: Floats = field(repr=False)
    step_s: int
    rows_max: int = ROWS_MAX

    @property
    def day(self) -> int:
        """Samples of a day."""
        return max(1, DAY_S // self.step_s)

    @property
    def hour(self) -> int:
        """Samples of an hour."""
        return max(1, HOUR_S // self.step_s)

    @property
    def followed(self) -> int:
        """Samples before the forget request."""
        return min(self.rows_max, len(self.values) - 2 * self.day)

    def event(self, number: int) -> Observation:
        """Return a sample as it arrives."""
        return Observation(
            stream="load",
            sequence=number,
            captured_at_ns=BEGIN_NS + number * self.step_s * 10**9,
            payload=self.values[number],
            kind="series",
        )

    def selector(self, first: int) -> Selector:
        """Select the hour that begins with a sample."""
        begin = BEGIN_NS + first * self.step_s * 10**9
        return Selector(stream="load", from_ns=begin, until_ns=begin + HOUR_S * 10**9)


def real_series(data: Path) -> Iterator[RealSeries]:
    """Yield the series in a folder of data files."""
    if (path := data / "elec2.npz").exists():
        values = np.load(path)["values"].astype(float)[20_000:]
        yield RealSeries(name=TUNED, values=values[:, 2:3], step_s=1_800, rows_max=LONG_ROWS_MAX)
        yield RealSeries(name="ELEC2 prices and demands", values=values[:, 1:5], step_s=1_800)
    if (path := data / "ETTh1.npz").exists():
        values = np.load(path)["values"].astype(float)
        yield RealSeries(name="ETTh1, 7 channels", values=values, step_s=3_600)
        yield RealSeries(
            name="ETTh1 oil temperature",
            values=values[8_000:, 6:],
            step_s=3_600,
            rows_max=LONG_ROWS_MAX,
        )
    if (path := data / "isp_link_traffic_hourly_2005.npz").exists():
        yield RealSeries(
            name="ISP link", values=np.load(path)["bits"].astype(float)[:, None], step_s=3_600
        )
    if (path := data / "nab_real.npz").exists():
        with np.load(path) as found:
            for name, step_s in (
                ("realKnownCause__machine_temperature_system_failure", 300),
                ("realKnownCause__nyc_taxi", 1_800),
                ("realAWSCloudwatch__ec2_cpu_utilization_53ea38", 300),
            ):
                if f"{name}__v" in found:
                    values = found[f"{name}__v"].astype(float)[:, None]
                    yield RealSeries(
                        name=f"NAB {name.split('__')[1]}", values=values, step_s=step_s
                    )


def moments(series: RealSeries, kept: int) -> dict[str, int]:
    """Return the first samples of the hours to forget.  kept: samples that the tracker keeps."""
    end = series.followed
    found = {
        "the last hour": end - series.hour,
        "an hour a day ago": end - series.day,
        "an hour a week ago": end - 7 * series.day,
        "the oldest hour kept": end - kept,
    }
    if kept < end:
        found["an hour not kept"] = end - kept - series.day
    return {name: first for name, first in found.items() if 0 <= first < end}


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetCost:
    """The cost of forgetting an hour.  ratio: error of the next day over that without the forget.
    dropped: the same of a tracker that starts again.  cpu_s: of processing samples again."""

    series: str
    moment: str
    outcome: SeriesForgotten
    ratio: float
    dropped: float
    cpu_s: float


def costs(series: RealSeries) -> Iterator[ForgetCost]:
    """Yield the cost of forgetting each hour of a series."""
    followed = SeriesTracker(Config(), shipped_weights())
    for number in range(series.followed):
        list(followed.process(series.event(number)))
    (saved,) = followed.saved()
    kept = next_day(_copy(followed), series)
    dropped = next_day(SeriesTracker(Config(), shipped_weights()), series) / kept
    for moment, first in moments(series, saved.buffer.samples).items():
        tracker = _copy(followed)
        (outcome,) = tracker.forget(series.selector(first))
        begun = time.process_time()
        tracker.finish_replay()
        cpu_s = time.process_time() - begun
        yield ForgetCost(
            series=series.name,
            moment=moment,
            outcome=outcome,
            ratio=next_day(tracker, series) / kept,
            dropped=dropped,
            cpu_s=cpu_s,
        )


def _copy(tracker: SeriesTracker) -> SeriesTracker:
    """Return a tracker that continues from the same state."""
    made = SeriesTracker(Config(), shipped_weights())
    for one in tracker.saved():
        buffer = copy.deepcopy(one.buffer)
        made.restore({one.name: one.state}, {one.name: (buffer, WaitingSamples(()))})
    return made


def next_day(tracker: SeriesTracker, series: RealSeries) -> float:
    """Return the mean absolute error of the forecasts of the next day, each channel in units of its
    mean movement, over all horizons.  A missing forecast counts as the last value."""
    scale = np.abs(np.diff(series.values[: series.followed], axis=0)).mean(0) + 1e-12
    errors = []
    for number in range(series.followed, series.followed + series.day):
        for one in tracker.process(series.event(number)):
            if isinstance(one, SeriesForecast):
                point = np.array(one.point)
                truth = series.values[[number + ahead for ahead in one.horizons]]
                known = np.where(np.isfinite(point), point, series.values[number])
                errors.append(float((np.abs(known - truth) / scale).mean()))
    return mean(errors)


def checkpoint_costs(series: RealSeries) -> Iterator[BenchmarkRow]:
    """Yield what keeping samples and states costs: processor time and bytes."""
    tracker = SeriesTracker(Config(), shipped_weights())
    begun, steps = time.process_time(), 1_000
    for number in range(steps):
        list(tracker.process(series.event(number)))
    step_s = (time.process_time() - begun) / steps
    begun, repeats = time.process_time(), 20
    for _ in range(repeats):
        tracker.state()
    state_s = (time.process_time() - begun) / repeats
    (saved,) = tracker.saved()
    state = sum(array.nbytes for array in saved.state.values())
    sample = saved.buffer.parts[0].samples.nbytes / steps
    yield BenchmarkRow(series.name, "ms of a sample", step_s * 1e3)
    yield BenchmarkRow(series.name, "ms of a kept state", state_s * 1e3)
    yield BenchmarkRow(series.name, "bytes of a kept state", state)
    yield BenchmarkRow(series.name, "bytes of a kept sample", sample)


def run(data: Path | None, *, quick: bool = False) -> BenchmarkReport:
    """Measure all series, about four minutes.  quick: the first two.  The summary's ratio is the
    worst of all hours that are kept, or not."""
    rows, ratios = [], [0.0]
    found = list(real_series(data)) if data is not None else []
    for series in found[:2] if quick else found:
        for one in costs(series):
            ratios.append(one.ratio)
            what = f"{one.moment} ({one.outcome.outcome})"
            rows += [
                BenchmarkRow(one.series, f"{what}: error of the next day, ratio", one.ratio),
                BenchmarkRow(one.series, f"{what}: ratio, started again", one.dropped),
                BenchmarkRow(one.series, f"{what}: processor seconds", one.cpu_s),
            ]
        rows += checkpoint_costs(series)
    notes = () if found else ("without data: no series",)
    return BenchmarkReport("series", tuple(rows), {"series_mae_ratio": max(ratios)}, notes)
