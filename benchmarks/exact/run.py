"""Exactness: random histories on the real store, and SIGKILL of a real process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

from ..report import BenchmarkReport, BenchmarkRow
from .histories import RandomHistory
from .kills import KillOutcome, kill_repeatedly

EVENTS = 200
"""Long enough for every kind of event to follow every other."""
HISTORIES = 100
"""Chosen by hand."""
KILLS = 40
"""Chosen by hand."""
KILLS_PER_FILE = 5
"""One file survives several kills in turn, so that damage would add up."""

T = TypeVar("T")


def run_history(seed: int) -> tuple[int, int]:
    """Run one history in a temporary folder; returns digest mismatches and forgotten items
    found."""
    with tempfile.TemporaryDirectory(prefix="history-") as folder:
        return RandomHistory(Path(folder), seed).run(EVENTS)


def run_kills(seed: int) -> KillOutcome:
    """Kill a process several times on one file in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        return kill_repeatedly(Path(folder), seed, KILLS_PER_FILE)


def run(_data: Path | None, histories: int = HISTORIES, kills: int = KILLS) -> BenchmarkReport:
    """Run histories and kills on all cores, a few minutes on two; no data needed.  Everything
    except the moments of the kills is seeded.  Before a release: `--histories 1000 --kills 200`,
    some hours."""
    # One thread per process: the work is many small problems.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    lived = _spread(run_history, range(histories))
    killed = _spread(run_kills, range(-(-kills // KILLS_PER_FILE)))
    wrong = {"histories": sum(m for m, _ in lived), "kills": sum(one.mismatches for one in killed)}
    found = {"histories": sum(f for _, f in lived), "kills": sum(one.found for one in killed)}
    rows = [BenchmarkRow(method, "digest_mismatches", value) for method, value in wrong.items()]
    rows += [BenchmarkRow(method, "forgotten_found", value) for method, value in found.items()]
    rows.append(BenchmarkRow("histories", "events", len(lived) * EVENTS))
    rows.append(BenchmarkRow("kills", "events", sum(one.durable for one in killed)))
    summary = {
        "histories": len(lived),
        "digest_mismatches": sum(wrong.values()),
        "kill9_runs": sum(one.kills for one in killed),
        "acknowledged_lost": sum(one.lost for one in killed),
        "forgotten_found": sum(found.values()),
    }
    return BenchmarkReport("exact", tuple(rows), summary)


def _spread(work: Callable[[int], T], seeds: Iterable[int]) -> list[T]:
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(work, seeds, chunksize=1))
