"""When which links fail and are repaired."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from .routing import holds_together
from .topologies import Topology

OUTAGE_STEPS: Final = (60, 160)
"""Shortest and longest outage; drawn evenly between."""
GAP_STEPS: Final = (60, 140)
"""Shortest and longest time between a repair and the next failure."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A link (both directions) is down from step `start` until before step `stop`."""

    link: int
    start: int
    stop: int


def draw_outages(
    topology: Topology,
    start: int,
    steps: int,
    double_share: float,
    random: np.random.Generator,
) -> tuple[Outage, ...]:
    """Draw outages from step `start` on, all repaired before the last step.

    double_share: how often a second link fails too, in the same step as the first or, as often, in
    the middle of its outage; both are repaired together.  Links without which the network would
    fall apart (bridges) never fail.
    """
    found: list[Outage] = []
    at = start + _between(GAP_STEPS, random)
    while True:
        stop = at + _between(OUTAGE_STEPS, random)
        if stop >= steps:
            return tuple(found)
        first = _draw_link(topology, (), random)
        if first is None:
            return tuple(found)
        found.append(Outage(first, at, stop))
        double, together = random.random() < double_share, random.random() < 0.5
        second = _draw_link(topology, (first,), random) if double else None
        if second is not None:
            found.append(Outage(second, at if together else (at + stop) // 2, stop))
        at = stop + _between(GAP_STEPS, random)


def _between(bounds: tuple[int, int], random: np.random.Generator) -> int:
    return int(random.integers(bounds[0], bounds[1] + 1))


def _draw_link(
    topology: Topology, down: tuple[int, ...], random: np.random.Generator
) -> int | None:
    """A link that may fail beside those that are down, or None where there is none."""
    for link in random.permutation(len(topology.links)).tolist():
        if link not in down and holds_together(topology, (*down, link)):
            return int(link)
    return None
