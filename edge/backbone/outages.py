"""Random link failures and repairs."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from .routing import is_connected
from .topologies import Topology

OUTAGE_STEPS: Final = (60, 160)
"""Shortest and longest outage, five to thirteen hours; uniform in between.  Chosen by hand."""
GAP_STEPS: Final = (60, 140)
"""Shortest and longest time from a repair to the next failure.  Chosen by hand."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A link (both directions) is down for the steps `start` <= step < `stop`."""

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

    double_share: probability that a second link fails, too: in the same step as the first or, with
    the same probability, in the middle of its outage; both are repaired together.  Bridges, links
    whose failure would partition the network, never fail.
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
    """Return a link that may fail in addition to those that are down, or None."""
    for link in random.permutation(len(topology.links)).tolist():
        if link not in down and is_connected(topology, (*down, link)):
            return int(link)
    return None
