"""Arrays on their way into a graph: checked, normalised, and put into the graph's layout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .card import Card
from .checks import NATURAL_LAYOUTS
from .errors import PayloadError
from .values import numeric, require_finite


def prepare_window(payload: object, card: Card) -> NDArray[Any]:
    """One sensor window [length, channels] (or [length] where there is one channel) as the batch
    of one that the graph takes.  Raises PayloadError on another shape, on NaN and infinity."""
    length, channels = card.preparation.length, card.input.size("C")
    values = numeric(payload, "window")
    if values.ndim == 1 and channels == 1:
        values = values[:, np.newaxis]
    if values.shape != (length, channels):
        raise PayloadError(
            f"preparing a window: expected shape [{length}, {channels}] (samples, channels), "
            f"found {list(values.shape)}",
            "cut the recording with `cut_windows`, and put the channels last",
        )
    return into_layout(_finite(normalise(values, card), "window"), card)


def prepare_vector(payload: object, card: Card) -> NDArray[Any]:
    """One vector [width] as the batch of one that the graph takes.  Raises PayloadError on
    another shape, on NaN and infinity."""
    width = card.input.size("V")
    values = numeric(payload, "vector")
    if values.ndim != 1 or width not in (-1, values.size):
        raise PayloadError(
            f"preparing a vector: expected shape [{'any' if width == -1 else width}], found "
            f"{list(values.shape)}",
            "give one number per column of the card",
        )
    return into_layout(_finite(normalise(values, card), "vector"), card)


def cut_windows(recording: ArrayLike, card: Card) -> Iterator[NDArray[np.float32]]:
    """Windows [length, channels] of a `recording` [samples, channels], one every `step` samples
    (`length` where the card names no step).  An end too short for a window is left out.  Yields
    views of one float32 array."""
    length = card.preparation.length
    if length is None:
        raise PayloadError(
            f"cutting windows: card {card.name!r} is of kind {card.kind!r}",
            "only a card of kind 'window' says how to cut a recording",
        )
    samples = numeric(recording, "recording")
    if not samples.ndim:
        raise PayloadError(
            "cutting windows: expected a recording [samples, channels], found a single number",
            "give the samples one after the other, with the channels last",
        )
    for start in range(0, len(samples) - length + 1, card.preparation.step or length):
        yield samples[start : start + length]


def normalise(values: NDArray[np.float32], card: Card) -> NDArray[np.float32]:
    """`(values - mean) / scale` of the card, along the last axis; infinite where that is beyond
    float32."""
    if not any(card.preparation.mean) and set(card.preparation.scale) == {1.0}:
        return values
    mean = np.asarray(card.preparation.mean, dtype=np.float32)
    scale = np.asarray(card.preparation.scale, dtype=np.float32)
    with np.errstate(over="ignore"):
        return (values - mean) / scale


def _finite(values: NDArray[np.float32], what: str) -> NDArray[np.float32]:
    require_finite(values, what)
    return values


def into_layout(values: NDArray[np.float32], card: Card) -> NDArray[Any]:
    """One measurement in its natural layout as a contiguous batch of one in the graph's layout and
    dtype.  Integer inputs are rounded half to even and clipped to their range."""
    natural, layout = NATURAL_LAYOUTS[card.kind], card.input.layout
    if layout == f"N{natural}" and values.dtype == card.input.dtype:
        return np.ascontiguousarray(values[None])
    sizes = dict(zip(natural, values.shape, strict=True))
    kept = [axis for axis in layout if axis in sizes]
    squeezed = values.reshape([sizes[axis] for axis in natural if axis in kept])
    order = [[axis for axis in natural if axis in kept].index(axis) for axis in kept]
    shape = [sizes.get(axis, 1) for axis in layout]
    batch = squeezed.transpose(order).reshape(shape)
    dtype = np.dtype(card.input.dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return np.clip(np.rint(batch), limits.min, limits.max).astype(dtype)
    return np.ascontiguousarray(batch, dtype=dtype)
