"""Time of one step of 30 channels including learning, ours and River's in one interleaved run."""

import statistics
import time
from collections.abc import Callable

from edge.backbone import simulate_links

from ..report import BenchmarkReport, BenchmarkRow
from .data import BenchmarkStream, Floats
from .evaluate import OURS, OWN, OwnMethod
from .river import RIVER as PEERS

CHANNELS = 30
"""Of the 42 directed links of NSFNET.  Chosen by hand."""
WARM_STEPS = 400
"""More than a day of loads (288 steps): the daily season is known."""
ROUNDS, ROUND_STEPS = 12, 25
"""Interleaved rounds; the median round counts.  Chosen by hand."""
RIVER = "River SNARIMAX"


def time_steps() -> BenchmarkReport:
    """Return the median over rounds of the time per step, the methods taking turns."""
    stream = _stream()
    steppers: dict[str, Callable[[Floats, float], object]] = {}
    for name, made in ((OURS, OwnMethod(stream, *OWN[OURS])), (RIVER, PEERS[RIVER](stream))):
        made.begin(stream.values[:WARM_STEPS], stream.elapsed_s[:WARM_STEPS])
        steppers[name] = made.step
    spent: dict[str, list[float]] = {method: [] for method in steppers}
    for turn in range(ROUNDS):
        first = WARM_STEPS + turn * ROUND_STEPS
        for method, step in steppers.items():
            begun = time.perf_counter()
            for values in stream.values[first : first + ROUND_STEPS]:
                step(values, 300.0)
            spent[method].append((time.perf_counter() - begun) / ROUND_STEPS * 1e6)
    us = {method: statistics.median(times) for method, times in spent.items()}
    rows = tuple(BenchmarkRow(method, "step_us_30_channels", value) for method, value in us.items())
    found = {"step_us_30_channels": us[OURS], "step_speedup_vs_river": us[RIVER] / us[OURS]}
    return BenchmarkReport("speed", rows, found)


def _stream() -> BenchmarkStream:
    world = simulate_links("nsfnet", seed=1, days=3, quiet_days=3)
    values = world.loads[:, :CHANNELS] / 1e3
    steps = len(values)
    scale = values[0] * 0 + 1.0
    return BenchmarkStream(
        group="speed",
        name="speed",
        values=values,
        elapsed_s=values[:, 0] * 0 + 300.0,
        start=steps,
        period=288,
        scale=scale,
    )
