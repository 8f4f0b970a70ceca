"""Pictures through any encoder, encoded once and cached; time and size of encoders."""

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import encoder
from edge.sim import cache_folder, load_mnist, load_optdigits
from encoder import Card, Model

from ..adapt.pictures import PICTURES, read_cached, write_cached
from ..continual.data import ContinualSamples

ROUNDS = 60
"""Pictures that time is measured on, each by every encoder in turn.  Chosen by hand."""
HELD_DIGITS = 5
"""One digit in so many is held out."""

Ints = NDArray[np.int64]
Pixels = NDArray[np.uint8]
Source = Callable[[int], object]


def pacs_samples(card: Card, data: Path) -> ContinualSamples:
    """Return the pictures of PACS through an encoder, with the official split of its features."""
    with np.load(data / PICTURES, allow_pickle=False) as held:
        blob, offsets = held["blob"], held["offsets"]
        label, domain, split = (held[key].astype(np.int64) for key in ("label", "domain", "split"))
    features = _encoded(
        card, "clean", len(label), lambda row: blob[offsets[row] : offsets[row + 1]].tobytes()
    )
    return _samples(card, features, label, domain, split == 1)


def digit_samples(card: Card) -> ContinualSamples:
    """Return handwritten digits through an encoder: MNIST and optdigits are domains."""
    parts = load_mnist(), load_optdigits()
    pictures = [255 - image for part in parts for image in part.images]
    label = np.concatenate([part.labels for part in parts]).astype(np.int64)
    domain = np.repeat([0, 1], [len(part) for part in parts]).astype(np.int64)
    features = _encoded(card, "digits", len(label), pictures.__getitem__)
    held = np.random.default_rng(0).integers(HELD_DIGITS, size=len(label)) == 0
    return _samples(card, features, label, domain, held)


def picture_times(cards: Mapping[str, Card], data: Path) -> dict[str, float]:
    """Return the median processor time of a picture by encoder, in microseconds, on one thread;
    decoding and preparation are part of it.  The encoders take turns."""
    with np.load(data / PICTURES, allow_pickle=False) as held:
        blob, offsets = held["blob"], held["offsets"]
    rows = np.linspace(0, len(offsets) - 2, ROUNDS).astype(int)
    pictures = [blob[offsets[row] : offsets[row + 1]].tobytes() for row in rows]
    models = {name: encoder.open_model(card) for name, card in cards.items()}
    taken: dict[str, list[float]] = {name: [] for name in cards}
    for picture in (pictures[0], *pictures):
        for name, model in models.items():
            taken[name].append(_processor_us(model, picture))
    return {name: float(np.median(found[1:])) for name, found in taken.items()}


def mebibytes(card: Card) -> float:
    """Return the size of an encoder's file."""
    assert card.folder is not None
    assert card.file is not None
    return Path(card.folder, card.file).stat().st_size / 2**20


def _processor_us(model: Model, picture: object) -> float:
    started = time.process_time_ns()
    model.encode(picture)
    return (time.process_time_ns() - started) / 1e3


def _encoded(card: Card, name: str, count: int, source: Source) -> Pixels:
    path = cache_folder() / f"adapt-{card.fingerprint[:16]}" / f"{name}.npz"
    known = read_cached(path, count, card.width)
    if known is not None:
        return known
    print(f"encoding {count} pictures, {name}, {card.name}", file=sys.stderr, flush=True)
    with encoder.open_model(card) as model:
        made = np.stack([model.encode(source(row)).values for row in range(count)])
    write_cached(path, made)
    return made


def _samples(
    card: Card, features: Pixels, label: Ints, domain: Ints, held: NDArray[np.bool_]
) -> ContinualSamples:
    assert card.quantiser is not None
    return ContinualSamples(
        features=features,
        label=label,
        domain=domain,
        train=np.flatnonzero(~held),
        held=np.flatnonzero(held),
        spans=tuple((span.start, span.stop) for span in card.slices),
        quantiser=card.quantiser,
    )
