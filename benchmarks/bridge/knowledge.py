"""Knowledge for the benchmark `bridge`: shipped digits, and PACS if available."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

import encoder
import hdc
from edge.core import Fact, Knowledge, MemoryLedger, StoreFacts
from edge.core.knowledge import derive_knowledge, fit_geometry
from edge.export import FactStatistics, collect_statistics
from edge.sim import load_mnist

PACS: Final = "pacs_efficientnet_lite0.npz"
FAR: Final = "ood_imagenet_sample_efficientnet_lite0.npz"
SEED: Final = 1
"""Of the split and of the geometry; any would do."""
SIDE: Final = 8
"""optdigits come at 8 x 8 pixels; MNIST is shrunk to that."""
TRAIN_SHARE: Final = 0.7
"""A 70/30 split, as in `ood`."""


@dataclass(frozen=True, slots=True, eq=False)
class Measurements:
    """Features uint8 [n, width] with labels and domains by name [n]; train: [n], the learned rows;
    more: features of unknown classes, [m, width]."""

    rows: NDArray[np.uint8]
    labels: NDArray[np.str_]
    domains: NDArray[np.str_]
    train: NDArray[np.bool_]
    more: NDArray[np.uint8]


def load_digits(count: int = 10) -> Measurements:
    """Load the shipped digits below `count` at 8 x 8 pixels, dark on light and light on dark."""
    held = load_mnist()
    framed = np.pad(held.images[held.labels < count].astype(np.float64), ((0, 0), (2, 2), (2, 2)))
    cells = framed.reshape(-1, SIDE, framed.shape[1] // SIDE, SIDE, framed.shape[2] // SIDE)
    small = np.rint(cells.mean(axis=(2, 4))).astype(np.uint8).reshape(-1, SIDE * SIDE)
    labels = np.tile(held.labels[held.labels < count].astype(np.str_), 2)
    domains = np.repeat(["slate", "paper"], len(small))
    train = np.random.default_rng(SEED).random(2 * len(small)) < TRAIN_SHARE
    rows = np.concatenate([small, 255 - small])
    return Measurements(rows, labels, domains, train, rows[:0])


def load_pacs(data: Path | None) -> Measurements | None:
    """Load the final tap of all PACS images, 70 % of them for training (the official split holds
    out a tenth, too few to compare methods), and features of unrelated images."""
    if data is None or not (data / PACS).is_file() or not (data / FAR).is_file():
        return None
    with np.load(data / PACS) as held, np.load(data / FAR) as far:
        values, other = held["features"].astype(np.float32), far["features"].astype(np.float32)
        train = np.random.default_rng(SEED).random(len(values)) < TRAIN_SHARE
        labels, domains = held["classes"][held["label"]], held["domains"][held["domain"]]
    frozen = encoder.freeze_quantiser(values[train][::10], (slice(0, values.shape[1]),))
    return Measurements(frozen.quantise(values), labels, domains, train, frozen.quantise(other))


def learn(what: Measurements) -> FactStatistics:
    """Learn the training part and collect its statistics for exports."""
    ledger = MemoryLedger()
    ledger.apply(StoreFacts(facts=tuple(_facts(what)), evicted=()))
    spans = ((0, what.rows.shape[1]),)
    geometry: hdc.Geometry = fit_geometry(ledger, spans, SEED)
    knowledge: Knowledge = derive_knowledge(ledger, geometry)
    return collect_statistics(knowledge, ledger)


def _facts(what: Measurements) -> list[Fact]:
    return [
        Fact(
            id=f"{row:06}",
            stream="bench",
            domain=str(what.domains[row]),
            label=str(what.labels[row]),
            captured_at_ns=int(row),
            features=what.rows[row].tobytes(),
        )
        for row in np.flatnonzero(what.train)
    ]
