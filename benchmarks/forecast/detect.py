"""Change detectors on simulated backbones: detected events, delays and false alarms."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.backbone import LinkLoads, simulate_links
from edge.core.drift import DETECTORS

from ..report import BenchmarkReport, BenchmarkRow
from .data import SCHEDULES

Floats = NDArray[np.float64]
Alarm = Callable[[Floats], bool]

OURS = "joint"
# An alarm at most this many steps after an event detects it; others are false.
WINDOW_STEPS = 24
BURSTS_PER_1000 = 15.0
"""Bursts that are no events: about four a day.  Chosen by hand."""
TUNED, CONFIRMED = "nsfnet", "euro28"


def detect(*, quick: bool) -> BenchmarkReport:
    """Run every detector on both networks; the summary is that of the network without tuning.

    `_hidden`: the failing links themselves are not observed, only those that traffic moves to.
    `_bursts`: with short traffic bursts as frequent as the alarms without an event on real traffic.
    """
    rows: list[BenchmarkRow] = []
    summary: dict[str, float] = {}
    for topology in (TUNED, CONFIRMED):
        seeds = range(1 if quick else SCHEDULES)
        worlds = [simulate_links(topology, seed, seed) for seed in seeds]
        restless = [
            simulate_links(topology, seed, seed, bursts_per_1000=BURSTS_PER_1000) for seed in seeds
        ]
        for name, make in _detectors().items():
            marks = _marks([_watch(world, world.loads, make) for world in worlds])
            rows += [BenchmarkRow(name, f"{topology}_{key}", value) for key, value in marks.items()]
            if (name, topology) == (OURS, CONFIRMED):
                summary = {f"detector_{key}": value for key, value in marks.items() if key != "us"}
            hidden = _marks([_watch(world, _hide(world), make) for world in worlds])
            bursts = _marks([_watch(world, world.loads, make) for world in restless])
            for what, found in (("hidden", hidden), ("bursts", bursts)):
                kept = ("recall", "false_per_1000", "delay_steps")
                rows += [BenchmarkRow(name, f"{topology}_{what}_{key}", found[key]) for key in kept]
    return BenchmarkReport("detect", tuple(rows), summary)


def _hide(world: LinkLoads) -> Floats:
    failing = sorted({link for event in world.events for link in event.links})
    return np.delete(world.loads, failing, axis=1)


def _watch(
    world: LinkLoads, loads: Floats, make: Callable[[int], Alarm]
) -> tuple[list[int | None], int, int, float]:
    """Return the delay of each event (None if missed), false alarms, steps, microseconds per
    step."""
    alarm = make(loads.shape[1])
    begun = time.perf_counter()
    steps = [at for at, values in enumerate(loads) if alarm(values)]
    us = (time.perf_counter() - begun) / len(loads) * 1e6
    events = [event.step for event in world.events]
    near = [[at - e for at in steps if e <= at <= e + WINDOW_STEPS] for e in events]
    own = {e + late for e, lates in zip(events, near, strict=True) for late in lates}
    return [min(each, default=None) for each in near], len(set(steps) - own), len(loads), us


def _marks(watched: Sequence[tuple[list[int | None], int, int, float]]) -> dict[str, float]:
    delays = [delay for each in watched for delay in each[0]]
    found = [delay for delay in delays if delay is not None]
    return {
        "recall": len(found) / len(delays),
        "false_per_1000": 1e3 * sum(each[1] for each in watched) / sum(each[2] for each in watched),
        "delay_steps": statistics.fmean(found) if found else float("nan"),
        "us": statistics.median(each[3] for each in watched),
    }


def _detectors() -> dict[str, Callable[[int], Alarm]]:
    """Return ours by their names in the table; River's on the total load, unchanged and on our
    statistic, the third largest step of a link in units of its mean step, tuned on NSFNET."""
    from river import drift as modules

    drift: Any = modules
    found = {name: _own(make) for name, make in DETECTORS.items()}
    found["plain rule"] = _plain_rule
    for name, plain, tuned in (
        ("ADWIN", drift.ADWIN, lambda: drift.ADWIN(delta=0.2, clock=1)),
        (
            "PageHinkley",
            lambda: drift.PageHinkley(delta=0.05, threshold=10),
            lambda: drift.PageHinkley(delta=1, threshold=8, min_instances=5, mode="up"),
        ),
        ("KSWIN", lambda: drift.KSWIN(seed=1), lambda: drift.KSWIN(seed=1)),
    ):
        found[f"River {name}, total"] = _river(plain, total=True)
        found[f"River {name}, third step"] = _river(tuned, total=False)
    return found


def _own(make: Callable[[int], Any]) -> Callable[[int], Alarm]:
    def begin(channels: int) -> Alarm:
        detector = make(channels)
        return lambda values: bool(detector.step(values))

    return begin


def _plain_rule(channels: int) -> Alarm:
    """The rule that `joint` developed from: three links move more than six times their running mean
    step, or one drops to zero or returns."""
    last, usual = np.full(channels, np.nan), np.full(channels, np.nan)

    def take(values: Floats) -> bool:
        steps = np.nan_to_num(np.abs(values - last))
        moved = steps > 6 * np.nan_to_num(usual, nan=np.inf)
        silent = (values < 1e-3 * last) | (last < 1e-3 * values)
        usual[:] = np.where(np.isnan(usual) & (steps > 0), steps, usual)
        usual[:] += 0.02 * (steps - usual)
        last[:] = values
        return bool(moved.sum() >= min(3, channels) or silent.any())

    return take


def _river(make: Callable[[], Any], *, total: bool) -> Callable[[int], Alarm]:
    """River's detectors take one value: the total in units of its first value, or the statistic."""

    def begin(channels: int) -> Alarm:
        detector = make()
        last = np.full(channels, np.nan)
        usual = np.full(channels, np.nan)
        first: list[float] = []

        def take(values: Floats) -> bool:
            if not first:
                first.append(float(values.sum()))
            steps = np.nan_to_num(np.abs(values - last))
            units = steps / np.maximum(np.nan_to_num(usual, nan=np.inf), 1e-9)
            usual[:] = np.where(np.isnan(usual) & (steps > 0), steps, usual)
            usual[:] += 0.02 * (np.minimum(steps, 4 * usual) - usual)
            last[:] = values
            value = values.sum() / first[0] if total else np.sort(units)[-min(3, channels)]
            detector.update(float(value))
            return bool(detector.drift_detected)

        return take

    return begin
