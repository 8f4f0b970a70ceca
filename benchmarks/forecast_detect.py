"""Detectors of change on simulated backbones: what is found, how late, and what is made up."""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.core.drift import DETECTORS
from edge.sim.links import LinkLoads, simulate_links

from .forecast_data import SCHEDULES
from .report import Report, Row

Floats = NDArray[np.float64]
Alarm = Callable[[Floats], bool]

OURS = "joint"
# An alarm this many steps after an event at most is its alarm; any other is a false one.
WINDOW_STEPS = 24
TUNED, CONFIRMED = "nsfnet", "euro28"


def detect(*, quick: bool) -> Report:
    """Every detector on both networks; the summary is of the one that nothing was tuned on.

    `_hidden`: the failing links themselves are not shown, only those that traffic moves to.
    """
    rows: list[Row] = []
    summary: dict[str, float] = {}
    for topology in (TUNED, CONFIRMED):
        seeds = range(1 if quick else SCHEDULES)
        worlds = [simulate_links(topology, seed, seed) for seed in seeds]
        for name, make in _detectors().items():
            marks = _marks([_watch(world, world.loads, make) for world in worlds])
            rows += [Row(name, f"{topology}_{key}", value) for key, value in marks.items()]
            if (name, topology) == (OURS, CONFIRMED):
                summary = {f"detector_{key}": value for key, value in marks.items() if key != "us"}
            hidden = _marks([_watch(world, _hide(world), make) for world in worlds])
            kept = ("recall", "false_per_1000")
            rows += [Row(name, f"{topology}_hidden_{key}", hidden[key]) for key in kept]
    return Report("detect", tuple(rows), summary)


def _hide(world: LinkLoads) -> Floats:
    failing = sorted({link for event in world.events for link in event.links})
    return np.delete(world.loads, failing, axis=1)


def _watch(
    world: LinkLoads, loads: Floats, make: Callable[[int], Alarm]
) -> tuple[list[int | None], int, int, float]:
    """Delay of each event (None where it is missed), false alarms, steps, microseconds a step."""
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
    """Ours by their names in the table, and River's on the total load and on each link."""
    from river import drift as modules

    drift: Any = modules
    kinds: Iterable[tuple[str, Callable[[], Any]]] = (
        ("ADWIN", lambda: drift.ADWIN(clock=1)),
        ("PageHinkley", lambda: drift.PageHinkley(delta=0.05, threshold=10)),
        ("KSWIN", lambda: drift.KSWIN(seed=1)),
    )
    found = {name: _own(make) for name, make in DETECTORS.items()}
    for name, make in kinds:
        found[f"River {name}, total"] = _river(make, total=True)
        if name != "KSWIN":
            # KSWIN on each of 82 links takes minutes, and alarms in most steps.
            found[f"River {name}, links"] = _river(make, total=False)
    return found


def _own(make: Callable[[int], Any]) -> Callable[[int], Alarm]:
    def begin(channels: int) -> Alarm:
        detector = make(channels)
        return lambda values: bool(detector.step(values))

    return begin


def _river(make: Callable[[], Any], *, total: bool) -> Callable[[int], Alarm]:
    """River's detectors take one value: steps in units of their running mean size, as ours do."""

    def begin(channels: int) -> Alarm:
        detectors = [make() for _ in range(1 if total else channels)]
        last: list[Floats] = []
        sizes = np.full(len(detectors), np.nan)

        def take(values: Floats) -> bool:
            level = values.sum(keepdims=True) if total else values
            change = level - (last[-1] if last else level)
            last[:] = [level.copy()]
            sizes[:] = np.where(np.isnan(sizes), np.abs(change), sizes)
            units = change / np.maximum(sizes, 1e-9)
            sizes[:] += 0.02 * (np.minimum(np.abs(change), 4 * sizes + 1e-9) - sizes)
            alarms = []
            for detector, unit in zip(detectors, units, strict=True):
                detector.update(float(unit))
                alarms.append(detector.drift_detected)
            return any(alarms)

        return take

    return begin
