"""Support for tests of series: trackers, real samples, and the comparison with a twin."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from edge.core.config import Config
from edge.core.events import Observation
from edge.core.forecasting.series import SeriesTracker
from edge.storage.network_weights import shipped_weights

STEP_NS = 1_800 * 10**9
BEGIN_NS = 10**18


def demand(count: int) -> np.ndarray:
    """Half-hourly electricity price and demand of New South Wales, or a random walk with a day's
    season where the data are missing: float64 [count, 2]."""
    path = Path(os.environ.get("AURICLE_DATA", "nowhere")) / "elec2.npz"
    if path.exists():
        values: np.ndarray = np.load(path)["values"].astype(float)
        part: np.ndarray = values[20_000 : 20_000 + count, 1:3]
        return part
    walk: np.ndarray = np.cumsum(np.random.default_rng(0).normal(size=(count, 2)), axis=0)
    made: np.ndarray = 100 + walk + 10 * np.sin(np.arange(count) * np.pi / 24)[:, None]
    return made


def sample(number: int, payload: Any, **fields: Any) -> Observation:
    """A sample of the series `load`, half an hour after the previous one."""
    given: dict[str, Any] = {
        "stream": "load",
        "sequence": number,
        "captured_at_ns": BEGIN_NS + number * STEP_NS,
        "payload": payload,
        "kind": "series",
    }
    return Observation(**given | fields)


def tracker(events: Iterable[Observation] = (), config: Config | None = None) -> SeriesTracker:
    """A tracker with the shipped network that has processed samples."""
    made = SeriesTracker(config or Config(), shipped_weights())
    for event in events:
        list(made.process(event))
    return made


def differing(one: SeriesTracker, other: SeriesTracker) -> list[str]:
    """The arrays of the states of two trackers that differ in a bit."""
    first, second = one.state(), other.state()
    if list(first) != list(second):
        return [*first, "or", *second]
    return [
        f"{name}/{key}"
        for name in first
        for key in {**first[name], **second[name]}
        if not _equal(first[name].get(key), second[name].get(key))
    ]


def _equal(one: Any, other: Any) -> bool:
    return one is not None and other is not None and np.array_equal(one, other, equal_nan=True)
