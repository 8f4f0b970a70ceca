"""Exact unlearning and every published method of the harness, on the same requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import nan
from pathlib import Path
from typing import Final

from threadpoolctl import threadpool_limits

from edge.sim.unlearning import (
    FLOOR,
    KNOWN_PART,
    POISON,
    MethodLine,
    UnlearningOutcome,
    best_peer,
    peers_of,
    run_unlearning,
    summarise_methods,
)

from ..continual.data import PACS, missing
from ..report import BenchmarkReport, BenchmarkRow
from .ours import ExactOutcome, measure_exact
from .sets import comparison_sets, draw_pacs

OURS: Final = "auricle"
"""The method of our rows."""
EXACT: Final = "exact"
"""The part of the product's own adaptors."""
FIGURES: Final = (
    "retain",
    "forget",
    "test",
    "mia",
    "lira",
    "kl_forget",
    "relearn",
    "distance",
    "cost",
)
"""Means over all requests that the report lists for each method."""


def run(data: Path | None, sets: Sequence[str] = ()) -> BenchmarkReport:
    """Compare on all sets or some; about fifteen minutes for all."""
    outcomes: list[UnlearningOutcome] = []
    exact: list[ExactOutcome] = []
    notes: list[str] = []
    with threadpool_limits(1):
        for one in comparison_sets(data):
            if sets and one.name not in sets:
                continue
            if one.skipped:
                notes.append(f"{one.name}: {one.skipped}")
                continue
            outcomes += run_unlearning(one.draw, one.recipe, one.seeds)
        absent = missing(data, *PACS)
        if not sets or EXACT in sets:
            if data is None or absent:
                notes.append(f"{EXACT}: {absent}")
            else:
                exact += measure_exact(*draw_pacs(data, 1))
    lines = summarise_methods(outcomes)
    rows = [*_method_rows(lines), *_exact_rows(exact)]
    return BenchmarkReport("unlearn", tuple(rows), summarise_comparison(lines, exact), tuple(notes))


def _method_rows(lines: Sequence[MethodLine]) -> Iterator[BenchmarkRow]:
    for line in lines:
        for request, gap in line.gaps.items():
            yield BenchmarkRow(line.method, f"gap, {request}", gap)
        for name in FIGURES:
            yield BenchmarkRow(line.method, name, getattr(line.figures, name))
        yield BenchmarkRow(line.method, "lira difference", line.lira_difference)
        yield BenchmarkRow(line.method, "worst gap", line.worst)


def _exact_rows(exact: Sequence[ExactOutcome]) -> Iterator[BenchmarkRow]:
    for one in exact:
        where = f"exact, {one.kind}, {one.request}"
        yield BenchmarkRow(OURS, f"{where}: gap", one.gap)
        yield BenchmarkRow(OURS, f"{where}: bits that differ", float(one.bits))
        yield BenchmarkRow(OURS, f"{where}: CPU s", one.seconds)


def summarise_comparison(
    lines: Sequence[MethodLine], exact: Sequence[ExactOutcome]
) -> dict[str, float]:
    """Return the figures of the summary, of what was measured."""
    found: dict[str, float] = {}
    by_name = {line.method: line for line in lines}
    best = best_peer(lines)
    if best is not None:
        floor = by_name[FLOOR]
        found["oracle_floor_gap"] = sum(floor.gaps.values()) / len(floor.gaps)
        found["best_peer_gap_worst"] = best.worst
        found["best_peer_gap_poisoned"] = _poisoned(peers_of(lines))
        found["methods"] = float(len(peers_of(lines)) + 1)
        exact_part = [line for line in lines if line.method == KNOWN_PART]
        found["ours_gap_poisoned"] = _poisoned(exact_part)
    if exact:
        found["ours_gap_worst"] = max(one.gap for one in exact)
        found["ours_bits"] = float(sum(one.bits for one in exact))
        found["ours_lira_minus_twin"] = max((o.lira_difference for o in exact), key=abs)
        found["ours_cpu_s_max"] = max(one.seconds for one in exact)
        spent, needed = sum(o.seconds for o in exact), sum(o.retrained for o in exact)
        found["cost_over_retrain_ours"] = spent / needed
    return found


def _poisoned(lines: Sequence[MethodLine]) -> float:
    """Return the smallest mean gap on poison of which a part is known."""
    gaps = [[gap for request, gap in line.gaps.items() if POISON in request] for line in lines]
    return min((sum(one) / len(one) for one in gaps if one), default=nan)
