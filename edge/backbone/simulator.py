"""Link loads of a backbone under failures, rerouting and repairs.

The simulator of arXiv 2404.05304 (link load under failures): every pair of nodes has traffic, which
takes the shortest path; a link's load is the sum of the traffic on it.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ..core import ConfigError
from .demands import DAY_STEPS, add_bursts, draw_demands
from .outages import Outage, draw_outages
from .routing import route_demands
from .topologies import TOPOLOGIES, Topology

Floats = NDArray[np.float64]
Bucket = Literal["drastic", "moderate", "none"]

STEP_S: Final = 300.0
"""Seconds between two loads: five minutes, the usual interval of SNMP counters."""
DRASTIC: Final = 0.5
"""Mean change of a link's load, as a share of it.  Chosen by hand, as MODERATE."""
MODERATE: Final = 0.1
"""Smallest shift in the bucket "moderate"; below it is "none".  Chosen by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkEvent:
    """Links fail or are repaired, both directions of each.

    step: the first load under the new routes.  links: the directed links that fail or return.
    shifts [directed links]: the mean absolute difference between the loads of the day before under
    the new and the old routes, as a share of the old mean; infinite if that is zero.  It measures
    level and pattern together: flows that swap links count even if the level stays.  buckets: the
    class of each shift.  bucket: the worst class among the other links.
    """

    step: int
    kind: Literal["failure", "repair"]
    links: tuple[int, ...]
    bucket: Bucket
    buckets: tuple[Bucket, ...] = field(repr=False)
    shifts: Floats = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LinkLoads:
    """Simulated loads.  loads: whole kbit/s, float64 [steps, directed links], exact; demands: the
    same [steps, pairs of nodes]; events in order; outages: their causes.  The first `quiet_steps`
    are free of failures."""

    topology: Topology
    loads: Floats = field(repr=False)
    demands: Floats = field(repr=False)
    events: tuple[LinkEvent, ...]
    outages: tuple[Outage, ...]
    quiet_steps: int


def simulate_links(
    topology: str = "nsfnet",
    seed: int = 0,
    schedule: int = 0,
    days: int = 14,
    quiet_days: int = 7,
    double_share: float = 0.25,
    bursts_per_1000: float = 0.0,
) -> LinkLoads:
    """Simulate the loads of a backbone, one every five minutes.

    topology: a name of TOPOLOGIES.  seed: of the traffic; schedule: seed of the failures, drawn
    independently, so that the same traffic can run under several schedules.  quiet_days: days
    without a failure at the start, for training.  double_share: share of outages in which a second
    link fails.  bursts_per_1000: bursts in 1,000 steps (see `add_bursts`).  The same arguments give
    bit-identical loads.  Raises ConfigError for invalid arguments.  Cost: 14 days of NSFNET 0.2 s
    and 7 MB, of Euro28 0.8 s and 25 MB.
    """
    if topology not in TOPOLOGIES:
        raise ConfigError(
            f"simulating link loads: there is no topology {topology!r}",
            f"known: {', '.join(sorted(TOPOLOGIES))}",
        )
    shares = 0.0 <= double_share <= 1.0 and 0.0 <= bursts_per_1000 <= 1e3
    if not 0 <= quiet_days <= days or days < 1 or not shares:
        raise ConfigError(
            f"simulating link loads over {days} days, {quiet_days} of them quiet, a share of"
            f" {double_share} double failures, {bursts_per_1000} bursts in 1,000 steps: out of"
            " range",
            "give at least one day, no more quiet days than days, and a share from 0 to 1",
        )
    chosen, steps, quiet = TOPOLOGIES[topology], days * DAY_STEPS, quiet_days * DAY_STEPS
    demands = draw_demands(chosen, steps, np.random.default_rng([seed, 0]))
    add_bursts(demands, chosen, bursts_per_1000, np.random.default_rng([seed, 2]))
    random = np.random.default_rng([seed, schedule, 1])
    outages = draw_outages(chosen, quiet, steps, double_share, random)
    return _run(chosen, demands, outages, quiet)


def _run(topology: Topology, demands: Floats, outages: tuple[Outage, ...], quiet: int) -> LinkLoads:
    """Route the demands between each two changes, and describe the changes."""
    routes: dict[frozenset[int], Floats] = {}
    changes = sorted({step for one in outages for step in (one.start, one.stop)})
    loads = np.empty((len(demands), 2 * len(topology.links)))
    events, before = [], frozenset[int]()
    for start, stop in zip([0, *changes], [*changes, len(demands)], strict=True):
        down = frozenset(one.link for one in outages if one.start <= start < one.stop)
        if down not in routes:
            routes[down] = route_demands(topology, down)
        np.matmul(demands[start:stop], routes[down], out=loads[start:stop])
        if start:
            past = demands[max(0, start - DAY_STEPS) : start]
            events.append(_describe(start, before, down, past, (routes[before], routes[down])))
        before = down
    return LinkLoads(
        topology=topology,
        loads=loads,
        demands=demands,
        events=tuple(events),
        outages=outages,
        quiet_steps=quiet,
    )


def _describe(
    step: int,
    before: frozenset[int],
    down: frozenset[int],
    past: Floats,
    routes: tuple[Floats, Floats],
) -> LinkEvent:
    """Return the event of a change of failed links, with its effect on every link."""
    failed = down - before
    changed = failed or before - down
    links = tuple(2 * link + way for link in sorted(changed) for way in (0, 1))
    old, new = past @ routes[0], past @ routes[1]
    moved, level = np.abs(new - old).mean(axis=0), old.mean(axis=0)
    shifts = np.divide(moved, level, out=np.full(len(level), np.inf), where=level > 0)
    shifts[moved == 0] = 0.0
    others = np.delete(shifts, links)
    buckets = tuple(_bucket(float(shift)) for shift in shifts)
    bucket = _bucket(float(others.max(initial=0.0)))
    return LinkEvent(
        step=step,
        kind="failure" if failed else "repair",
        links=links,
        bucket=bucket,
        buckets=buckets,
        shifts=shifts,
    )


def _bucket(shift: float) -> Bucket:
    if shift >= DRASTIC:
        return "drastic"
    return "moderate" if shift >= MODERATE else "none"
