"""The interface of strategies of continual learning, and the streams that they learn from."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...core import EdgeError

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Targets = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPart:
    """Rows of a task.  features: uint8 [n, columns] of the frozen encoder.  targets: int64 [n],
    numbers of the stream's labels.  domains: int64 [n], numbers of its domains."""

    features: Bytes = field(repr=False)
    targets: Targets = field(repr=False)
    domains: Targets = field(repr=False)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.targets)

    def select(self, rows: NDArray[np.integer]) -> "LabelledPart":
        """Return some rows, in that order."""
        return LabelledPart(self.features[rows], self.targets[rows], self.domains[rows])


@dataclass(frozen=True, slots=True, eq=False)
class StreamTask:
    """One task of a stream: what is learned, and what is answered from then on."""

    name: str
    train: LabelledPart = field(repr=False)
    test: LabelledPart = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TaskStream:
    """A sequence of tasks over one set of labels.

    world: of all its variants, such as orders; variant: names this one.  Figures are never averaged
    across worlds.  spans: (start, stop) of the encoder's taps, the final one first.  labels,
    domains: names by number.  replaces: by task number, the labels whose meaning ends when that
    task begins.  task_given: the domain is known when a row is answered, as in task-incremental
    streams; otherwise only when it is learned.
    """

    world: str
    variant: str
    tasks: tuple[StreamTask, ...] = field(repr=False)
    spans: tuple[tuple[int, int], ...]
    labels: tuple[str, ...]
    domains: tuple[str, ...]
    replaces: tuple[frozenset[int], ...] = ()
    task_given: bool = False

    @property
    def columns(self) -> int:
        """Return the columns of a row."""
        return self.spans[-1][1]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamShape:
    """What a strategy knows before its first task.  As in `TaskStream`."""

    spans: tuple[tuple[int, int], ...]
    labels: int
    domains: int
    task_given: bool = False

    @property
    def columns(self) -> int:
        """Return the columns of a row."""
        return self.spans[-1][1]


class TrainingDivergedError(EdgeError):
    """The numbers of a trained strategy overflowed: it is reported and left out."""


class Strategy(Protocol):
    """A strategy of continual learning at work on one stream, begun from a shape and a seed.

    `learn` sees each task once, in order, and keeps from it only what counts in `nbytes`.
    """

    @property
    def bytes_max(self) -> int | None:
        """The bound of `nbytes`; None for a strategy that keeps every row."""

    @property
    def nbytes(self) -> int:
        """Bytes of all that it keeps from task to task: weights, memories, statistics."""

    def learn(self, part: LabelledPart, ended: frozenset[int] = frozenset()) -> None:
        """Learn the next task.  ended: labels that mean nothing from now on; one that is taught
        again counts as new.  Raises TrainingDivergedError."""

    def answer(self, features: Bytes, domains: Targets | None = None) -> Floats:
        """Return scores float32 [n, labels], higher is more likely; -inf for labels never learned
        and for ended ones.  domains: [n], given where the stream says so."""
