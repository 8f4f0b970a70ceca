"""The digests of what a set of facts leads to, stage by stage."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

import encoder
import hdc
from edge.core import Fact, MemoryLedger
from edge.core.knowledge import Knowledge, derive_knowledge, fit_geometry

from .sets import SETS, MachineSet

CARD = "machines"  # stands for the fingerprint of an encoder card
SEED = 1  # of the hypervectors; any number will do
STAGES = ("geometry", "memory", "calibration", "verdicts", "knowledge")
"""In the order in which one follows from another."""

DIGITS = 16
"""Hexadecimal digits that are kept: 64 bits distinguish some hundred digests."""

EXPECTED = Path(__file__).with_name("expected.json")
"""Digests that every machine must find, as `dump` writes them."""

Digests = dict[str, dict[str, str]]
"""Digests by stage, by name of the set."""


def digests_of(names: Iterable[str]) -> Digests:
    """Return the digests of some sets."""
    return {
        name: {stage: found[:DIGITS] for stage, found in _digests(SETS[name]()).items()}
        for name in names
    }


def dump(names: Iterable[str]) -> str:
    """Return the digests of some sets as JSON, with the architecture that found them."""
    content = {"architecture": platform.machine(), "digests": digests_of(names)}
    return json.dumps(content, indent=1)


def load(path: Path) -> tuple[str, Digests]:
    """Return the architecture and the digests of a file that `dump` wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return str(content["architecture"]), content["digests"]


def differing(one: Mapping[str, Mapping[str, str]], other: Digests) -> dict[str, tuple[str, ...]]:
    """Return the stages that differ, for each set in both that has any."""
    found = {}
    for name in one.keys() & other.keys():
        stages = tuple(s for s in STAGES if one[name].get(s) != other[name].get(s))
        if stages:
            found[name] = stages
    return dict(sorted(found.items()))


def _digests(given: MachineSet) -> dict[str, str]:
    ledger = MemoryLedger(_facts(given))
    edges = np.cumsum([0, *given.taps]).tolist()
    spans = tuple(pairwise(edges))
    geometry = fit_geometry(ledger, spans, SEED, frozenset(), _quantiser(given))
    knowledge = derive_knowledge(ledger, geometry, card=CARD)
    for _ in range(given.doubled):
        knowledge.memory.merge(knowledge.memory.copy())
    calibration = knowledge.calibration()
    return {
        "geometry": geometry.fingerprint,
        "memory": knowledge.memory.digest(),
        "calibration": calibration.digest(),
        "verdicts": _verdicts(given, knowledge, calibration),
        "knowledge": knowledge.digest(CARD),
    }


def _facts(given: MachineSet) -> list[Fact]:
    count = len(given.features)
    times = np.zeros(count, np.int64) if given.times is None else given.times
    domains = np.zeros(count, np.int64) if given.domains is None else given.domains
    return [
        Fact(
            id=f"fact {at}",
            stream="stream",
            domain=f"domain {domains[at]}",
            label=f"label {given.labels[at]}",
            captured_at_ns=int(times[at]),
            features=given.features[at].tobytes(),
        )
        for at in range(count)
    ]


def _quantiser(given: MachineSet) -> encoder.Quantiser | None:
    if given.weights is None or given.zeros is None:
        return None
    return encoder.Quantiser(given.weights, given.zeros)


def _verdicts(given: MachineSet, knowledge: Knowledge, calibration: hdc.Calibration) -> str:
    """Return the digest of the verdicts on queries and facts, one by one and as a window."""
    codes = knowledge.geometry.project(np.concatenate([given.queries, given.features[:10]]))
    verdicts = [
        hdc.detect(codes[at], knowledge.memory, calibration, 0.05) for at in range(len(codes))
    ]
    window = hdc.detect_window(verdicts, calibration, 0.05)
    lines = [
        f"{v.known} {v.domain} {v.label} {v.score} {v.p_value.hex()} {v.deviation.hex()}"
        for v in verdicts
    ]
    lines.append(f"{window.known} {window.domain} {window.score.hex()} {window.p_value.hex()}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
