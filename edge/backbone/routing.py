"""Shortest-path routing: a matrix from demands to link loads."""

import heapq
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from .topologies import Topology

Floats = NDArray[np.float64]
Neighbours = list[list[tuple[int, int, int]]]


def route_demands(topology: Topology, down: frozenset[int] = frozenset()) -> Floats:
    """Route every ordered pair of nodes over the shortest path in km.

    down: failed links (undirected); the rest must connect the network.  Returns zeros and ones,
    float64 [pairs, directed links]; pairs (from, to) in ascending order without (i, i).  Ties are
    broken by node number, so that the same links always give the same routes.  Cost: one Dijkstra
    (1959) search per node.
    """
    count = len(topology.nodes)
    up = _neighbours(topology, down)
    routes = np.zeros((count * (count - 1), 2 * len(topology.links)))
    row = 0
    for source in range(count):
        entered = _shortest_tree(up, source)
        for target in range(count):
            if target == source:
                continue
            node = target
            while node != source:
                before, link = entered[node]
                routes[row, link] = 1.0
                node = before
            row += 1
    return routes


def is_connected(topology: Topology, down: Iterable[int]) -> bool:
    """Return whether the network is connected with some links down."""
    up = _neighbours(topology, frozenset(down))
    return len(_shortest_tree(up, 0)) == len(topology.nodes) - 1


def _neighbours(topology: Topology, down: frozenset[int]) -> Neighbours:
    """Return for each node its (neighbour, km, directed link) over links that are up."""
    up: Neighbours = [[] for _ in topology.nodes]
    for number, (u, v, length) in enumerate(topology.links):
        if number not in down:
            up[u].append((v, length, 2 * number))
            up[v].append((u, length, 2 * number + 1))
    return up


def _shortest_tree(up: Neighbours, source: int) -> dict[int, tuple[int, int]]:
    """Return for each reached node the previous node and directed link on its shortest path."""
    entered: dict[int, tuple[int, int]] = {}
    done = set[int]()
    waiting = [(0, source, source, -1)]
    while waiting:
        distance, node, before, link = heapq.heappop(waiting)
        if node in done:
            continue
        done.add(node)
        if node != source:
            entered[node] = (before, link)
        for other, length, directed in up[node]:
            if other not in done:
                heapq.heappush(waiting, (distance + length, other, node, directed))
    return entered
