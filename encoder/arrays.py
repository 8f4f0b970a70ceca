"""Numeric payloads: check them, normalise them, and put them into the layout of the graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import NATURAL_LAYOUTS
from .errors import PayloadError

if TYPE_CHECKING:
    from .card import Card


def numeric(payload: object, what: str) -> NDArray[np.float32]:
    """Convert `payload` to float32; numbers beyond float32 become infinite.  what: its name in
    errors.  Raises PayloadError unless it is an array of real numbers."""
    try:
        array = np.asarray(payload)
    except ValueError as error:
        raise PayloadError(
            f"reading a {what}: expected an array of numbers, found rows of unequal length",
            "give every row the same number of columns",
        ) from error
    if array.dtype.kind not in "fiub":
        raise PayloadError(
            f"reading a {what}: expected an array of real numbers, found {type(payload).__name__} "
            f"of dtype {array.dtype}",
            "decode it into a numpy array of numbers first",
        )
    if array.dtype == np.float32:
        return array
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def require_finite(values: NDArray[np.float32], what: str) -> None:
    """Raise PayloadError naming the first position of `values` that is NaN or infinite."""
    if np.isfinite(values).all():
        return
    place = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
    where = place[0] if len(place) == 1 else list(place)
    raise PayloadError(
        f"reading a {what}: expected finite numbers, found {values[place]} at position {where}",
        "drop or repair the measurement; check a sensor that reports NaN or infinity",
    )


def prepare_window(payload: object, card: Card, channels: int) -> NDArray[Any]:
    """Prepare one sensor window [length, channels], or [length] with one channel, as a batch of one
    for the graph.  Raises PayloadError on another shape, on NaN and infinity."""
    length = card.preparation.length
    values = numeric(payload, "window")
    if values.ndim == 1 and channels == 1:
        values = values[:, np.newaxis]
    if values.shape != (length, channels):
        raise PayloadError(
            f"preparing a window: expected shape [{length}, {channels}] (samples, channels), "
            f"found {list(values.shape)}",
            "cut the recording with `cut_windows`, with the channels on the last axis",
        )
    return into_layout(_finite(normalise(values, card), "window"), card)


def prepare_vector(payload: object, card: Card, width: int) -> NDArray[Any]:
    """Prepare one vector [width], or of any width if that is -1, as a batch of one for the graph.
    Raises PayloadError on another shape, on NaN and infinity."""
    values = numeric(payload, "vector")
    if values.ndim != 1 or width not in (-1, values.size):
        raise PayloadError(
            f"preparing a vector: expected shape [{'any' if width == -1 else width}], found "
            f"{list(values.shape)}",
            "give one number per column of the card",
        )
    return into_layout(_finite(normalise(values, card), "vector"), card)


def cut_windows(recording: ArrayLike, card: Card) -> Iterator[NDArray[np.float32]]:
    """Cut a `recording` [samples, channels] into windows [length, channels], one every `step`
    samples, or every `length` if the card gives no step.  A rest shorter than a window is left out.
    Yields views of one float32 array.  Raises PayloadError."""
    length = card.preparation.length
    if length is None:
        raise PayloadError(
            f"cutting windows: card {card.name!r} is of kind {card.kind!r}",
            "use a card of kind 'window'",
        )
    samples = numeric(recording, "recording")
    if not samples.ndim:
        raise PayloadError(
            "cutting windows: expected a recording [samples, channels], found a single number",
            "give the samples in order, with the channels on the last axis",
        )
    for start in range(0, len(samples) - length + 1, card.preparation.step or length):
        yield samples[start : start + length]


def normalise(values: NDArray[np.float32], card: Card) -> NDArray[np.float32]:
    """Return `(values - mean) / scale` of the card along the last axis; infinite beyond float32."""
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
    """Convert one measurement from its natural layout to a contiguous batch of one, in the layout
    and dtype of the graph.  Integers are rounded half to even and clipped to their range."""
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
