"""Traffic between pairs of nodes: a gravity model with daily and weekly seasons and noise.

The sums of sines follow arXiv 2404.05304 (section on the simulator); gravity, weekends and noise
follow measured backbones (Roughan 2005, "Simplifying the synthesis of Internet traffic
matrices", ACM CCR 35(5)).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .topologies import Topology

Floats = NDArray[np.float64]

DAY_STEPS: Final = 288
"""Five-minute steps in a day."""
MEAN_KBIT_S: Final = 20_000
"""Mean traffic of a pair of nodes.  Chosen by hand; forecasts do not depend on the scale."""

_MASS_SPREAD = 0.7
"""Sigma of the log-normal node masses of the gravity model.  Chosen by hand."""
_PERIODS_H = (24.0, 12.0, 8.0)
"""A day and its first two harmonics."""
_AMPLITUDES = (0.35, 0.12, 0.06)
"""Of each period, as a share of the mean.  Chosen by hand."""
_AMPLITUDE_SPREAD = 0.25
"""Pairs of nodes differ by up to a quarter.  Chosen by hand."""
_PEAK_H = 15.0
"""Local time of the peak: the afternoon.  Chosen by hand."""
_PHASE_SPREAD_H = 1.0
"""Standard deviation of the peak's hour between pairs.  Chosen by hand."""
_WEEKEND = 0.75
"""Weekend traffic as a share of a weekday's.  Chosen by hand."""
# Day of the week (0: start of Monday), and the share of weekend traffic at that time.
_WEEKEND_SHARE = ((0.0, 0.125, 4.875, 5.125, 6.875, 7.0), (0.5, 0.0, 0.0, 1.0, 1.0, 0.5))
_PERSISTENCE = 0.9
"""Lag-one correlation of the slow noise: it halves in about 33 minutes.  Chosen by hand."""
_SLOW_NOISE = 0.06
"""Standard deviation, as a share of the mean.  Chosen by hand."""
_FAST_NOISE = 0.05
"""Standard deviation, as a share of the mean.  Chosen by hand."""
_FLOOR = 0.02
"""Lowest traffic as a share of the mean: noise never makes it negative."""


def draw_demands(topology: Topology, steps: int, random: np.random.Generator) -> Floats:
    """Draw the traffic of every ordered pair of nodes at every step.

    Returns whole kbit/s as float64 [steps, pairs], pairs as in `route_demands`; their sums are
    exact, so that equal routes give bit-identical loads.  The first step is midnight UTC
    of a Monday.
    """
    count = len(topology.nodes)
    source, target = np.nonzero(~np.eye(count, dtype=bool))
    masses = random.lognormal(0.0, _MASS_SPREAD, count)
    base = masses[source] * masses[target]
    base *= MEAN_KBIT_S / base.mean()
    zones_h = np.asarray(topology.zones_h, np.float64)
    zone_h = (zones_h[source] + zones_h[target]) / 2
    hours = np.arange(steps)[:, None] * (24.0 / DAY_STEPS) + zone_h
    shape = _daily(hours, random) * _weekly(hours) * _noise(steps, len(base), random)
    demands: Floats = np.rint(base * np.maximum(shape, _FLOOR))
    return demands


def add_bursts(
    demands: Floats, topology: Topology, per_1000: float, random: np.random.Generator
) -> None:
    """Add bursts in place: a node sends two to four times as much for one or two steps, `per_1000`
    times in 1,000 steps.  Bursts are not events: no route changes."""
    count = len(topology.nodes)
    steps = len(demands)
    source = np.nonzero(~np.eye(count, dtype=bool))[0]
    for at in np.flatnonzero(random.random(steps) < per_1000 / 1e3).tolist():
        stop = at + int(random.integers(1, 3))
        node, factor = int(random.integers(count)), random.uniform(2.0, 4.0)
        rows = demands[at:stop, source == node]
        demands[at:stop, source == node] = np.rint(factor * rows)


def _daily(hours: Floats, random: np.random.Generator) -> Floats:
    """Return one plus three cosines; the first peaks in the afternoon, by local time."""
    pairs = hours.shape[1]
    shape = np.ones_like(hours)
    for period_h, amplitude in zip(_PERIODS_H, _AMPLITUDES, strict=True):
        size = amplitude * random.uniform(1 - _AMPLITUDE_SPREAD, 1 + _AMPLITUDE_SPREAD, pairs)
        peak_h = _PEAK_H + random.normal(0.0, _PHASE_SPREAD_H, pairs)
        shape += size * np.cos((2 * np.pi / period_h) * (hours - peak_h))
    return shape


def _weekly(hours: Floats) -> Floats:
    """Return the weekend factor, with ramps of some hours around midnight."""
    share = np.interp(hours / 24.0 % 7.0, *_WEEKEND_SHARE)
    return 1.0 - (1.0 - _WEEKEND) * share


def _noise(steps: int, pairs: int, random: np.random.Generator) -> Floats:
    """Return slow AR(1) noise plus fast white noise, around one."""
    shocks = random.normal(0.0, _SLOW_NOISE * np.sqrt(1 - _PERSISTENCE**2), (steps, pairs))
    shocks[0] = random.normal(0.0, _SLOW_NOISE, pairs)
    for step in range(1, steps):
        shocks[step] += _PERSISTENCE * shocks[step - 1]
    return 1.0 + shocks + random.normal(0.0, _FAST_NOISE, (steps, pairs))
