"""Sweeps on a Ray cluster of two nodes on this machine: one is killed in the middle.

Ray starts about ten processes and needs some 20 s on two busy cores, so one cluster serves all.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.core.errors import ConfigError
from edge.sim.simulation import simulate
from edge.sim.sweep import run_parallel
from tests.edge.sim.test_simulation import features, metrics_of, small

ray = pytest.importorskip("ray", reason="Ray is not installed (extra cluster)")

assert features is not None
SEEDS = (1, 2, 3, 4)
STORE_BYTES = 80 << 20
"""Of Ray's shared memory per node: its smallest is 75 MiB."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head and one more node, a core each; all processes end with the tests."""
    from ray.cluster_utils import Cluster

    options = {"num_cpus": 1, "object_store_memory": STORE_BYTES}
    made = Cluster(initialize_head=True, head_node_args={**options, "include_dashboard": False})
    made.add_node(**options)
    ray.init(address=made.address, log_to_driver=False)
    made.wait_for_nodes()
    yield made
    ray.shutdown()
    made.shutdown()


def refuse(number: int) -> int:
    """Fail with an error of ours."""
    raise ConfigError(f"refused {number}", "try another")


def mark(folder: str, number: int) -> int:
    """Note that a task has started; the first attempts of late ones take long."""
    path = Path(folder) / str(number)
    again = path.exists()
    path.touch()
    if number and not again:
        time.sleep(6)
    return number


def test_metrics_are_those_of_one_process(cluster: Any, features: Path):
    """On two nodes, in the order of seeds; errors of a run arrive as they were raised."""
    assert len([one for one in ray.nodes() if one["Alive"]]) == 2
    scenario = small(features)
    alone, spread = (simulate(scenario, SEEDS[:2], backend=name) for name in ("loky", "ray"))
    assert metrics_of(alone) == metrics_of(spread)
    with pytest.raises(ConfigError, match="refused 3"):
        list(run_parallel(refuse, [(3,)], 1, "ray"))
    assert ray.is_initialized()


def test_an_interrupted_sweep_resumes(cluster: Any, features: Path, tmp_path: Path):
    """Finished runs are read from their files; the others run on the cluster."""
    scenario = small(features)
    first = simulate(scenario, SEEDS[:2], out=tmp_path, backend="ray")
    files = sorted((tmp_path / "runs").iterdir())
    kept = files[0].stat().st_mtime_ns
    files[1].unlink()
    again = simulate(scenario, SEEDS[:2], out=tmp_path, backend="ray")
    assert metrics_of(first) == metrics_of(again)
    assert files[0].stat().st_mtime_ns == kept
    assert files[1].is_file()


def test_a_node_killed_in_the_middle_loses_nothing(cluster: Any, features: Path, tmp_path: Path):
    """Its tasks run again on the other one, and later sweeps have the same metrics."""
    other = next(node for node in cluster.list_all_nodes() if not node.head)
    found: list[tuple[int, int]] = []
    for place, number in run_parallel(mark, [(str(tmp_path), at) for at in range(3)], 1, "ray"):
        if not found:
            cluster.remove_node(other, allow_graceful=False)
        found.append((place, number))
    assert sorted(found) == [(0, 0), (1, 1), (2, 2)]
    scenario = small(features)
    alone, left = (simulate(scenario, SEEDS[:1], backend=name) for name in ("loky", "ray"))
    assert metrics_of(alone) == metrics_of(left)
