"""Digests of adaptor records."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

import nas
from edge.core.adaptors.record import AdaptorRecord

ARRAYS = {"W": np.arange(6, dtype=np.float32).reshape(2, 3), "g": np.ones(2, np.float32)}
RECORD = AdaptorRecord(
    domain="home",
    version=1,
    blueprint=nas.Blueprint(kind="linear", taps=(0,), width=3),
    arrays=ARRAYS,
    facts=("a", "b"),
    own=2,
    seed=7,
    accuracy=0.9,
    incumbent=0.8,
)


@pytest.mark.parametrize(
    "change",
    [
        {"domain": "yard"},
        {"blueprint": nas.Blueprint(kind="linear", taps=(1,), width=3)},
        {"facts": ("a", "c")},
        {"facts": ("a",)},
        {"seed": 8},
        {"arrays": {**ARRAYS, "W": ARRAYS["W"] + 1}},
        {"arrays": {**ARRAYS, "W": ARRAYS["W"].reshape(3, 2)}},
        {"arrays": {**ARRAYS, "W": ARRAYS["W"].astype(np.float64)}},
        {"arrays": {"V": ARRAYS["W"], "g": ARRAYS["g"]}},
        {"arrays": {"W": ARRAYS["W"]}},
    ],
)
def test_the_digest_covers_the_contents(change: dict[str, Any]):
    """Domain, blueprint, facts, seed, and each array with name, shape and dtype change the
    digest."""
    assert replace(RECORD, **change).digest != RECORD.digest


@pytest.mark.parametrize("change", [{"version": 2}, {"accuracy": 0.5}, {"own": 1}])
def test_the_digest_ignores_version_and_measurements(change: dict[str, Any]):
    """Version, accuracy, fact count and memory layout do not change the digest."""
    assert replace(RECORD, **change).digest == RECORD.digest
    turned = {name: np.asfortranarray(array) for name, array in reversed(ARRAYS.items())}
    assert replace(RECORD, arrays=turned).digest == RECORD.digest
