"""Class-incremental learning: the runtime compared with the usual peers.

PACS, seven classes one by one, with unknown domains at test time (facts are learned with their
domain; "auricle, one domain" gets none).  CIFAR-10, five tasks of two and ten tasks of one class.
Several orders; order-independent methods are fitted once per set of classes.  Then few samples: 1,
5 or 10 per class (PACS: per class and domain).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import numpy as np

from benchmarks.continual import closed_form as cl_closed
from benchmarks.continual import gradient as cl_sgd

from ..report import BenchmarkReport, BenchmarkRow
from .accuracy import Marks, Order, accuracies, marks
from .data import (
    CIFAR,
    PACS,
    ContinualSamples,
    ContinualView,
    Rows,
    load_cifar,
    load_pacs,
    missing,
    views,
)
from .ours import answer_rows, derive

ORDERS = 3
"""Orders of classes: as given, reversed, and one drawn.  Ours depends on none of them."""
SHOTS = (1, 5, 10)
"""Labels a class, as few-shot papers report them."""
DRAWS = 3
"""Draws of the few labels, for a mean and a range."""
VALIDATION = 1_000
"""Rows that settings of peers are chosen on; a standard error below 1.6 points."""
OURS, ALONE, JOINT = "auricle", "auricle, one domain", "joint training"
PEERS = ("NCM", "SLDA", "RanPAC")
REPLAYS = ("replay 100", "replay 500")

Right = dict[frozenset[int], dict[int, float]]


@dataclass(frozen=True, slots=True, eq=False)
class ClassOrder:
    """One set of samples, split into tasks of some classes each, in several orders."""

    name: str
    samples: ContinualSamples
    size: int
    classes: tuple[Order, ...]
    given: dict[str, ContinualView] = field(repr=False)

    @property
    def orders(self) -> tuple[tuple[Order, ...], ...]:
        """Return each order as its tasks: the classes that arrive together."""
        cut = range(0, self.samples.classes, self.size)
        return tuple(tuple(order[at : at + self.size] for at in cut) for order in self.classes)

    @property
    def sets(self) -> tuple[frozenset[int], ...]:
        """Return every set of classes that is known at some time."""
        return tuple({known: None for order in self.orders for known in _prefixes(order)})

    def rows(self, part: Rows, known: frozenset[int]) -> Rows:
        """Return the rows of a part with some classes."""
        return part[np.isin(self.samples.label[part], sorted(known))]


def run(data: Path | None) -> BenchmarkReport:
    """Run all orders; about ten minutes on one core."""
    note = missing(data, *PACS, CIFAR)
    if note or data is None:
        return BenchmarkReport("classes", (), {}, (note,))
    rows: list[BenchmarkRow] = []
    pacs, cifar = load_pacs(data), load_cifar(data)
    for name, samples, sizes in (("pacs", pacs, (1,)), ("cifar", cifar, (1, 2))):
        given = views(samples)
        courses = [course(name, samples, size, given) for size in sizes]
        for peer in (*PEERS, JOINT):
            rows += closed(courses, peer)
        for own in (OURS, ALONE) if samples.domains > 1 else (OURS,):
            rows += ours(courses, own)
        rows += [row for c in courses for peer in REPLAYS for row in gradual(c, peer)]
        rows += few(courses[0])
    return BenchmarkReport("classes", tuple(rows), summary(rows))


def closed(courses: list[ClassOrder], name: str) -> Iterator[BenchmarkRow]:
    """Measure an order-independent peer, once for all orders of one set."""
    samples, given = courses[0].samples, courses[0].given
    peer = cl_closed.choose(name, given, *cl_closed.folds(samples.train), (0,))
    every = frozenset(range(samples.classes))
    table: Right = {}
    for known in (every,) if name == JOINT else courses[0].sets:
        test = courses[0].rows(samples.held, known)
        scores = peer.learners[0](given[peer.way], courses[0].rows(samples.train, known), test)
        table[known] = _by_class(courses[0], test, scores.argmax(axis=1), known)
    if name == JOINT:
        yield BenchmarkRow(JOINT, f"{courses[0].name}_final_accuracy", fmean(table[every].values()))
    else:
        yield from _rows(courses, name, table)


def ours(courses: list[ClassOrder], name: str) -> Iterator[BenchmarkRow]:
    """Measure the runtime's knowledge, facts in their domains or all in one."""
    table: Right = {}
    samples = courses[0].samples
    for known in courses[0].sets:
        test = courses[0].rows(samples.held, known)
        domain = "domain-0" if name == ALONE else ""
        made = derive(samples, courses[0].rows(samples.train, known), 0, domain)
        table[known] = _by_class(courses[0], test, answer_rows(made, samples, test).answered, known)
    yield from _rows(courses, name, table)


def gradual(course: ClassOrder, name: str) -> Iterator[BenchmarkRow]:
    """Measure a peer that learns by gradient descent, in every order."""
    found: list[Marks] = []
    numbers = tuple(range(len(course.orders[0])))
    train, held = course.samples.train, course.samples.held
    first = {at: course.rows(train, frozenset(course.orders[0][at])) for at in numbers}
    way, rate = cl_sgd.choose(course.given, numbers, first, name)
    view, peer = course.given[way], cl_sgd.PEERS[name]
    for seed, order in enumerate(course.orders):
        tasks = {at: course.rows(train, frozenset(order[at])) for at in numbers}
        tests = {at: course.rows(held, frozenset(order[at])) for at in numbers}
        table = {
            prefix: state.accuracies_by_task(view, {at: tests[at] for at in prefix})
            for prefix, state in cl_sgd.states(
                [numbers], tasks, view=view, peer=peer, rate=rate, seed=seed
            )
        }
        found.append(marks(table, [numbers], ordered=True))
    suffix = f"_{len(course.orders[0])}x{course.size}" if course.name == "cifar" else ""
    yield BenchmarkRow(
        name, f"{course.name}{suffix}_final_accuracy", fmean(one for one, _ in found)
    )
    yield BenchmarkRow(name, f"{course.name}{suffix}_forgetting", fmean(one for _, one in found))


def few(course: ClassOrder) -> Iterator[BenchmarkRow]:
    """Measure the runtime and the peers with few samples of each class, all classes at once."""
    samples, given = course.samples, course.given
    right: dict[tuple[str, int], list[float]] = {}
    for count in SHOTS:
        for draw in range(DRAWS):
            rows = _draw(samples, count, draw)
            answers = {
                OURS: answer_rows(derive(samples, rows, draw), samples, samples.held).answered
            }
            rest = np.setdiff1d(samples.train, rows)
            test = np.random.default_rng(draw).choice(rest, VALIDATION, replace=False)
            for name in (*PEERS, JOINT):
                peer = cl_closed.choose(name, given, rows, test, (draw,))
                scores = peer.learners[0](given[peer.way], rows, samples.held)
                answers[name] = scores.argmax(axis=1).astype(np.int64)
            for name, answered in answers.items():
                found = float((answered == samples.label[samples.held]).mean())
                right.setdefault((name, count), []).append(found)
    for (name, count), found_all in right.items():
        yield BenchmarkRow(name, f"{course.name}_{count}_a_class", fmean(found_all))


def summary(rows: list[BenchmarkRow]) -> dict[str, float]:
    """Return the summary: the runtime's figures, the best peer's and joint training's."""
    value = {(row.method, row.metric): row.value for row in rows}
    made = {}
    for name in ("pacs", "cifar"):
        metrics = {row.metric for row in rows if row.metric.startswith(name)}
        final = sorted(one for one in metrics if one.endswith("final_accuracy"))
        made[f"final_accuracy_{name}"] = value[OURS, f"{name}_final_accuracy"]
        made[f"best_peer_{name}"] = max(
            found
            for (method, metric), found in value.items()
            if metric in final and not method.startswith((OURS, JOINT))
        )
        made[f"joint_{name}"] = value[JOINT, f"{name}_final_accuracy"]
    lost = [row.value for row in rows if row.method == OURS and row.metric.endswith("forgetting")]
    return made | {"forgetting": max(lost)}


def course(
    name: str, samples: ContinualSamples, size: int, given: dict[str, ContinualView]
) -> ClassOrder:
    """Split the classes into tasks of a size: in natural order, reversed, and at random."""
    natural = tuple(range(samples.classes))
    random = np.random.default_rng(0)
    drawn = (tuple(random.permutation(samples.classes).tolist()) for _ in range(ORDERS - 2))
    return ClassOrder(name, samples, size, (natural, natural[::-1], *drawn), given)


def _prefixes(order: tuple[Order, ...]) -> list[frozenset[int]]:
    return [
        frozenset(one for task in order[: length + 1] for one in task)
        for length in range(len(order))
    ]


def _by_class(
    course: ClassOrder, test: Rows, answered: np.ndarray, known: frozenset[int]
) -> dict[int, float]:
    label = course.samples.label[test]
    return accuracies(label, answered == label, sorted(known))


def _rows(courses: list[ClassOrder], name: str, table: Right) -> Iterator[BenchmarkRow]:
    """Return the metrics of a table by sets of classes, for every split of the classes into
    tasks."""
    for course in courses:
        found = []
        for order in course.orders:
            numbers = tuple(range(len(order)))
            by_task = {
                frozenset(numbers[: length + 1]): {
                    at: fmean(table[known][one] for one in order[at])
                    for at in numbers[: length + 1]
                }
                for length, known in enumerate(_prefixes(order))
            }
            found.append(marks(by_task, [numbers], ordered=False))
        suffix = f"_{len(course.orders[0])}x{course.size}" if len(courses) > 1 else ""
        if course is courses[0]:
            yield BenchmarkRow(
                name, f"{course.name}_final_accuracy", fmean(mark for mark, _ in found)
            )
        yield BenchmarkRow(
            name, f"{course.name}{suffix}_forgetting", fmean(mark for _, mark in found)
        )


def _draw(samples: ContinualSamples, count: int, draw: int) -> Rows:
    """Draw a number of training rows of every class in every domain."""
    order = np.random.default_rng(draw).permutation(samples.train)
    concepts = samples.domain[order] * samples.classes + samples.label[order]
    chosen = [order[concepts == one][:count] for one in np.unique(concepts)]
    return np.sort(np.concatenate(chosen))
