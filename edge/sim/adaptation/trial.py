"""Runs policies over streams, each from the same source."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..sweep import Backend, run_parallel
from .kinds import POLICIES
from .policy import BATCH, AdaptationPolicy
from .protocols import FOREIGN, PROTOCOLS, AdaptationStream, AdaptationWorld
from .source_model import SourceModel, solve_source

CURVE_POINTS: Final = 20
"""Points of an accuracy curve over a stream."""
LAST: Final = 3
"""The last part of a stream is one in so many: what is reached after adaptation."""

Advance = Callable[[str, int, int], None]
"""Called with the activity, the units done and the units in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyOutcome:
    """A policy on one stream.  accuracy, last: percent right, over all known samples and over their
    last third; curve: percent right in each twentieth; us: CPU microseconds a sample; nbytes: the
    largest state that the stream left."""

    policy: str
    world: str
    stream: str
    protocol: str
    development: bool
    seed: int
    samples: int
    accuracy: float
    last: float
    curve: tuple[float, ...] = field(repr=False)
    us: float
    nbytes: int


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """Which streams of a world are run: homes by protocol; every domain in turn where a protocol
    has none."""

    world: Callable[[int], AdaptationWorld]
    homes: Mapping[str, Sequence[str]] = field(default_factory=dict)


def plan_streams(
    world: AdaptationWorld, seed: int, homes: Mapping[str, Sequence[str]]
) -> Iterator[AdaptationStream]:
    """Yield the streams of a world; homes: see `StreamPlan`, only protocols named there run."""
    for protocol, places in homes.items():
        for home in places or tuple(world.domains):
            yield from PROTOCOLS[protocol](world, home, seed)


def run_policies(
    plans: Sequence[StreamPlan],
    policies: Sequence[str] = (),
    seeds: Sequence[int] = (0,),
    progress: Advance | None = None,
    *,
    jobs: int = 1,
    backend: Backend = "loky",
) -> tuple[PolicyOutcome, ...]:
    """Run policies over all streams of some plans.

    policies: names of POLICIES, all by default; `source` always runs, since gains count from it.
    jobs: streams that run at a time.  Figures other than times depend on the other arguments alone.
    Cost: of 1,000 samples of 2,064 columns between 10 ms and 2 s a policy.
    """
    names = tuple(dict.fromkeys(("source", *(policies or POLICIES))))
    found: list[PolicyOutcome] = []
    for plan in plans:
        for seed in seeds:
            world = plan.world(seed)
            streams = sorted(plan_streams(world, seed, plan.homes), key=_source_key)
            calls = []
            for _, alike in groupby(streams, key=_source_key):
                group = tuple(alike)
                source = source_of(world, group[0])
                calls += [(names, source, stream) for stream in group]
            done: dict[int, list[PolicyOutcome]] = {}
            for place, outcomes in run_parallel(_run_all, calls, jobs, backend):
                done[place] = outcomes
                if progress is not None:
                    progress(f"{world.name}, seed {seed}", len(done), len(calls))
            found += [one for place in range(len(calls)) for one in done[place]]
    return tuple(found)


def _run_all(
    names: Sequence[str], source: SourceModel, stream: AdaptationStream
) -> list[PolicyOutcome]:
    return [_run(name, POLICIES[name](source, stream.seed), source, stream) for name in names]


def _source_key(stream: AdaptationStream) -> tuple[tuple[str, ...], int]:
    return stream.homes, stream.foreign


def source_of(world: AdaptationWorld, stream: AdaptationStream) -> SourceModel:
    """Solve the source of a stream: half of each home, without the class that is foreign."""
    domains = {}
    for home in stream.homes:
        rows = world.domains[home].select(world.halves(home, stream.seed)[0])
        domains[home] = rows.select(np.flatnonzero(rows.targets != stream.foreign))
    return solve_source(domains, world.spans, stream.seed)


def _run(
    name: str,
    policy: AdaptationPolicy,
    source: SourceModel,
    stream: AdaptationStream,
) -> PolicyOutcome:
    rows = stream.rows.features
    begun = time.process_time()
    answers, nbytes = [], 0
    for at in range(0, len(rows), BATCH):
        answers.append(policy.answer(rows[at : at + BATCH]).argmax(1))
        nbytes = max(nbytes, policy.nbytes)
    spent = time.process_time() - begun
    targets = stream.rows.targets
    right = (source.labels[np.concatenate(answers)] == targets)[targets != FOREIGN]
    return PolicyOutcome(
        policy=name,
        world=stream.world,
        stream=stream.name,
        protocol=stream.protocol,
        development=stream.development,
        seed=stream.seed,
        samples=len(right),
        accuracy=100 * float(right.mean()),
        last=100 * float(right[-(len(right) // LAST) :].mean()),
        curve=tuple(100 * float(part.mean()) for part in _twentieths(right)),
        us=1e6 * spent / len(rows),
        nbytes=nbytes,
    )


def _twentieths(right: NDArray[np.bool_]) -> Iterator[NDArray[np.bool_]]:
    """Yield the parts of a stream in order, each with one sample at least."""
    for at in range(CURVE_POINTS):
        begin, end = (len(right) * edge // CURVE_POINTS for edge in (at, at + 1))
        yield right[begin : max(begin + 1, end)]
