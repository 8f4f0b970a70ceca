"""What a policy costs where it serves: one sample in, one answer out."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.core.adaptation import KnownDomain, OpeningAdapter, build_basis
from edge.sim.adaptation import POLICIES, AdaptationStream, SourceModel

DEFAULT: Final = "auto"
"""The product's own policy.  Its opened domain is measured as the runtime holds it: the runtime
solves in a background thread, and has its own detector in place of the harness's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingCost:
    """us: mean CPU microseconds from a sample's features to its answer, with what the policy
    learns on the way; solve_us: of one solution beside serving, 0 for policies without; nbytes:
    the state after the stream, for one opened domain."""

    policy: str
    us: float
    solve_us: float = 0.0
    nbytes: int


def measure_serving(
    source: SourceModel, stream: AdaptationStream, policies: Sequence[str], seed: int
) -> tuple[ServingCost, ...]:
    """Measure policies on the samples of a stream, one at a time, in this thread."""
    rows = stream.rows.features
    return tuple(
        _measure_default(source, rows) if name == DEFAULT else _measure(source, rows, name, seed)
        for name in policies
    )


def _measure(source: SourceModel, rows: NDArray[np.uint8], name: str, seed: int) -> ServingCost:
    policy = POLICIES[name](source, seed)
    begun = time.thread_time()
    for row in rows:
        policy.answer(row[None])
    spent = time.thread_time() - begun
    return ServingCost(policy=name, us=1e6 * spent / len(rows), nbytes=policy.nbytes)


def _measure_default(source: SourceModel, rows: NDArray[np.uint8]) -> ServingCost:
    """Measure answers and solutions of an opened domain apart."""
    adapter = OpeningAdapter(
        build_basis([KnownDomain(one.head, one.batch) for one in source.experts])
    )
    answering, solving, solutions = 0.0, 0.0, 0
    for row in rows:
        begun = time.thread_time()
        adapter.observe(row)
        answered = time.thread_time()
        answering += answered - begun
        if adapter.due:
            adapter.solve()
            solving += time.thread_time() - answered
            solutions += 1
    return ServingCost(
        policy=DEFAULT,
        us=1e6 * answering / len(rows),
        solve_us=1e6 * solving / max(1, solutions),
        nbytes=adapter.nbytes,
    )
