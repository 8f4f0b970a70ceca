"""What a user waits for, and memory, over the number of facts and domains; each point in a fresh
process."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..report import BenchmarkReport, BenchmarkRow
from .worlds import SizedHome

FACTS: Mapping[str, tuple[int, ...]] = {
    "numbers": (1_000, 10_000, 100_000, 1_000_000),
    "image": (1_000, 10_000, 100_000),
}
"""Decades; a million images are 2 GB of features, more than a gateway keeps."""

DOMAINS = (1, 30, 1_000)
"""One machine, a plant, and as many streams as are followed."""

QUICK = 10_000
"""Most facts of a quick run."""

SLOPED = (
    "open_s",
    "learn_ms",
    "first_decision_ms",
    "label_to_decision_ms",
    "decision_us",
    "forget_outside_ms",
    "forget_inside_ms",
    "verify_s",
    "backup_s",
    "rss_mib",
)
"""Figures whose growth is summarised."""

MIDDLE = 30
"""Domains of the homes that the summary is about."""

ROOT = Path(__file__).parents[2]
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
Figures = dict[str, float]


def run(
    _data: Path | None, *, quick: bool = False, sets: Sequence[str] | None = None
) -> BenchmarkReport:
    """Measure all homes; no data needed.  An hour, quick a few minutes.

    sets: only these, as KIND-FACTS-DOMAINS, for example image-10000-30.
    """
    found: dict[SizedHome, Figures] = {}
    for world in _worlds(quick=quick):
        if sets is None or _name(world) in sets:
            found[world] = _measure(world)
    rows = [
        BenchmarkRow(_name(world), metric, value)
        for world, figures in found.items()
        for metric, value in figures.items()
    ]
    notes = (
        "times: processor time of the serving thread; refit_s: of the background after a label",
        "forget_*: of all threads, from the request until the receipt and its fits",
        "methods are KIND-FACTS-DOMAINS; image: 2,064 columns, numbers: 24",
    )
    return BenchmarkReport("scale", tuple(rows), _summary(found), notes)


def _worlds(*, quick: bool) -> Iterable[SizedHome]:
    """Yield the homes to measure, small ones first."""
    made = [
        SizedHome(kind, facts, domains)
        for kind, sizes in FACTS.items()
        for facts in sizes
        for domains in DOMAINS
        if domains < facts and (not quick or (facts <= QUICK and domains <= MIDDLE))
    ]
    return sorted(made, key=lambda one: (one.facts, one.domains, one.kind))


def _measure(world: SizedHome) -> Figures:
    """Measure one home in a process of its own."""
    shape = (world.kind, str(world.facts), str(world.domains))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale.measure", *shape],
        stdout=subprocess.PIPE,
        check=True,
        cwd=ROOT,
        env={**os.environ, **THREADS},
    )
    figures: Figures = json.loads(done.stdout)
    return figures


def _summary(found: Mapping[SizedHome, Figures]) -> Figures:
    """Return the figures of the issue, as far as they were measured, and slopes over facts."""
    at = {(one.kind, one.facts, one.domains): figures for one, figures in found.items()}
    wanted = {
        "open_s_100k": (("image", 100_000, MIDDLE), "open_s"),
        "open_s_1m_numbers": (("numbers", 1_000_000, MIDDLE), "open_s"),
        "label_to_decision_ms_10k_image": (("image", 10_000, MIDDLE), "label_to_decision_ms"),
        "label_to_decision_ms_100k": (("image", 100_000, MIDDLE), "label_to_decision_ms"),
        "forget_outside_ms_100k": (("image", 100_000, MIDDLE), "forget_outside_ms"),
        "forget_inside_ms_100k": (("image", 100_000, MIDDLE), "forget_inside_ms"),
        "learn_ms_1m_numbers": (("numbers", 1_000_000, MIDDLE), "learn_ms"),
        "rss_mib_100k": (("image", 100_000, MIDDLE), "rss_mib"),
        "rss_mib_1000_domains": (("numbers", 10_000, 1_000), "rss_mib"),
    }
    made = {
        name: at[key][metric] for name, (key, metric) in wanted.items() if metric in at.get(key, {})
    }
    for kind in FACTS:
        sizes = sorted(one.facts for one in found if (one.kind, one.domains) == (kind, MIDDLE))
        for metric in SLOPED:
            points = [(n, at[kind, n, MIDDLE].get(metric, 0.0)) for n in sizes]
            slope = _slope([(n, value) for n, value in points if value > 0])
            if slope is not None:
                made[f"slope_{kind}_{metric}"] = slope
    return made


def _slope(points: Sequence[tuple[int, float]]) -> float | None:
    """Return the least-squares slope of log(value) over log(facts); None for one point."""
    if len(points) < 2:
        return None
    logs = [(math.log(n), math.log(value)) for n, value in points]
    middle = [sum(column) / len(logs) for column in zip(*logs, strict=True)]
    across = sum((x - middle[0]) * (y - middle[1]) for x, y in logs)
    return float(across / sum((x - middle[0]) ** 2 for x, _ in logs))


def _name(world: SizedHome) -> str:
    return f"{world.kind}-{world.facts}-{world.domains}"
