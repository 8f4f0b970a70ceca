"""Forgetting: pauses, cost, collateral, series, traces, fleets, duplicates and suspicious labels.

`pause_ms_p100_100k`: the longest gap between two decisions during any of six requests, at 100,000
facts of 24 numbers in 30 domains.  `forget_cpu_s_100k`: processor time of forgetting one fact that
the survey's sample does not hold; `forget_cpu_s_100k_inside` of one that it holds.  Each other
figure is described in the module of its part; `--sets` names parts, and `--quick` measures 10,000
facts and fewer sets.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from ..report import BenchmarkReport, BenchmarkRow
from .fleet import fleet_rows
from .traces import run as run_traces

FACTS: Final = 100_000
"""As the aim says."""

FACTS_QUICK: Final = 10_000
"""A tenth, which takes half a minute."""

DOMAINS: Final = 30
"""As in the benchmark `scale`."""

THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Set to one thread, as `auricle` sets them."""

PARTS: Final = ("pause", "adaptors", "series", "traces", "fleet", "duplicates", "suspect")


def run(data: Path | None, *, quick: bool = False, sets: Sequence[str] = PARTS) -> BenchmarkReport:
    """Run the benchmark.  data: needed by some parts.  sets: the parts to run."""
    unknown = [name for name in sets if name not in PARTS]
    if unknown:
        raise SystemExit(f"no such part: {', '.join(unknown)}; the parts are {', '.join(PARTS)}")
    rows: list[BenchmarkRow] = []
    summary: dict[str, float] = {}
    notes: list[str] = []
    for name in (name for name in PARTS if name in sets):
        found = _part(name, data, quick=quick)
        rows += found.rows
        summary |= found.summary
        notes += found.notes
    return BenchmarkReport("forget", tuple(rows), summary, tuple(notes))


def _part(name: str, data: Path | None, *, quick: bool) -> BenchmarkReport:
    match name:
        case "pause":
            return _pauses(FACTS_QUICK if quick else FACTS)
        case "traces":
            return run_traces(data)
        case "fleet":
            fleet = fleet_rows(range(1) if quick else range(2))
            isolated = next(one.value for one in fleet if one.metric == "fleet_isolatable_facts")
            return BenchmarkReport(name, tuple(fleet), {"fleet_isolatable_facts": isolated})
        case _:
            module = importlib.import_module(f"benchmarks.forget.{name}")
            report: BenchmarkReport = module.run(data, quick=quick)
            return report


def _module(name: str, words: Sequence[str]) -> bytes:
    """Run a module in a process of its own; return what it prints."""
    command = [sys.executable, "-m", name, *words]
    environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout


def _pauses(facts: int) -> BenchmarkReport:
    """Measure gaps and cost in a process of its own, so that nothing else is in its memory."""
    with tempfile.TemporaryDirectory(prefix="forget-") as folder:
        world = ("numbers", str(facts), str(DOMAINS), f"{folder}/home")
        _module("benchmarks.scale.worlds", world)
        found = msgspec.json.decode(
            _module("benchmarks.forget.pause", world), type=dict[str, float]
        )
    rows = tuple(BenchmarkRow("pause", name, value) for name, value in found.items())
    gaps = [value for name, value in found.items() if name.startswith("pause_ms")]
    size = f"{facts // 1_000}k"
    summary = {
        f"pause_ms_p100_{size}": max(gaps),
        f"forget_cpu_s_{size}": found["cpu_s_outside"],
        f"forget_cpu_s_{size}_inside": found["cpu_s_inside"],
    }
    return BenchmarkReport("pause", rows, summary)
