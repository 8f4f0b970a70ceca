"""Streams of tasks from labelled domains: domain after domain, new classes, new releases.

To add a stream: one function from domains to a `TaskStream` and one line in STREAMS.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...core import ConfigError
from ..adaptation.source_model import LabelledRows, seeded
from .strategy import LabelledPart, StreamTask, TaskStream

Rows = NDArray[np.intp]

RELEASE_LABELS_MIN: Final = 4
"""Fewest classes of a stream of releases: two at first, a new one, and one that takes over a
label."""
RELEASE_START: Final = 0.4
"""Share of the classes that the first release knows.  Chosen by hand; effect not measured."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StreamSource:
    """Labelled domains, and how they become tasks.  order: 0 for the order in which they are
    written, more for shuffled ones; held_out: share of each class of each domain that is only
    tested; seed: chooses the held-out rows and the order of the others."""

    world: str
    domains: Mapping[str, LabelledRows] = field(repr=False)
    labels: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    order: int = 0
    held_out: float = 0.25
    classes_per_task: int = 2
    seed: int = 0


def domain_stream(source: StreamSource) -> TaskStream:
    """Return a task for each domain: domain-incremental learning."""
    names = tuple(source.domains)
    turn = _ordered(source, len(names))
    train, test = _split_pool(source)
    tasks = [
        StreamTask(
            names[at],
            train.select(np.flatnonzero(train.domains == at)),
            test.select(np.flatnonzero(test.domains == at)),
        )
        for at in turn
    ]
    return _stream(source, tasks)


def class_stream(source: StreamSource) -> TaskStream:
    """Return a task for each few labels, of all domains: class-incremental learning."""
    turn = _ordered(source, len(source.labels))
    step = source.classes_per_task
    train, test = _split_pool(source)
    tasks = []
    for at in range(0, len(turn), step):
        group = sorted(turn[at : at + step])
        name = ", ".join(source.labels[one] for one in group)
        tasks.append(StreamTask(name, _of(train, group), _of(test, group)))
    if len(tasks) < 2:
        raise ConfigError(
            f"making a stream of {source.world!r}: expected two tasks, found one of"
            f" {len(turn)} classes",
            "lower classes_per_task, or add classes",
        )
    return _stream(source, tasks)


def release_stream(source: StreamSource) -> TaskStream:
    """Return a task for each release of a set of labels.

    The first release knows two fifths of the classes, each under its own label.  Each later one
    brings a new label, lets another label mean a class that nothing meant before, and, from the
    third one on, drops a label.  A release shows only samples of what it brings.  So do releases of
    a library with their interfaces, whose changes the study by Weyssow et al. (2023,
    arXiv 2305.04106) follows; it covers new interfaces, not changed and dropped ones.
    """
    count = len(source.labels)
    if count < RELEASE_LABELS_MIN:
        raise ConfigError(
            f"making a stream of releases of {source.world!r}: expected"
            f" {RELEASE_LABELS_MIN} classes, found {count}",
            "add classes, or choose another stream",
        )
    train, test = _split_pool(source)
    tasks, replaces = [], []
    for number, release in enumerate(_plan_releases(source), 1):
        name = f"release {number}"
        tasks.append(
            StreamTask(name, _renamed(train, release.means), _renamed(test, release.means))
        )
        replaces.append(release.ended)
    return replace(_stream(source, tasks), replaces=tuple(replaces))


@dataclass(frozen=True, slots=True)
class _Release:
    """A release.  means: the class that each new or changed label stands for; ended: labels whose
    meaning ends."""

    means: Mapping[int, int]
    ended: frozenset[int]


def _plan_releases(source: StreamSource) -> list[_Release]:
    classes = _ordered(source, len(source.labels))
    first = max(2, int(len(classes) * RELEASE_START))
    known, coming = list(classes[:first]), list(classes[first:])
    releases = [_Release({label: label for label in known}, frozenset())]
    while coming:
        means, ended = {}, set()
        if len(coming) > 1:
            changed = known.pop(0)
            means[changed] = coming.pop()
            ended.add(changed)
        if len(releases) > 1 and len(known) > 1:
            ended.add(known.pop(0))
        label = coming.pop(0)
        means[label] = label
        known.append(label)
        releases.append(_Release(means, frozenset(ended)))
    return releases


def _ordered(source: StreamSource, count: int) -> list[int]:
    """Return the numbers up to a count in the order of a source, no two orders alike."""
    known = [list(range(count))]
    if source.order >= math.factorial(count):
        raise ConfigError(
            f"making streams of {source.world!r}: expected at most"
            f" {math.factorial(count)} orders of {count}, found number {source.order + 1}",
            "lower `orders`",
        )
    random = seeded("order", source.world, count)
    while len(known) <= source.order:
        drawn = random.permutation(count).tolist()
        if drawn not in known:
            known.append(drawn)
    return known[source.order]


def _split_pool(source: StreamSource) -> tuple[LabelledPart, LabelledPart]:
    """Return what is learned and what is held out of all domains, each in random order."""
    pool = LabelledPart(
        np.concatenate([rows.features for rows in source.domains.values()]),
        np.concatenate([rows.targets for rows in source.domains.values()]),
        np.repeat(np.arange(len(source.domains)), [len(rows) for rows in source.domains.values()]),
    )
    keys = pool.domains * len(source.labels) + pool.targets
    learned, held = split_rows(keys, source.held_out, seeded("split", source.world, source.seed))
    return pool.select(learned), pool.select(held)


def split_rows(
    keys: NDArray[np.int64], held_out: float, random: np.random.Generator
) -> tuple[Rows, Rows]:
    """Return the rows to learn and those held out, a share of the rows of each key, at least one
    where there are two; each in random order."""
    learned, held = [], []
    for key in np.unique(keys):
        rows = random.permutation(np.flatnonzero(keys == key))
        cut = min(max(1, round(held_out * len(rows))), len(rows) - 1)
        held.append(rows[:cut])
        learned.append(rows[cut:])
    return random.permutation(np.concatenate(learned)), random.permutation(np.concatenate(held))


def _of(part: LabelledPart, labels: Sequence[int]) -> LabelledPart:
    return part.select(np.flatnonzero(np.isin(part.targets, labels)))


def _renamed(part: LabelledPart, means: Mapping[int, int]) -> LabelledPart:
    """Return the rows of some classes under the labels that mean them."""
    label_of = {meant: label for label, meant in means.items()}
    found = _of(part, list(label_of))
    targets = np.array([label_of[int(one)] for one in found.targets], np.int64)
    return LabelledPart(found.features, targets, found.domains)


def _stream(source: StreamSource, tasks: Sequence[StreamTask]) -> TaskStream:
    return TaskStream(
        world=source.world,
        variant=f"order {source.order + 1}",
        tasks=tuple(tasks),
        spans=source.spans,
        labels=source.labels,
        domains=tuple(source.domains),
    )


def current_rows(stream: TaskStream, task: int, after: int) -> NDArray[np.bool_]:
    """Return which test rows of a task still mean what they meant after a later task was
    learned."""
    ended = [labels for labels in stream.replaces[task + 1 : after + 1] if labels]
    gone = sorted(frozenset[int]().union(*ended))
    return ~np.isin(stream.tasks[task].test.targets, gone)


STREAMS: Final[Mapping[str, Callable[[StreamSource], TaskStream]]] = {
    "domains": domain_stream,
    "classes": class_stream,
    "releases": release_stream,
}
"""The streams of labelled domains, by name."""
