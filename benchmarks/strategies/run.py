"""Every strategy of the table on every stream, each at its best setting on validation rows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Final

from threadpoolctl import threadpool_limits

from edge.sim.strategies import STRATEGIES, TaskStream, left_out

from ..report import BenchmarkReport, BenchmarkRow
from .courses import CourseOutcome, RememberedGrowth, run_course
from .grids import candidates
from .streams import (
    digits,
    missing_pacs,
    pacs_classes,
    pacs_domains,
    releases,
    small_tasks,
    validation,
)
from .tricks import TRICKS, run_tricks

SEEDS: Final = (0, 1, 2)
"""Seeds of every strategy: each has a third of the variants."""
OURS: Final = "auricle"
OWN: Final = frozenset({OURS, "auricle, heads"})
BOUND: Final = "joint"
"""Keeps every row: it is no peer."""
SUMS: Final = frozenset({"ncm", "slda", "ridge", "ranpac"})
"""Peers that train nothing."""
SLOWEST: Final = "pacs classes"
"""The world that a quick run leaves out."""
QUICK_ORDERS: Final = 2
"""Orders of the domains in a quick run."""

WORLDS: Final[Mapping[str, Callable[[Path | None], tuple[TaskStream, ...]]]] = {
    "digits": digits,
    "small tasks": small_tasks,
    "releases": releases,
    "pacs domains": lambda data: pacs_domains(_needed(data)),
    "pacs classes": lambda data: pacs_classes(_needed(data)),
}
"""Each world of streams by its name."""


class MissingStreamError(Exception):
    """A world needs files or packages that are not there."""


def run(data: Path | None, *, quick: bool = False, sets: Sequence[str] = ()) -> BenchmarkReport:
    """Compare all strategies on all worlds or some; `tricks` is the ablation.

    Quick: one seed, two orders, the table's settings, no growth, and no classes of PACS.  Cost in
    CPU time: about a minute and a half for a quick run, about an hour for all.  Raises SystemExit
    for a world that does not exist.
    """
    unknown = [name for name in sets if name not in {*WORLDS, TRICKS}]
    if unknown:
        expected = ", ".join([*WORLDS, TRICKS])
        raise SystemExit(f"strategies: unknown set {unknown[0]!r}, expected some of {expected}")
    absent = left_out()
    notes = [f"{name}: {reason}" for name, reason in absent.items()]
    names = [name for name in STRATEGIES if name not in absent]
    if quick:
        names.remove(OURS)
        notes.append("quick: the table's settings, one seed, no growth, no pacs classes")
    outcomes: list[CourseOutcome] = []
    rows: list[BenchmarkRow] = []
    with threadpool_limits(1):
        for world in sets or [one for one in WORLDS if not (quick and one == SLOWEST)]:
            if world == TRICKS:
                continue
            try:
                streams = WORLDS[world](data)
            except MissingStreamError as reason:
                notes.append(f"{world}: {reason}")
                continue
            outcomes += run_world(streams, names, quick=quick)
        if TRICKS in sets or not (sets or quick):
            rows = [
                BenchmarkRow(line, f"tricks, {world}", value)
                for (line, world), value in run_tricks(data, SEEDS).items()
            ]
    notes += [
        f"{one.strategy} left out of {one.world}: {one.diverged}"
        for one in outcomes
        if one.diverged
    ]
    return make_report(outcomes, rows, notes)


def run_world(
    streams: Sequence[TaskStream], names: Sequence[str], *, quick: bool = False
) -> list[CourseOutcome]:
    """Run strategies through one world: every variant once, with the seeds in turn."""
    found = []
    for name in names:
        settings = {} if quick else tuned(name, streams[0])
        for seed in SEEDS[:1] if quick else SEEDS:
            ordered = len(streams) > len(SEEDS)  # All orders of the domains.
            chosen = streams[seed :: len(SEEDS)]
            made = run_course(
                name,
                chosen[:QUICK_ORDERS] if quick else chosen,
                seed,
                settings,
                grow=RememberedGrowth() if name == OURS else None,
                share=ordered,
            )
            found += made
        own = [one.final for one in found if one.strategy == name and not one.diverged]
        mean = f"{fmean(own):.4f}" if own else "diverged"
        print(f"{streams[0].world}: {name} {mean} {settings}", file=sys.stderr, flush=True)
    return found


def tuned(name: str, stream: TaskStream) -> dict[str, Any]:
    """Return the settings with the best final accuracy on validation rows of a stream."""
    every = list(candidates(name))
    if len(every) == 1:
        return every[0]
    held = validation(stream)

    def grade(settings: dict[str, Any]) -> float:
        (made,) = run_course(name, [held], 0, settings)
        return -1.0 if made.diverged else made.final

    return max(every, key=grade)


def make_report(
    outcomes: Sequence[CourseOutcome],
    extra: Sequence[BenchmarkRow] = (),
    notes: Sequence[str] = (),
) -> BenchmarkReport:
    """Return the report of some outcomes; accuracies are fractions."""
    rows = [row for line in by_line(outcomes) for row in line_rows(*line)]
    return BenchmarkReport("strategies", (*rows, *extra), summarise(rows), tuple(notes))


def by_line(outcomes: Sequence[CourseOutcome]) -> Iterator[tuple[str, str, list[CourseOutcome]]]:
    """Yield each strategy and world with its outcomes; one that diverged anywhere is left out."""
    for key in dict.fromkeys((one.strategy, one.world) for one in outcomes):
        own = [one for one in outcomes if (one.strategy, one.world) == key]
        if not any(one.diverged for one in own):
            yield (*key, own)


def line_rows(
    strategy: str, world: str, outcomes: Sequence[CourseOutcome]
) -> Iterator[BenchmarkRow]:
    """Yield the figures of a strategy on a world: means over variants and seeds, and the deviation
    of the seeds' means."""
    seeds = dict.fromkeys(one.seed for one in outcomes)
    finals = [fmean(one.final for one in outcomes if one.seed == seed) for seed in seeds]
    yield BenchmarkRow(strategy, f"{world}: accuracy", fmean(finals))
    if len(finals) > 1:
        yield BenchmarkRow(strategy, f"{world}: accuracy, sd", stdev(finals))
    for name, values in {
        "forgetting": [one.forgetting for one in outcomes],
        "learning, CPU s": [one.cpu_s for one in outcomes],
        "answering, CPU s": [one.answer_s for one in outcomes],
        "KiB": [one.nbytes / 1024 for one in outcomes],
    }.items():
        yield BenchmarkRow(strategy, f"{world}: {name}", fmean(values))


def summarise(rows: Sequence[BenchmarkRow]) -> dict[str, float]:
    """Return the summary: the runtime's mean accuracy over worlds, that of the best peer, the
    difference, the worst of the differences to the best peer of each world, in points, and the
    runtime's CPU time of learning over that of the best trained peer.

    Without the runtime's own row, as in a quick run, its heads stand for it.
    """
    table: dict[str, dict[str, float]] = {}
    for row in rows:
        table.setdefault(row.metric, {})[row.method] = row.value
    accuracy = {k.rpartition(":")[0]: v for k, v in table.items() if k.endswith(": accuracy")}
    if not accuracy:
        return {}
    ours = OURS if all(OURS in line for line in accuracy.values()) else "auricle, heads"
    methods = {name for line in accuracy.values() for name in line}
    peers = [
        name
        for name in sorted(methods - OWN - {BOUND})
        if all(name in line for line in accuracy.values())
    ]
    means = {one: fmean(line[one] for line in accuracy.values()) for one in (ours, *peers)}
    best = max(peers, key=means.__getitem__)
    trained = max((one for one in peers if one not in SUMS), key=means.__getitem__)
    apart = [
        line[ours] - max(line[one] for one in line if one in peers) for line in accuracy.values()
    ]
    spent = {
        one: sum(table[f"{world}: learning, CPU s"][one] for world in accuracy)
        for one in (ours, trained)
    }
    return {
        "ours": means[ours],
        "best_peer": means[best],
        "methods": float(len(methods)),
        "ours_over_best_peer_points": 100 * (means[ours] - means[best]),
        "worst_stream_points": 100 * min(apart),
        "compute_ratio": spent[ours] / max(spent[trained], 1e-9),
    }


def _needed(data: Path | None) -> Path:
    reason = missing_pacs(data)
    if reason or data is None:
        raise MissingStreamError(reason)
    return data
