"""Features for continual learning: all taps as uint8, with domains, classes and the official
split."""

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import encoder
from edge.core import Fact

PACS = ("pacs_efficientnet_lite0.npz", "pacs_efficientnet_lite0_stages.npz")
CIFAR = "cifar10_subset_efficientnet_lite0.npz"

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ContinualSamples:
    """uint8 features [n, width] with their classes and domains.

    train, held: rows of the official parts.  spans: (start, stop) of the taps, the final one first.
    card: of a model that passes such features through.
    """

    features: NDArray[np.uint8] = field(repr=False)
    label: Ints = field(repr=False)
    domain: Ints = field(repr=False)
    train: Rows = field(repr=False)
    held: Rows = field(repr=False)
    spans: tuple[tuple[int, int], ...]
    quantiser: encoder.Quantiser

    @property
    def domains(self) -> int:
        """The number of domains."""
        return int(self.domain.max()) + 1

    @property
    def classes(self) -> int:
        """The number of classes."""
        return int(self.label.max()) + 1


@dataclass(frozen=True, slots=True, eq=False)
class ContinualView:
    """The input of a peer: float features of all rows in one preparation.

    rows: float32 [n, columns].  label, classes: as in `ContinualSamples`.
    """

    rows: Floats = field(repr=False)
    label: Ints = field(repr=False)
    classes: int


def load_pacs(data: Path) -> ContinualSamples:
    """Load PACS through EfficientNet-Lite0, official split; four domains, seven classes."""
    final, stages = (np.load(data / name) for name in PACS)
    taps = [final["features"], *(stages[f"stage{number}"] for number in range(1, 8))]
    return _samples(taps, final["label"], final["domain"], final["split"] == 1)


def load_cifar(data: Path) -> ContinualSamples:
    """Load a subset of CIFAR-10 through the same encoder, final features only; one domain."""
    held = np.load(data / CIFAR)
    domain = np.zeros(len(held["label"]), np.int64)
    return _samples([held["features"]], held["label"], domain, held["split"] == 1)


def missing(data: Path | None, *names: str) -> str:
    """Name the missing files, or return an empty text."""
    there = data is not None and all((data / name).is_file() for name in names)
    return "" if there else f"skipped: needs --data with {' and '.join(names)}"


def views(samples: ContinualSamples) -> dict[str, ContinualView]:
    """Return the preparations of features for peers: final tap or all taps, raw or standardised.

    Means and standard deviations come from the training part of all domains and classes, which no
    peer could know at the start: this favours the peers.
    """
    last = samples.spans[0][1]
    whole = samples.features.astype(np.float32)
    scale, zero = (np.asarray(part, np.float32) for part in _levels(samples.quantiser))
    known = whole[samples.train]
    made = {"raw": (whole - zero) * scale}
    made["standard"] = (whole - known.mean(axis=0)) / (known.std(axis=0) + 1)
    found = {}
    for way, rows in made.items():
        if last < rows.shape[1]:
            found[f"all {way}"] = ContinualView(rows, samples.label, samples.classes)
        found[f"final {way}"] = ContinualView(rows[:, :last], samples.label, samples.classes)
    return found


def facts_of(samples: ContinualSamples, rows: Rows, seed: int, domain: str = "") -> list[Fact]:
    """Return rows as facts, in their own domains or all in one; the seed is part of the ids."""
    return [
        Fact(
            id=f"{seed}-{row:05}",
            stream="bench",
            domain=domain or f"domain-{samples.domain[row]}",
            label=f"{samples.label[row]}",
            captured_at_ns=int(row),
            features=samples.features[row].tobytes(),
        )
        for row in rows.tolist()
    ]


def _levels(quantiser: encoder.Quantiser) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    return np.asarray(quantiser.scale), np.asarray(quantiser.zero)


def _samples(
    taps: list[NDArray[np.generic]],
    label: NDArray[np.integer],
    domain: NDArray[np.integer],
    held: NDArray[np.bool_],
) -> ContinualSamples:
    edges = np.cumsum([0, *(tap.shape[1] for tap in taps)]).tolist()
    values = np.concatenate(taps, axis=1).astype(np.float32)
    cuts = tuple(slice(*pair) for pair in pairwise(edges))
    quantiser = encoder.freeze_quantiser(values[~held][::10], cuts)
    return ContinualSamples(
        features=quantiser.quantise(values),
        label=label.astype(np.int64),
        domain=domain.astype(np.int64),
        train=np.flatnonzero(~held),
        held=np.flatnonzero(held),
        spans=tuple(pairwise(edges)),
        quantiser=quantiser,
    )
