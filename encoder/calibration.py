"""Freezing a card's quantiser from sample data."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import cut_windows
from .card import Card
from .errors import PayloadError
from .model import Model
from .quantiser import Granularity, freeze_quantiser

# More samples hardly move the ends of a range, and each costs a run of the graph.
SAMPLES_MAX = 2_000


def calibrate(
    model: Model,
    payloads: Iterable[object],
    granularity: Granularity = "tap",
    headroom: float = 0.25,
) -> Card:
    """The card of `model` with a quantiser frozen from `payloads`, 100 to 1,000 varied ones at
    best.  granularity and headroom: see `freeze_quantiser`.  The new card has a new fingerprint:
    features made under it do not mix with older ones.  Raises PayloadError naming a bad payload.
    Cost: one run of the graph per payload."""
    features = model.measure(payloads)
    quantiser = freeze_quantiser(features, model.card.slices, granularity, headroom)
    return replace(model.card, quantiser=quantiser)


def read_samples(
    path: str | os.PathLike[str], card: Card, samples_max: int = SAMPLES_MAX
) -> Iterator[object]:
    """Payloads for `calibrate`, at most `samples_max`, spread evenly over what lies at `path`.

    A folder gives the files in it and below, by name, as bytes (kind image).  A .npy file, or the
    first array of a .npz file, gives its rows; for kind window also a recording [samples,
    channels], which is cut as the card says.  Raises PayloadError if there is nothing to read."""
    place = Path(path)
    try:
        if place.is_dir():
            files = [file for file in sorted(place.rglob("*")) if file.is_file()]
            yield from (file.read_bytes() for file in _spread(files, samples_max))
            return
        rows = _rows(place)
    except (OSError, ValueError, EOFError) as error:
        raise PayloadError(
            f"reading samples from {place}: {error}",
            "give a folder of images, or a .npy or .npz file of numbers",
        ) from error
    if card.kind == "window" and rows.ndim == 2 and card.preparation.length != rows.shape[1]:
        yield from _spread(list(cut_windows(rows, card)), samples_max)
    else:
        yield from _spread(rows, samples_max)


def _rows(place: Path) -> NDArray[np.generic]:
    loaded = np.load(place, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return loaded
    with loaded:
        names = loaded.files
        if not names:
            raise ValueError("an archive without arrays")
        rows: NDArray[np.generic] = loaded[names[0]]
        return rows


def _spread(items: Sequence[Any] | NDArray[np.generic], count_max: int) -> Iterator[Any]:
    if len(items) == 0:
        raise ValueError("nothing to read")
    count = min(len(items), count_max)
    return (items[place] for place in np.linspace(0, len(items) - 1, count).astype(int))
