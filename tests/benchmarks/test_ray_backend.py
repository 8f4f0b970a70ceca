"""Benchmarks on a Ray cluster: the figures of `domains` and `nas` are those of this machine's
processes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from benchmarks.continual.domains_stream import run_stream, summarise
from benchmarks.nas.run import evaluate_task
from benchmarks.nas.tasks import SearchTask
from edge.core.facts import untimed_batch
from edge.sim.sweep import run_parallel
from tests.benchmarks.continual.test_domains_stream import toy
from tests.worlds import clouds

ray = pytest.importorskip("ray", reason="Ray is not installed (extra cluster)")

STORE_BYTES = 80 << 20
"""Of Ray's shared memory: its smallest is 75 MiB."""
WIDTH = 8


@pytest.fixture(scope="module", autouse=True)
def local_ray() -> Iterator[Any]:
    """A local Ray of two cores; all its processes end with the tests."""
    ray.init(
        num_cpus=2, object_store_memory=STORE_BYTES, include_dashboard=False, log_to_driver=False
    )
    yield ray
    ray.shutdown()


def small_task() -> SearchTask:
    """Two labels of a domain and of another one, eight columns."""
    rows = np.array(clouds((1, 2), 20, width=WIDTH), np.uint8)
    labels = tuple("ab"[at // 20] for at in range(40))

    def batch(domain: str) -> Any:
        ids = tuple(f"{domain}{at}" for at in range(40))
        return untimed_batch(ids, (domain,) * 40, labels, rows)

    held = np.array(clouds((1, 2), 30, seed=5, width=WIDTH), np.uint8)
    return SearchTask(
        name="small",
        spans=((0, WIDTH),),
        own=batch("new"),
        others=batch("old"),
        held=held,
        sought=np.array(["ab"[at // 30] for at in range(60)]),
    )


def test_streams_of_domains_are_those_of_one_process():
    """One order of the domains: all figures of the end-to-end half."""
    calls = [(toy(), order, 0) for order in islice(permutations(range(4)), 1)]
    alone, spread = (dict(run_parallel(run_stream, calls, 1, name)) for name in ("loky", "ray"))
    assert summarise(list(alone.values())) == summarise(list(spread.values()))
    assert alone == spread


def test_the_truth_of_a_search_is_that_of_one_process(tmp_path: Path):
    """Every proxy's agreement and loss, the truth itself, and the ranks."""
    found = []
    for name in ("loky", "ray"):
        calls = [(small_task(), tmp_path / name)]
        ((_, made),) = run_parallel(evaluate_task, calls, 1, name)
        found.append(made)
    alone, spread = found
    assert np.array_equal(alone.right, spread.right)
    assert np.array_equal(alone.ranks, spread.ranks)
    assert alone.outcome.taus == spread.outcome.taus
    assert alone.outcome.regrets == spread.outcome.regrets
    assert alone.outcome.independent == spread.outcome.independent
