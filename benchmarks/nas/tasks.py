"""Tasks for the architecture search: a new domain with few labels, and other domains.

At most 210 facts of the domain are for training; the rest, 1,500 at most, is held out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import encoder
import nas
from edge.core import FactBatch, untimed_batch
from edge.core.adaptors import LEVELS, standardise
from edge.sim import load_mnist, load_optdigits

Spans = tuple[tuple[int, int], ...]

SPACE_STEP = 4
"""Each fourth candidate is trained: the whole space takes four times as long."""
OTHER_FACTS = 100
"""Facts of each other domain.  Chosen by hand; effect not measured."""
HELD_FACTS = 1_500
"""Facts that the truth is measured on: a standard error of 1.3 points at most."""
DIGITS_MAX = 1_700
"""About as many as optdigits has (1,797)."""
PACS = ("pacs_efficientnet_lite0.npz", "pacs_efficientnet_lite0_stages.npz")
CIFAR = "cifar10_subset_efficientnet_lite0.npz"
PACS_LABELS = ((0, 10), (1, 15), (2, 20), (3, 30))
"""Pairs of the new domain and labels a class."""
CIFAR_LABELS = (15,)
"""Labels a class."""
DIGITS_LABELS = ((1, 15),)
"""Pairs of the new domain and labels a class."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SearchTask:
    """Facts of a domain and of others, held-out features uint8 [n, width] and labels [n]."""

    name: str
    spans: Spans
    own: FactBatch
    others: FactBatch
    held: NDArray[np.uint8]
    sought: NDArray[np.str_]

    def sketch(self) -> nas.TaskSketch:
        """Return the input of the search: all facts, standardised as adaptors read them."""
        standard = standardise(self.own, self.others, self.spans)
        rows = [(LEVELS[self.own.features] - standard.centre) * standard.factor]
        if len(self.others):
            apart = LEVELS[self.others.features] - standard.centres[standard.numbers]
            rows.append(apart * standard.factor)
        names = [*self.own.labels, *self.others.labels]
        targets = np.unique(names, return_inverse=True)[1].astype(np.int64)
        own = np.arange(len(names)) < len(self.own)
        return nas.TaskSketch(np.concatenate(rows), targets, own, self.spans)


def list_space(taps: int) -> list[nas.Blueprint]:
    """Return the blueprints of the ground truth: every fourth of the space, of all kinds."""
    return list(nas.enumerate_space(taps))[::SPACE_STEP]


@dataclass(frozen=True, slots=True, eq=False)
class TapSet:
    """Rows with all taps, quantised, with label and domain numbers."""

    name: str
    spans: Spans
    features: NDArray[np.uint8]
    label: NDArray[np.int64]
    domain: NDArray[np.int64]


def load_tasks(data: Path | None, draw: int = 0) -> tuple[list[SearchTask], list[str]]:
    """Load all available tasks, and a note for each missing one.  draw: which of many random
    choices of facts."""
    tasks, notes = [], []
    if data is not None and all((data / name).is_file() for name in PACS):
        pacs = _pacs(data)
        tasks += [_task(pacs, (new, count), draw) for new, count in PACS_LABELS]
    else:
        notes.append(f"skipped PACS: needs --data with {' and '.join(PACS)}")
    if data is not None and (data / CIFAR).is_file():
        cifar = _cifar(data)
        tasks += [_task(cifar, (0, count), draw) for count in CIFAR_LABELS]
    else:
        notes.append(f"skipped CIFAR: needs --data with {CIFAR}")
    digits = _digits()
    tasks += [_task(digits, (new, count), draw) for new, count in DIGITS_LABELS]
    return tasks, notes


def load_tap_sets(data: Path | None) -> list[TapSet]:
    """Load PACS and CIFAR, each if its files are there."""
    found = []
    if data is not None and all((data / name).is_file() for name in PACS):
        found.append(_pacs(data))
    if data is not None and (data / CIFAR).is_file():
        found.append(_cifar(data))
    return found


@cache
def _pacs(data: Path) -> TapSet:
    final, stages = (np.load(data / name) for name in PACS)
    taps = [final["features"], *(stages[f"stage{number}"] for number in range(1, 8))]
    return _quantised("pacs", taps, final["label"], final["domain"])


@cache
def _cifar(data: Path) -> TapSet:
    """One tap and no other domains."""
    held = np.load(data / CIFAR)
    return _quantised("cifar", [held["features"]], held["label"], np.zeros(len(held["label"])))


def _quantised(
    name: str, taps: list[NDArray[np.floating]], label: object, domain: object
) -> TapSet:
    edges = np.cumsum([0, *(tap.shape[1] for tap in taps)]).tolist()
    spans = tuple(pairwise(edges))
    values = np.concatenate(taps, axis=1).astype(np.float32)
    frozen = encoder.freeze_quantiser(values[::10], tuple(slice(*span) for span in spans))
    return TapSet(name, spans, frozen.quantise(values), _whole(label), _whole(domain))


@cache
def _digits() -> TapSet:
    """MNIST (shipped) and optdigits (scikit-learn) through the shipped encoder, all taps."""
    parts = list(_encoded())
    features = np.concatenate([rows for rows, _ in parts])
    label = np.concatenate([labels for _, labels in parts])
    domain = np.repeat([0, 1], [len(labels) for _, labels in parts])
    with encoder.open_model("efficientnet_lite0") as model:
        widths = [tap.width for tap in model.card.taps]
    spans = tuple(pairwise(np.cumsum([0, *widths]).tolist()))
    return TapSet("digits", spans, features, label, domain)


def _encoded() -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    with encoder.open_model("efficientnet_lite0") as model:
        for digits in (load_mnist(), load_optdigits()):
            order = np.random.default_rng(0).permutation(len(digits))[:DIGITS_MAX]
            some = digits.select(order)
            yield np.stack([model.encode(image).values for image in some.images]), some.labels


def _task(source: TapSet, wanted: tuple[int, int], draw: int) -> SearchTask:
    """Draw facts with a fixed seed.  wanted: the new domain, and its labels per class."""
    new, count = wanted
    seed = [count, draw] if draw else count
    order = np.random.default_rng(seed).permutation(len(source.label))
    mine = order[source.domain[order] == new]
    label = source.label[mine]
    taught = np.concatenate([mine[label == one][:count] for one in np.unique(label)])
    others = order[source.domain[order] != new][:OTHER_FACTS]
    held = mine[~np.isin(mine, taught)][:HELD_FACTS]
    return SearchTask(
        name=f"{source.name}-{new}-{count}",
        spans=source.spans,
        own=_facts(source, taught),
        others=_facts(source, others),
        held=source.features[held],
        sought=source.label[held].astype(np.str_),
    )


def _facts(source: TapSet, rows: NDArray[np.int64]) -> FactBatch:
    rows = np.sort(rows)
    return untimed_batch(
        tuple(f"{row:05}" for row in rows),
        tuple(f"{domain}" for domain in source.domain[rows]),
        tuple(f"{label}" for label in source.label[rows]),
        source.features[rows],
    )


def _whole(values: object) -> NDArray[np.int64]:
    return np.asarray(values).astype(np.int64)
