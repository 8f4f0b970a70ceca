"""`auricle audit` at 1,000 facts: its time, and what it finds after an exact forget.

Digits and PACS features in two domains, a subject with 5 % of the facts.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

import encoder
from edge.audit import AuditReport, rehearse
from edge.core import Enrol, Fact, Selector
from edge.home import Home, create_home

from ..report import BenchmarkReport, BenchmarkRow

FACTS: Final = 1_000
"""The size that the target of 60 s is about."""

SUBJECTS: Final = 20
"""Subjects with as many facts each: one is forgotten, 5 % of the facts."""

FILES: Final = ("pacs_efficientnet_lite0.npz", "pacs_efficientnet_lite0_stages.npz")

PACS_DOMAINS: Final = (1, 2)
"""Art paintings and cartoons."""

STAGES: Final = 7
"""Taps of the encoder below the pooled features."""


def run(data: Path | None) -> BenchmarkReport:
    """Rehearse a forget request on each data set, about three minutes."""
    rows: list[BenchmarkRow] = []
    with threadpool_limits(1):
        for name, columns in _sets(data):
            rows += _audit(name, columns)
    notes = () if data is not None else ("without data: no PACS",)
    return BenchmarkReport("audit", tuple(rows), _summary(rows), notes)


def _summary(rows: list[BenchmarkRow]) -> dict[str, float]:
    by_metric: dict[str, list[float]] = {}
    for row in rows:
        by_metric.setdefault(row.metric, []).append(row.value)
    return {
        "ours_lira_minus_twin": max(by_metric["lira: home less twin"], key=abs),
        "lira_twin": max(by_metric["lira: twin"]),
        "audit_s": max(by_metric["seconds"]),
        "audit_cpu_s": max(by_metric["processor seconds"]),
        "findings_failed": sum(by_metric["findings that fail"]),
        "comparisons_exact": min(by_metric["comparisons that are exact"]),
    }


def _sets(data: Path | None) -> Iterator[tuple[str, dict[str, NDArray[np.generic]]]]:
    digits = load_digits()
    chosen = np.random.default_rng(0).permutation(len(digits.data))[:FACTS]
    sides = np.array(["left", "right"])[np.arange(FACTS) % 2]
    yield "digits", _columns(digits.data[chosen], digits.target[chosen], sides, chosen)
    if data is None:
        return
    pooled, stages = (np.load(data / name) for name in FILES)
    taps = [pooled["features"], *(stages[f"stage{one}"] for one in range(1, STAGES + 1))]
    features = np.concatenate([one.astype(np.float32) for one in taps], axis=1)
    random, half = np.random.default_rng(0), FACTS // len(PACS_DOMAINS)
    places = [np.flatnonzero(pooled["domain"] == one) for one in PACS_DOMAINS]
    chosen = np.concatenate([random.choice(at, half, replace=False) for at in places])
    yield (
        "pacs",
        _columns(features[chosen], pooled["label"][chosen], pooled["domain"][chosen], chosen),
    )


def _columns(
    features: NDArray[np.generic],
    labels: NDArray[np.generic],
    domains: NDArray[np.generic],
    rows: NDArray[np.intp],
) -> dict[str, NDArray[np.generic]]:
    return {
        "features": features.astype(np.float32),
        "label": labels.astype(str),
        "domain": domains.astype(str),
        "id": np.array([f"item-{row:05d}-{row * 7919 % 99991:05d}" for row in rows]),
        "subject": np.array([f"person-{row % SUBJECTS:03d}" for row in range(len(rows))]),
    }


def _audit(name: str, columns: dict[str, NDArray[np.generic]]) -> Iterator[BenchmarkRow]:
    with tempfile.TemporaryDirectory() as where:
        home = Path(where) / "home"
        _make_home(home, columns)
        begun, spent = time.perf_counter(), time.process_time()
        report = rehearse(home, Selector(subject="person-003"), lambda *_: None)
        yield BenchmarkRow(name, "seconds", time.perf_counter() - begun)
        yield BenchmarkRow(name, "processor seconds", time.process_time() - spent)
    yield from _figures(name, report)


def _make_home(folder: Path, columns: dict[str, NDArray[np.generic]]) -> None:
    values = np.asarray(columns["features"], np.float32)
    quantiser = encoder.freeze_quantiser(values, (slice(0, values.shape[1]),), "channel")
    create_home(folder, encoder.vector_card(values.shape[1], "audit", quantiser), "")
    names = ("id", "label", "domain", "subject")
    texts = zip(*(map(str, columns[name].tolist()) for name in names), strict=True)
    facts = tuple(
        Fact(
            id=name,
            label=label,
            domain=domain,
            subject=subject,
            stream="bench",
            captured_at_ns=0,
            features=features.tobytes(),
        )
        for (name, label, domain, subject), features in zip(
            texts, quantiser.quantise(values), strict=True
        )
    )
    with Home(folder) as opened:
        opened.feed(Enrol(facts))
        opened.refit_geometry()


def _figures(name: str, report: AuditReport) -> Iterator[BenchmarkRow]:
    yield BenchmarkRow(name, "findings that fail", float(len(report.failed)))
    exact = sum(one.evidence == "proven" and one.outcome == "holds" for one in report.findings)
    yield BenchmarkRow(name, "comparisons that are exact", float(exact))
    for key, short in (("lira", "lira"), ("confidence_attack", "confidence")):
        found = next(one for one in report.findings if one.key == key)
        figures = {one.name: one for one in found.figures}
        difference = figures["difference"]
        assert difference.low is not None
        assert difference.high is not None
        yield BenchmarkRow(name, f"{short}: twin", figures["on the twin"].value)
        yield BenchmarkRow(name, f"{short}: home less twin", difference.value)
        yield BenchmarkRow(name, f"{short}: lower end", difference.low)
        yield BenchmarkRow(name, f"{short}: upper end", difference.high)
