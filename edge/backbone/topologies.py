"""Simulated backbones: nodes, time zones and link lengths."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Topology:
    """Nodes with their time zones (hours east of UTC), and links as (node, node, km), u < v.

    A link is two directed ones: link i is the directed links 2 i (u to v) and 2 i + 1 (v to u).
    """

    name: str
    nodes: tuple[str, ...]
    zones_h: tuple[int, ...]
    links: tuple[tuple[int, int, int], ...]

    @property
    def directed(self) -> tuple[tuple[int, int], ...]:
        """The directed links (from, to), in the order of the columns of loads."""
        return tuple(pair for u, v, _ in self.links for pair in ((u, v), (v, u)))

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the directed links, such as "Athens-Rome"."""
        return tuple(f"{self.nodes[u]}-{self.nodes[v]}" for u, v in self.directed)


# SNDlib nobel-eu (Orlowski et al. 2010, "SNDlib 1.0", Networks 55(3)); km along great circles.
_EURO28_NODES = (
    "Amsterdam Athens Barcelona Belgrade Berlin Bordeaux Brussels Budapest Copenhagen Dublin"
    " Frankfurt Glasgow Hamburg London Lyon Madrid Milan Munich Oslo Paris Prague Rome Stockholm"
    " Strasbourg Vienna Warsaw Zagreb Zurich"
)
_EURO28_WEST = {"Dublin": 0, "Glasgow": 0, "London": 0, "Athens": 2}
_EURO28_LINKS = (
    "0-6:191 0-11:677 0-12:390 0-13:331 1-3:811 1-21:1050 2-14:507 2-15:475 3-7:328 3-26:385"
    " 4-8:350 4-12:244 4-17:490 4-20:263 4-25:503 5-15:537 5-19:486 6-10:301 6-19:263 7-20:465"
    " 7-25:551 8-18:473 9-11:286 9-13:465 10-12:379 10-17:309 10-23:203 13-19:350 14-19:384"
    " 14-27:355 16-17:354 16-21:490 16-27:224 17-24:363 18-22:431 19-23:388 20-24:257 21-26:513"
    " 22-25:800 23-27:142 24-26:298"
)
# The T1 backbone of the National Science Foundation's network, 14 nodes and 21 links.
_NSFNET_NODES = "WA CA1 CA2 UT CO TX NE IL PA GA MI NY NJ DC"
_NSFNET_ZONES_H = (-8, -8, -8, -7, -7, -6, -6, -6, -5, -5, -5, -5, -5, -5)
"""Hours east of UTC, standard time of each state."""
_NSFNET_LINKS = (
    "0-1:1100 0-2:1600 0-7:2800 1-2:600 1-3:1000 2-5:2000 3-4:600 3-10:2400 4-5:1100 4-6:800"
    " 5-9:1200 5-12:2000 6-7:700 7-8:700 8-9:900 8-11:500 8-13:500 10-11:800 10-13:800 11-12:300"
    " 12-13:300"
)


def _links(text: str) -> tuple[tuple[int, int, int], ...]:
    """Read "u-v:km" words."""
    words = (word.replace(":", "-").split("-") for word in text.split())
    return tuple((int(u), int(v), int(length)) for u, v, length in words)


def _euro28() -> Topology:
    nodes = tuple(_EURO28_NODES.split())
    zones = tuple(_EURO28_WEST.get(node, 1) for node in nodes)
    return Topology("euro28", nodes, zones, _links(_EURO28_LINKS))


TOPOLOGIES: Final[Mapping[str, Topology]] = {
    "euro28": _euro28(),
    "nsfnet": Topology(
        "nsfnet", tuple(_NSFNET_NODES.split()), _NSFNET_ZONES_H, _links(_NSFNET_LINKS)
    ),
}
