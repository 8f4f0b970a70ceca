"""MOS: an adapter for each task, merged with the earlier ones while it is trained, and retrieved by
the answer that it leads to."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .adapters import (
    COSINE_SCALE,
    EPOCHS,
    AdapterStrategy,
    LowRank,
    adapt,
    adapter_numbers,
    as_array,
    descend,
)
from .arithmetic import softmax, unit_rows
from .base import Scaling, Taps
from .strategy import Bytes, Floats, LabelledPart, StreamShape, Targets

TASKS_MAX: Final = 64
"""Tasks with an adapter of their own; later ones train the last adapter again."""
ROUNDS_MAX: Final = 4
"""Answers in a row before retrieval stops: the authors' code."""
DRAWN: Final = 64
"""Rows drawn from the Gaussian of each class for a pass of the head's alignment."""
ALIGNED: Final = 10
"""Passes of the head's alignment."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TaskClasses:
    """The labels of each task, as classes of their own.  labels, tasks: int64 [classes].  means,
    spreads: float32 [classes, columns], of features under the task's adapter.  sums: of frozen
    features.  head: float32 [columns + 1, classes]."""

    labels: Targets = field(repr=False)
    tasks: Targets = field(repr=False)
    means: Floats = field(repr=False)
    spreads: Floats = field(repr=False)
    sums: Floats = field(repr=False)
    head: Floats = field(repr=False)

    def select(self, rows: NDArray[np.intp]) -> "TaskClasses":
        """Return some of the classes."""
        return TaskClasses(
            labels=self.labels[rows],
            tasks=self.tasks[rows],
            means=self.means[rows],
            spreads=self.spreads[rows],
            sums=self.sums[rows],
            head=self.head[:, rows],
        )


class ModelSurgery(AdapterStrategy):
    """MOS (Sun et al. 2025: merging, alignment and self-refined retrieval, as in the public
    re-implementation of its authors' group).

    While an adapter is trained it is merged at every step: (1 - merge) * itself + merge * the mean
    of the earlier ones.  The head is then aligned on rows drawn from a Gaussian of each class.  To
    answer, frozen features name a class, its task's adapter names the next, until the task stays;
    the softmaxes of both ends add up.  A label that comes in several tasks is a class in each, so
    that a class names one task.  The repulsion between rows of a batch is left out.
    """

    def __init__(
        self,
        shape: StreamShape,
        seed: int,
        *,
        merge: float = 0.1,
        rate: float = 1e-3,
        epochs: int = EPOCHS,
        taps: Taps = "all",
        scaling: Scaling = "centred",
    ) -> None:
        super().__init__(shape, seed, rate=rate, epochs=epochs, taps=taps, scaling=scaling)
        self.merging = merge
        self.adapters: list[LowRank] = []
        none = np.zeros((0, self._columns), np.float32)
        self.classes = TaskClasses(
            labels=np.zeros(0, np.int64),
            tasks=np.zeros(0, np.int64),
            means=none,
            spreads=none,
            sums=none,
            head=np.zeros((self._columns + 1, 0), np.float32),
        )

    @property
    def _numbers(self) -> int:
        classes = TASKS_MAX * self._shape.labels
        return TASKS_MAX * adapter_numbers(self._columns) + classes * (4 * self._columns + 5)

    def _learn(self, part: LabelledPart) -> None:
        rows = self.rows_of(part.features)
        task = min(len(self.adapters), TASKS_MAX - 1)
        labels, places = np.unique(part.targets, return_inverse=True)
        old = self.classes.select(
            np.flatnonzero((self.classes.tasks != task) | ~np.isin(self.classes.labels, labels))
        )
        adapter, head = self._trained(rows, old, places.reshape(-1), len(labels))
        self.adapters[task:] = [adapter]
        adapted = adapter(rows)
        own = [adapted[places.reshape(-1) == at] for at in range(len(labels))]
        self.classes = TaskClasses(
            labels=np.concatenate([old.labels, labels]),
            tasks=np.concatenate([old.tasks, np.full(len(labels), task)]),
            means=np.concatenate([old.means, [one.mean(axis=0) for one in own]]),
            spreads=np.concatenate([old.spreads, [one.std(axis=0) for one in own]]),
            sums=np.concatenate(
                [old.sums, [rows[places.reshape(-1) == at].sum(axis=0) for at in range(len(own))]]
            ),
            head=head,
        )
        if len(old.labels):
            self._align()

    def _trained(
        self, rows: Floats, old: TaskClasses, places: NDArray[np.intp], count: int
    ) -> tuple[LowRank, Floats]:
        """Train an adapter and the head's columns of a task's classes, merging at every step."""
        leaves = LowRank.start(self._columns, self.random).leaves()
        fresh = np.zeros((self._columns + 1, count), np.float32)
        head = torch.from_numpy(np.concatenate([old.head, fresh], axis=1)).requires_grad_()
        inputs = torch.from_numpy(rows)
        wanted = torch.from_numpy(places + len(old.labels))
        first = len(old.labels) if count > 1 else 0
        earlier = self.adapters[: TASKS_MAX - 1]
        means = [
            torch.from_numpy(np.mean([getattr(one, name) for one in earlier], axis=0))
            for name in ("down", "up")
            if earlier
        ]

        def loss(at: Tensor) -> Tensor:
            found = adapt(inputs[at], leaves) @ head[:-1] + head[-1]
            return functional.cross_entropy(found[:, first:], wanted[at] - first)

        def merge() -> None:
            with torch.no_grad():
                for leaf, mean in zip(leaves, means, strict=True):
                    leaf.lerp_(mean, self.merging)

        descend(
            [*leaves, head],
            loss,
            len(rows),
            self.random,
            rate=self._rate,
            epochs=self._epochs,
            stepped=merge if means else None,
        )
        return LowRank(*(as_array(leaf) for leaf in leaves)), as_array(head)

    def _align(self) -> None:
        """Train the head on rows drawn from every class's Gaussian."""
        classes = self.classes
        places = np.repeat(np.arange(len(classes.labels)), DRAWN)
        head = torch.from_numpy(classes.head.copy()).requires_grad_()
        wanted = torch.from_numpy(places)
        noise = self.random.standard_normal((len(places), self._columns)).astype(np.float32)
        drawn = torch.from_numpy(classes.means[places] + classes.spreads[places] * noise)

        def loss(at: Tensor) -> Tensor:
            return functional.cross_entropy(drawn[at] @ head[:-1] + head[-1], wanted[at])

        descend([head], loss, len(places), self.random, rate=self._rate, epochs=ALIGNED)
        classes.head[:] = as_array(head)

    def retrieve(self, rows: Floats) -> tuple[Targets, Floats]:
        """Return the task whose adapter answers each row [n], and the logits that it leads to."""
        classes = self.classes
        task = classes.tasks[self.frozen_scores(rows).argmax(axis=1)]
        logits = np.zeros((len(rows), len(classes.labels)), np.float32)
        moving = np.arange(len(rows))
        for turn in range(ROUNDS_MAX):
            for one in np.unique(task[moving]):
                at = moving[task[moving] == one]
                adapted = self.adapters[one](rows[at])
                logits[at] = adapted @ classes.head[:-1] + classes.head[-1]
            named = classes.tasks[logits[moving].argmax(axis=1)]
            elsewhere = named != task[moving]
            moving, named = moving[elsewhere], named[elsewhere]
            if not len(moving) or turn == ROUNDS_MAX - 1:
                break
            task[moving] = named
        return task, logits

    def frozen_scores(self, rows: Floats) -> Floats:
        """Return cosines with the prototypes of frozen features [n, classes]."""
        return unit_rows(rows) @ unit_rows(self.classes.sums).T

    def _scored(self, features: Bytes, domains: Targets | None) -> Floats:
        rows, classes = self.rows_of(features), self.classes
        allowed = self._allowed(len(rows), domains)[:, classes.labels]
        _, logits = self.retrieve(rows)
        tasks = np.float32(len(self.adapters))
        found = softmax(logits, allowed) + softmax(
            COSINE_SCALE * tasks * self.frozen_scores(rows), allowed
        )
        scores = np.zeros((len(rows), self._shape.labels), np.float32)
        for at, label in enumerate(classes.labels):
            scores[:, label] = np.maximum(scores[:, label], found[:, at])
        return scores

    def _end(self, gone: Targets) -> None:
        self.classes = self.classes.select(np.flatnonzero(~np.isin(self.classes.labels, gone)))
