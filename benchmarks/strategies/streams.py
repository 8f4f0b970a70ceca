"""The streams: PACS by domain in every order, PACS and digits by class, and the harness's own."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.sim import load_mnist, load_optdigits
from edge.sim.adaptation import LabelledRows
from edge.sim.strategies import (
    STREAMS,
    LabelledPart,
    StreamSource,
    StreamTask,
    TaskStream,
    small_stream,
)

from ..continual.data import PACS, ContinualSamples, load_pacs, missing

TEST_SHARE: Final = 0.3
"""Share of the digits that is held out."""
CLASSES_A_TASK: Final = 2
"""Digits that arrive together, as in the usual split of MNIST."""
ORDERS: Final = 3
"""Orders of classes, one for each seed."""
SMALL_ROWS: Final = 1_000
"""Rows of each small task at most, so that the largest do not decide the cost."""
FOLD: Final = 5
"""Every fifth training row validates settings."""

Rows = NDArray[np.intp]


def pacs_domains(data: Path) -> tuple[TaskStream, ...]:
    """Return all 24 orders of the four domains; official split."""
    samples = load_pacs(data)
    tasks = [
        _task(samples, f"domain {one}", samples.domain == one) for one in range(samples.domains)
    ]
    return tuple(
        _stream(samples, "pacs domains", order, [tasks[one] for one in order])
        for order in permutations(range(samples.domains))
    )


def pacs_classes(data: Path) -> tuple[TaskStream, ...]:
    """Return three orders of the seven classes, one by one; each comes in all four domains."""
    samples = load_pacs(data)
    tasks = [_task(samples, f"class {one}", samples.label == one) for one in range(samples.classes)]
    return tuple(
        _stream(samples, "pacs classes", order, [tasks[one] for one in order])
        for order in _orders(samples.classes)
    )


def digits(_data: Path | None = None) -> tuple[TaskStream, ...]:
    """Return three orders of the shipped MNIST digits, two classes a task."""
    held = load_mnist()
    return _digit_streams("digits", held.images.reshape(len(held), -1), held.labels)


def small_digits(_data: Path | None = None) -> tuple[TaskStream, ...]:
    """Return three orders of scikit-learn's digits: for choices only."""
    held = load_optdigits()
    return _digit_streams("small digits", held.images.reshape(len(held), -1), held.labels)


def small_tasks(_data: Path | None = None) -> tuple[TaskStream, ...]:
    """Return the harness's stream of unlike small tasks, with three splits."""
    return tuple(
        replace(small_stream("small tasks", TEST_SHARE, SMALL_ROWS, seed)[0], variant=f"{seed}")
        for seed in range(ORDERS)
    )


def releases(_data: Path | None = None) -> tuple[TaskStream, ...]:
    """Return the harness's stream of releases over the shipped digits, in three orders."""
    held = load_mnist()
    rows = LabelledRows(held.images.reshape(len(held), -1), held.labels)
    return tuple(
        STREAMS["releases"](
            StreamSource(
                world="releases",
                domains={"digits": rows},
                labels=tuple("0123456789"),
                spans=((0, rows.features.shape[1]),),
                order=order,
                held_out=TEST_SHARE,
                seed=order,
            )
        )
        for order in range(ORDERS)
    )


def missing_pacs(data: Path | None) -> str:
    """Name the missing files of PACS, or return an empty text."""
    return missing(data, *PACS)


def validation(stream: TaskStream) -> TaskStream:
    """Return a stream that is answered on every fifth training row, and learned from the others."""
    tasks = []
    for task in stream.tasks:
        order = np.random.default_rng(0).permutation(len(task.train))
        tasks.append(
            StreamTask(
                task.name,
                take(task.train, np.sort(order[len(order) // FOLD :])),
                take(task.train, np.sort(order[: len(order) // FOLD])),
            )
        )
    return replace(stream, tasks=tuple(tasks))


def join(parts: Sequence[LabelledPart]) -> LabelledPart:
    """Return the rows of several parts as one."""
    return LabelledPart(
        np.concatenate([one.features for one in parts]),
        np.concatenate([one.targets for one in parts]),
        np.concatenate([one.domains for one in parts]),
    )


def _digit_streams(
    world: str, pixels: NDArray[np.uint8], label: NDArray[np.int64]
) -> tuple[TaskStream, ...]:
    order = np.random.default_rng(0).permutation(len(label))
    held = np.zeros(len(label), np.bool_)
    held[order[: round(TEST_SHARE * len(label))]] = True
    whole = LabelledPart(pixels, label, np.zeros(len(label), np.int64))
    names = tuple("0123456789")
    return tuple(
        TaskStream(
            world=world,
            variant=" ".join(map(str, classes)),
            tasks=tuple(_digit_tasks(whole, held, classes)),
            spans=((0, pixels.shape[1]),),
            labels=names,
            domains=("digits",),
        )
        for classes in _orders(len(names))
    )


def _digit_tasks(
    whole: LabelledPart, held: NDArray[np.bool_], classes: Sequence[int]
) -> Iterator[StreamTask]:
    for at in range(0, len(classes), CLASSES_A_TASK):
        own = np.isin(whole.targets, classes[at : at + CLASSES_A_TASK])
        yield StreamTask(
            f"digits {' '.join(map(str, classes[at : at + CLASSES_A_TASK]))}",
            take(whole, np.flatnonzero(own & ~held)),
            take(whole, np.flatnonzero(own & held)),
        )


def _orders(count: int) -> Iterator[tuple[int, ...]]:
    """Yield the natural order, the reverse one and one at random."""
    natural = tuple(range(count))
    drawn = tuple(np.random.default_rng(0).permutation(count).tolist())
    yield from (natural, natural[::-1], drawn)


def _task(samples: ContinualSamples, name: str, own: NDArray[np.bool_]) -> StreamTask:
    whole = LabelledPart(samples.features, samples.label, samples.domain)
    train, held = (np.intersect1d(np.flatnonzero(own), p) for p in (samples.train, samples.held))
    return StreamTask(name, take(whole, train), take(whole, held))


def _stream(
    samples: ContinualSamples, world: str, order: Sequence[int], tasks: Sequence[StreamTask]
) -> TaskStream:
    return TaskStream(
        world=world,
        variant=" ".join(map(str, order)),
        tasks=tuple(tasks),
        spans=samples.spans,
        labels=tuple(f"class {one}" for one in range(samples.classes)),
        domains=tuple(f"domain {one}" for one in range(samples.domains)),
    )


def take(whole: LabelledPart, rows: Rows) -> LabelledPart:
    """Return some of the rows."""
    return LabelledPart(whole.features[rows], whole.targets[rows], whole.domains[rows])
