"""Runs a strategy through the variants of a world; tasks that variants share are learned once."""

import math
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from edge.core import GrowthJob, GrowthResult
from edge.sim.strategies import (
    STRATEGIES,
    Strategy,
    StreamShape,
    TaskStream,
    TrainingDivergedError,
    current_rows,
)

Key = tuple[Hashable, ...]

SHARED: Final = frozenset({"auricle", "auricle, heads", "joint"})
"""Strategies whose state depends on the set of tasks alone where each task is a domain; that of all
others depends on the order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseOutcome:
    """The result of one variant.  matrix: right answers after each task (rows) on each (columns),
    NaN where it is not learned yet or means nothing any more.
    cpu_s, answer_s: CPU seconds of learning and of answering all tests once.  diverged: why there
    is no result."""

    strategy: str
    world: str
    variant: str
    seed: int
    matrix: tuple[tuple[float, ...], ...] = field(default=(), repr=False)
    cpu_s: float = 0.0
    answer_s: float = 0.0
    nbytes: int = 0
    diverged: str = ""

    @property
    def final(self) -> float:
        """The mean accuracy over all tasks after the last one."""
        return float(np.nanmean(self.matrix[-1]))

    @property
    def forgetting(self) -> float:
        """The mean loss of each task but the last since its best (Chaudhry et al. 2018)."""
        table = np.asarray(self.matrix)
        lost = [np.nanmax(table[at:-1, at]) - table[-1, at] for at in range(len(table) - 1)]
        return float(np.nanmean(lost)) if lost else 0.0


class RememberedGrowth:
    """Makes each adaptor once: jobs with the same facts give the same result.  `again_s` counts the
    CPU seconds that were not spent again."""

    def __init__(self) -> None:
        self._made: dict[Key, tuple[GrowthResult, float]] = {}
        self.again_s = 0.0

    def __call__(self, job: GrowthJob) -> GrowthResult:
        """Return the result of a job."""
        from edge.growth import grow_adaptor

        key = (
            job.domain,
            job.version,
            job.seed,
            job.own.ids,
            job.own.labels,
            job.others.ids,
            job.incumbent.version if job.incumbent else 0,
            len(job.reusable),
        )
        if key not in self._made:
            began = time.process_time()
            self._made[key] = (grow_adaptor(job), time.process_time() - began)
            return self._made[key][0]
        result, taken = self._made[key]
        self.again_s += taken
        return result

    def __deepcopy__(self, _memo: dict[int, Any]) -> "RememberedGrowth":
        """Return itself: copies of a strategy share what was grown."""
        return self


@dataclass(slots=True)
class _Known:
    """A state of a strategy, with what it took from the state before."""

    strategy: Strategy
    cpu_s: float
    right: dict[str, float]
    answer_s: float


def run_course(
    name: str,
    streams: Sequence[TaskStream],
    seed: int,
    settings: Mapping[str, Any] | None = None,
    *,
    grow: RememberedGrowth | None = None,
    share: bool = True,
) -> list[CourseOutcome]:
    """Run one strategy with one seed through variants of one world.

    share: whether the strategies of SHARED share the states of equal sets of tasks; the states of
    equal beginnings always are.
    """
    first = streams[0]
    shape = StreamShape(
        spans=first.spans,
        labels=len(first.labels),
        domains=len(first.domains),
        task_given=first.task_given,
    )
    given = dict(settings or {}) | ({"grow": grow} if grow and name == "auricle" else {})
    free = share and name in SHARED
    states: dict[Key, _Known] = {}
    found = []
    for stream in streams:
        try:
            found.append(
                _run_stream(
                    name,
                    stream,
                    seed,
                    begin=lambda: STRATEGIES[name](shape, seed, **given),
                    states=states,
                    key=lambda names: (frozenset(names),) if free else names,
                    grow=grow,
                )
            )
        except TrainingDivergedError as error:
            found.append(
                CourseOutcome(
                    strategy=name,
                    world=stream.world,
                    variant=stream.variant,
                    seed=seed,
                    diverged=error.message,
                )
            )
    return found


def _run_stream(
    name: str,
    stream: TaskStream,
    seed: int,
    *,
    begin: Callable[[], Strategy],
    states: dict[Key, _Known],
    key: Callable[[tuple[str, ...]], Key],
    grow: RememberedGrowth | None,
) -> CourseOutcome:
    matrix, cpu_s, known = [], 0.0, None
    for at, task in enumerate(stream.tasks):
        place = key(tuple(one.name for one in stream.tasks[: at + 1]))
        if place not in states:
            strategy = deepcopy(known.strategy) if known else begin()
            before = grow.again_s if grow else 0.0
            began = time.process_time()
            ended = stream.replaces[at] if stream.replaces else frozenset()
            strategy.learn(task.train, ended)
            taken = time.process_time() - began + ((grow.again_s - before) if grow else 0.0)
            states[place] = _Known(strategy, taken, {}, 0.0)
        known = states[place]
        cpu_s += known.cpu_s
        for number, tested in enumerate(stream.tasks[: at + 1]):
            if tested.name not in known.right:
                began = time.process_time()
                known.right[tested.name] = _accuracy(known.strategy, stream, number, at)
                known.answer_s += time.process_time() - began
        matrix.append(tuple(known.right.get(one.name, math.nan) for one in stream.tasks))
    assert known is not None  # every stream has tasks
    return CourseOutcome(
        strategy=name,
        world=stream.world,
        variant=stream.variant,
        seed=seed,
        matrix=tuple(matrix),
        cpu_s=cpu_s,
        answer_s=known.answer_s,
        nbytes=known.strategy.nbytes,
    )


def _accuracy(strategy: Strategy, stream: TaskStream, number: int, after: int) -> float:
    """Return the share of right answers to a task after a later one, where labels still mean the
    same."""
    test = stream.tasks[number].test
    if stream.replaces:
        test = test.select(np.flatnonzero(current_rows(stream, number, after)))
    if not len(test):
        return math.nan
    domains = test.domains if stream.task_given else None
    found = strategy.answer(test.features, domains).argmax(axis=1)
    return float((found == test.targets).mean())
