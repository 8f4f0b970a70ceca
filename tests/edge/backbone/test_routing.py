from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse.csgraph import shortest_path

from edge.backbone.outages import draw_outages
from edge.backbone.routing import is_connected, route_demands
from edge.backbone.topologies import TOPOLOGIES, Topology

# Two triangles with a bridge between them.
BARBELL = Topology(
    "barbell",
    tuple("abcdef"),
    (0,) * 6,
    ((0, 1, 1), (0, 2, 1), (1, 2, 1), (2, 3, 1), (3, 4, 1), (3, 5, 1), (4, 5, 1)),
)


@pytest.mark.parametrize(
    ("name", "nodes", "links"), [("euro28", 28, 41), ("nsfnet", 14, 21)], ids=["euro28", "nsfnet"]
)
def test_a_topology_is_the_published_one(name, nodes, links):
    """It has its nodes and links, and survives any single failure."""
    topology = TOPOLOGIES[name]
    assert len(topology.nodes) == len(topology.zones_h) == nodes
    assert len(set(topology.links)) == links
    assert len(set(topology.channels)) == 2 * links
    assert all(is_connected(topology, [link]) for link in range(links))


@pytest.mark.parametrize("down", [(), (3,), (3, 17)])
@pytest.mark.parametrize("name", sorted(TOPOLOGIES))
def test_routes_are_shortest_paths(name, down):
    """Every pair's route is as long as scipy's shortest path, and avoids failed links."""
    topology = TOPOLOGIES[name]
    routes = route_demands(topology, frozenset(down))
    count = len(topology.nodes)
    graph = np.zeros((count, count))
    for number, (u, v, length) in enumerate(topology.links):
        graph[u, v] = 0 if number in down else length
    expected = shortest_path(graph, directed=False)[~np.eye(count, dtype=bool)]
    lengths = np.repeat([length for _, _, length in topology.links], 2)
    assert np.array_equal(expected, routes @ lengths)
    assert not routes[:, [2 * link for link in down]].any()


def test_bridges_never_fail():
    """A link without which the network falls apart is never drawn, alone or as the second."""
    random = np.random.default_rng(0)
    outages = [one for _ in range(40) for one in draw_outages(BARBELL, 0, 4000, 0.5, random)]
    assert {one.link for one in outages} == {0, 1, 2, 4, 5, 6}
    for one in outages:
        down = {o.link for o in outages if o is one}
        assert is_connected(BARBELL, down)
