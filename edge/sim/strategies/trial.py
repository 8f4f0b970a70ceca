"""Runs a strategy on a stream: the accuracy matrix, the compute, the bytes."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from .kinds import StrategyKind
from .strategy import (
    Floats,
    LabelledPart,
    Strategy,
    StreamShape,
    TaskStream,
    TrainingDivergedError,
)
from .streams import current_rows

DIVERGED: Final = (
    FloatingPointError,
    OverflowError,
    TrainingDivergedError,
    np.linalg.LinAlgError,
)
"""Exceptions with which a strategy declares that it diverged."""

Matrix = tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyOutcome:
    """A strategy on one stream with one seed.

    matrix: percent right of each task's test part (columns) after each task (rows), None where a
    label of the task is not learned yet, or no row of it means anything any more.  unchanged: the
    same on rows whose label keeps its meaning to the end.  learn_s: CPU seconds of learning each
    task; answer_us: CPU microseconds of an answer; nbytes: the most bytes kept after a task.
    failure: why the strategy is left out, "" if it is not; then the figures are empty.
    """

    strategy: str
    world: str
    variant: str
    seed: int
    tasks: tuple[str, ...] = field(repr=False)
    matrix: Matrix = field(default=(), repr=False)
    unchanged: Matrix = field(default=(), repr=False)
    learn_s: tuple[float, ...] = field(default=(), repr=False)
    answer_us: float = 0.0
    nbytes: int = 0
    failure: str = ""

    @property
    def curve(self) -> tuple[float, ...]:
        """Mean percent right over the tasks learned so far, after each task."""
        return tuple(_mean(row[: at + 1]) for at, row in enumerate(self.matrix))

    @property
    def final(self) -> float:
        """Mean percent right over all tasks at the end."""
        return self.curve[-1]

    @property
    def error(self) -> float:
        """Mean percent wrong of each task right after it was learned: the error of NEVIS'22
        (Bornschein et al. 2022), which counts how well the next task is learned."""
        return 100 - _mean([row[at] for at, row in enumerate(self.matrix)])

    @property
    def forgetting(self) -> float | None:
        """Mean fall of a task from its best accuracy to the end, in points, over all tasks but the
        last and rows that keep their meaning (Chaudhry et al. 2018, section 4); None without any.
        """
        falls = []
        for task in range(len(self.unchanged) - 1):
            seen = [row[task] for row in self.unchanged[task:]]
            if seen[-1] is not None:
                falls.append(max(one for one in seen[:-1] if one is not None) - seen[-1])
        return float(np.mean(falls)) if falls else None

    @property
    def compute_s(self) -> float:
        """CPU seconds of learning all tasks."""
        return sum(self.learn_s)


class _DivergedError(Exception):
    """Scores that cannot be compared."""


def run_strategy(name: str, kind: StrategyKind, stream: TaskStream, seed: int) -> StrategyOutcome:
    """Run a strategy on a stream.

    It learns the tasks in order and answers all test parts after each.  Where the stream gives the
    task, only labels learned in a row's domain can be its answer.  A strategy that diverges, or
    whose own process fails, gives an outcome with the reason.  Figures other than times depend on
    the arguments alone.  Linear algebra runs on one thread, so that CPU seconds compare.
    """
    try:
        with threadpool_limits(1):
            return _Trial(name, kind, stream, seed).run()
    except DIVERGED as error:
        failure = f"diverged: {str(error) or type(error).__name__}"
    except ChildProcessError as error:
        failure = f"failed: {error}"
    except _DivergedError as error:
        failure = f"diverged: {error}"
    return failed_outcome(name, stream, seed, failure)


def failed_outcome(name: str, stream: TaskStream, seed: int, failure: str) -> StrategyOutcome:
    """Return the outcome of a strategy that is left out, with the reason."""
    return StrategyOutcome(
        strategy=name,
        world=stream.world,
        variant=stream.variant,
        seed=seed,
        tasks=tuple(task.name for task in stream.tasks),
        failure=failure,
    )


class _Trial:
    """A strategy at work on a stream."""

    def __init__(self, name: str, kind: StrategyKind, stream: TaskStream, seed: int) -> None:
        self._name, self._stream, self._seed = name, stream, seed
        shape = StreamShape(
            spans=stream.spans,
            labels=len(stream.labels),
            domains=len(stream.domains),
            task_given=stream.task_given,
        )
        kind(shape, seed)  # Imports what it needs, which is not learning.
        begun = time.process_time()
        self._strategy: Strategy = kind(shape, seed)
        self._begin_s = time.process_time() - begun
        self._known = np.zeros((len(stream.domains), len(stream.labels)), bool)
        self._answer_s, self._answered = 0.0, 0

    def run(self) -> StrategyOutcome:
        """Learn all tasks and measure."""
        stream, last = self._stream, len(self._stream.tasks) - 1
        matrix, unchanged, learn_s, nbytes = [], [], [], 0
        for at, task in enumerate(stream.tasks):
            ended = stream.replaces[at] if stream.replaces else frozenset()
            begun = self._clock()
            self._strategy.learn(task.train, ended)
            learn_s.append(self._clock() - begun + (self._begin_s if at == 0 else 0.0))
            self._remember(task.train, ended)
            nbytes = max(nbytes, self._strategy.nbytes)
            right = [self._right(one, at) for one in range(len(stream.tasks))]
            matrix.append(self._percent(right, at))
            unchanged.append(self._percent(right, last))
        return StrategyOutcome(
            strategy=self._name,
            world=stream.world,
            variant=stream.variant,
            seed=self._seed,
            tasks=tuple(task.name for task in stream.tasks),
            matrix=tuple(matrix),
            unchanged=tuple(unchanged),
            learn_s=tuple(learn_s),
            answer_us=1e6 * self._answer_s / max(1, self._answered),
            nbytes=nbytes,
        )

    def _clock(self) -> float:
        """Return the CPU seconds of this process, and those that the strategy spent elsewhere."""
        elsewhere: float = getattr(self._strategy, "cpu_s_elsewhere", 0.0)
        return time.process_time() + elsewhere

    def _remember(self, part: LabelledPart, ended: frozenset[int]) -> None:
        self._known[:, sorted(ended)] = False
        self._known[part.domains, part.targets] = True

    def _right(self, task: int, after: int) -> NDArray[np.bool_] | None:
        """Return which test rows of a task are answered right, None if it is later than the one
        learned last and has labels that nobody knows yet."""
        test = self._stream.tasks[task].test
        given = self._stream.task_given
        known = np.asarray(self._known.any(axis=0))
        if task > after and (given or not known[test.targets].all()):
            return None
        begun = self._clock()
        scores = self._strategy.answer(test.features, test.domains if given else None)
        self._answer_s += self._clock() - begun
        self._answered += len(test)
        scores = np.where(self._known[test.domains], scores, -np.inf) if given else scores
        _require_comparable(scores)
        return np.asarray(scores.argmax(1) == test.targets)

    def _percent(
        self, right: Sequence[NDArray[np.bool_] | None], until: int
    ) -> tuple[float | None, ...]:
        """Return the percent right of each task, over rows that mean until after some task what
        they meant."""
        found: list[float | None] = []
        for task, rows in enumerate(right):
            current = current_rows(self._stream, task, until)
            if rows is None or not current.any():
                found.append(None)
            else:
                found.append(100 * float(rows[current].mean()))
        return tuple(found)


def _mean(values: Iterable[float | None]) -> float:
    """Return the mean of the numbers among values; not a number without any."""
    numbers = [one for one in values if one is not None]
    return float(np.mean(numbers)) if numbers else float("nan")


def _require_comparable(scores: Floats) -> None:
    """Raise _DivergedError if some row of scores has no largest finite one."""
    if np.isnan(scores).any() or np.isposinf(scores).any():
        raise _DivergedError("scores that are no finite numbers")
    if not np.isfinite(scores).any(1).all():
        raise _DivergedError("rows without a score")
