"""Real streams as River has them: dictionaries of numbers with a class, or 1 for an anomaly."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

Stream = list[tuple[dict[Hashable, float], Any]]

PACS_COLUMNS: Final = 24
"""Columns of the PACS features: the width at which time is measured."""
PACS_ROWS: Final = 5_000
"""Half of PACS: about the size of the other streams."""
SHUTTLE_ROWS: Final = 20_000
"""Of 49,097, to save time: peers take as long as ours."""


def classified(data: Path | None) -> Mapping[str, Callable[[], Stream]]:
    """Return the classified streams by name; two need the folder of data files."""
    from river import datasets

    found: dict[str, Callable[[], Stream]] = {
        "bananas": lambda: list(datasets.Bananas()),
        "phishing": lambda: list(datasets.Phishing()),
        "segments": lambda: list(datasets.ImageSegments()),
    }
    if data is not None:
        found |= {
            "electricity": lambda: _electricity(data / "elec2.npz"),
            "pacs, 24 columns": lambda: _pacs(data / "pacs_efficientnet_lite0.npz"),
        }
    return found


def anomalous(data: Path | None) -> Mapping[str, Callable[[], list[Stream]]]:
    """Return the streams with anomalies by name, each in parts of their own."""
    from river import datasets

    found: dict[str, Callable[[], list[Stream]]] = {
        "shuttle": lambda: [list(datasets.Shuttle().take(SHUTTLE_ROWS))],
    }
    if data is not None:
        found["skab"] = lambda: _skab(data / "skab.npz")
    return found


def _electricity(path: Path) -> Stream:
    """Elec2 (Harries 1999) in order of time."""
    with np.load(path) as held:
        names = [str(name) for name in held["columns"]]
        rows, labels = held["values"].tolist(), held["label"].tolist()
    return [
        (dict(zip(names, row, strict=True)), bool(y)) for row, y in zip(rows, labels, strict=True)
    ]


def _pacs(path: Path) -> Stream:
    """The first columns of PACS in random order."""
    with np.load(path) as held:
        rows, labels = held["features"][:, :PACS_COLUMNS].astype(float), held["label"]
    order = np.random.default_rng(0).permutation(len(rows))[:PACS_ROWS]
    return [
        ({f"f{at}": float(v) for at, v in enumerate(rows[row])}, int(labels[row])) for row in order
    ]


def _skab(path: Path) -> list[Stream]:
    """Every recording of SKAB (Katser & Kozitsin 2020) that has anomalies."""
    with np.load(path) as held:
        names = [str(name) for name in held["columns"]]
        parts = sorted(one[: -len("__anomaly")] for one in held.files if one.endswith("__anomaly"))
        return [
            [
                (dict(zip(names, row, strict=True)), int(y))
                for row, y in zip(
                    held[f"{part}__v"].tolist(), held[f"{part}__anomaly"].tolist(), strict=True
                )
            ]
            for part in parts
        ]
