"""The streams of the forecasting benchmark, with the part of each that is for learning only."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.backbone import STEP_S, simulate_links

Floats = NDArray[np.float64]

SCHEDULES = 3
"""Schedules of failures for each topology, for a mean and a range."""
NAB_ROWS_MAX = 6_000
"""Bounds the run time of the longest series."""
NAB_TRAINING = 0.25
"""Share used for learning alone; NAB's own is 15 % (Lavin and Ahmad 2015).  Chosen by hand."""
NAB_SAMPLE = 8
"""One series in eight runs with the heavy methods, too."""
# Held out while forecasters and detectors were designed.
ASIDE = ("isp", "nab/realKnownCause")
ETTH1_ROWS = (8_640, 14_400)
"""Rows for learning, and the end: 12 and 20 months, the split of Informer (Zhou et al. 2021)."""
ELEC2_ROWS = (8_924, 16_924, 22_924)
"""First row, start of scoring, end: around the day on which Victoria joins the market."""
ELEC2_JOIN = 17_424
"""The first row with measured values for Victoria (May 1997)."""
ELEC2_COLUMNS = ("nswprice", "nswdemand", "vicprice", "vicdemand", "transfer")
ELEC2_SCORED = 2
"""The first columns, of New South Wales, are scored."""
ISP_TRAINING = 0.6
"""Chosen by hand before any method was run on it; effect not measured."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BenchmarkStream:
    """values [steps, channels], scored from `start` on; earlier values are for learning.

    elapsed_s [steps]: seconds since the previous sample.  period: steps of a season.  events: first
    steps under new conditions.  scale [channels]: divisor of errors; channels with scale 0 are
    inputs only. sample: whether the slowest peers also run on it.
    """

    group: str
    name: str
    values: Floats = field(repr=False)
    elapsed_s: Floats = field(repr=False)
    start: int
    period: int
    scale: Floats = field(repr=False)
    events: tuple[int, ...] = ()
    sample: bool = True


def load_streams(data: Path | None, *, quick: bool) -> tuple[list[BenchmarkStream], list[str]]:
    """Load all available streams, and a note for each that is missing.

    quick: one schedule of failures, and every fourth of NAB's series.
    """
    schedules = range(1 if quick else SCHEDULES)
    found = [_links(name, n) for name in ("nsfnet", "euro28") for n in schedules]
    notes: list[str] = []
    for file, load in (
        ("ETTh1.npz", _etth1),
        ("elec2.npz", _elec2),
        ("isp_link_traffic_hourly_2005.npz", _isp),
        ("nab_real.npz", _nab),
    ):
        path = None if data is None else data / file
        if path is None or not path.exists():
            notes.append(f"{file} is not in the data folder: its streams are left out")
            continue
        with np.load(path, allow_pickle=False) as arrays:
            loaded = load({name: arrays[name] for name in arrays.files})
        found += loaded[::4] if quick and load is _nab else loaded
    return found, notes


def _links(topology: str, schedule: int) -> BenchmarkStream:
    world = simulate_links(topology, seed=0, schedule=schedule)
    # Mbit/s: the mean error is a mean over links.
    values = world.loads / 1e3
    scale = np.ones(values.shape[1])
    events = tuple(event.step for event in world.events)
    elapsed = np.full(len(values), STEP_S)
    name, first = f"{topology}/{schedule}", schedule == 0
    return BenchmarkStream(
        group=topology,
        name=name,
        values=values,
        elapsed_s=elapsed,
        start=world.quiet_steps,
        period=288,
        scale=scale,
        events=events,
        sample=first,
    )


def _etth1(arrays: dict[str, NDArray[np.generic]]) -> list[BenchmarkStream]:
    start, stop = ETTH1_ROWS
    values = arrays["values"][:stop].astype(np.float64)
    scale = values[:start].std(axis=0)
    return [
        BenchmarkStream(
            group="etth1",
            name="etth1",
            values=values,
            elapsed_s=np.full(stop, 3600.0),
            start=start,
            period=24,
            scale=scale,
        )
    ]


def _elec2(arrays: dict[str, NDArray[np.generic]]) -> list[BenchmarkStream]:
    first, start, stop = ELEC2_ROWS
    columns = [list(arrays["columns"]).index(name) for name in ELEC2_COLUMNS]
    values = arrays["values"][first:stop, columns].astype(np.float64)
    start -= first
    # Victoria's columns are constant until it joins the market: they have no scale.
    scale = values[:start].std(axis=0)
    scale[ELEC2_SCORED:] = 0.0
    elapsed = np.full(len(values), 1800.0)
    return [
        BenchmarkStream(
            group="elec2",
            name="elec2",
            values=values,
            elapsed_s=elapsed,
            start=start,
            period=48,
            scale=scale,
            events=(ELEC2_JOIN - first,),
        )
    ]


def _isp(arrays: dict[str, NDArray[np.generic]]) -> list[BenchmarkStream]:
    values = arrays["bits"].astype(np.float64)[:, None]
    start = int(ISP_TRAINING * len(values))
    scale = values[:start].std(axis=0)
    return [
        BenchmarkStream(
            group="isp",
            name="isp",
            values=values,
            elapsed_s=np.full(len(values), 3600.0),
            start=start,
            period=24,
            scale=scale,
        )
    ]


def _nab(arrays: dict[str, NDArray[np.generic]]) -> list[BenchmarkStream]:
    names = sorted(name[:-3] for name in arrays if name.endswith("__v"))
    return [
        _nab_series(name, arrays[f"{name}__v"], arrays[f"{name}__t"], sample=not at % NAB_SAMPLE)
        for at, name in enumerate(names)
    ]


def _nab_series(
    name: str, values: NDArray[np.generic], times: NDArray[np.generic], *, sample: bool
) -> BenchmarkStream:
    values = values[:NAB_ROWS_MAX].astype(np.float64)[:, None]
    times = times[:NAB_ROWS_MAX].astype(np.float64)
    step_s = float(np.median(np.diff(times)))
    elapsed = np.maximum(np.diff(times, prepend=times[0] - step_s), 0.0)
    start = int(NAB_TRAINING * len(values))
    # Errors of a series are relative to those of its last value, so any scale will do.
    scale = np.ones(1)
    period = round(86_400 / step_s)
    name = f"nab/{name.replace('__', '/')}"
    return BenchmarkStream(
        group="nab",
        name=name,
        values=values,
        elapsed_s=elapsed,
        start=start,
        period=period,
        scale=scale,
        events=(),
        sample=sample,
    )
