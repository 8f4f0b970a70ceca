"""Loads of a backbone's links while links fail, traffic finds other ways, and links are repaired.

The world of arXiv 2404.05304 (link load under failures): every pair of nodes has traffic, which
takes the shortest path; a link's load is the sum of what crosses it.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ...core import ConfigError
from .demands import DAY_STEPS, add_bursts, draw_demands
from .outages import Outage, draw_outages
from .routing import route_demands
from .topologies import TOPOLOGIES, Topology

Floats = NDArray[np.float64]
Bucket = Literal["drastic", "moderate", "none"]

STEP_S: Final = 300.0
"""Seconds between two loads."""
DRASTIC: Final = 0.5
"""Mean change of a link's load, as a share of it.  Chosen by hand, as MODERATE."""
MODERATE: Final = 0.1
"""From which shift on a link's change is called so; below MODERATE it is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkEvent:
    """Links fail or are repaired, both directions of each.

    step: the first load under the new routes.  links: the directed links concerned.  shifts
    [directed links]: for each link the mean change over the day before the event had the new routes
    been in force then, |after - before|, as a share of its load before; infinite where nothing
    flowed.  It measures level and pattern together: flows that swap count although the level stays.
    buckets: the shifts in words.  bucket: the worst among links other than those concerned.
    """

    step: int
    kind: Literal["failure", "repair"]
    links: tuple[int, ...]
    bucket: Bucket
    buckets: tuple[Bucket, ...] = field(repr=False)
    shifts: Floats = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LinkLoads:
    """loads: whole kbit/s, float64 [steps, directed links], exact; demands: the same [steps, pairs]
    of nodes; events in order; outages: what lay behind them.  The first `quiet_steps` are free of
    failures."""

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

    topology: a name of TOPOLOGIES.  seed: the traffic; schedule: the failures, drawn independently,
    so that the same traffic can be seen under several schedules.  quiet_days: days without a
    failure at the start (for training).  double_share: the share of outages in which a second link
    fails.  bursts_per_1000: how often in 1,000 steps a node sends two to four times as much for a
    step or two, which is no event.  Same arguments, same bits.  Raises ConfigError for arguments
    that make no world.  Cost: 14 days of NSFNET 0.2 s and 7 MB, of Euro28 0.8 s and 25 MB.
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
            f" {double_share} double failures, {bursts_per_1000} bursts in 1,000 steps: that makes"
            " no world",
            "give at least one day, no more quiet days than days, and a share from 0 to 1",
        )
    chosen, steps, quiet = TOPOLOGIES[topology], days * DAY_STEPS, quiet_days * DAY_STEPS
    demands = draw_demands(chosen, steps, np.random.default_rng([seed, 0]))
    add_bursts(demands, chosen, bursts_per_1000, np.random.default_rng([seed, 2]))
    random = np.random.default_rng([seed, schedule, 1])
    outages = draw_outages(chosen, quiet, steps, double_share, random)
    return _run(chosen, demands, outages, quiet)


def _run(topology: Topology, demands: Floats, outages: tuple[Outage, ...], quiet: int) -> LinkLoads:
    """Route each stretch between two changes, and describe the changes."""
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
    """Say what a change of the links that are down does to every link."""
    failed = down - before
    concerned = failed or before - down
    links = tuple(2 * link + way for link in sorted(concerned) for way in (0, 1))
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
