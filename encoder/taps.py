"""Between a card and a loaded graph: whether they fit, and what the taps give."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .card import Card, Tap
from .errors import ModelError
from .session import OnnxSession


def check_ports(session: OnnxSession, card: Card) -> None:
    """Raise ModelError unless the graph has the card's input, alone, and the outputs of its
    taps."""
    inputs = {port.name: port for port in session.inputs}
    given = card.input
    if set(inputs) != {given.name}:
        raise ModelError(
            f"model {card.name!r}: the card names input {given.name!r}, the graph has "
            f"{sorted(inputs)}",
            "correct input.name in the card; a graph with several inputs must first be cut to one",
        )
    port = inputs[given.name]
    if port.dtype != given.dtype or not _fits(port.shape, given.shape):
        raise ModelError(
            f"model {card.name!r}: the card's input is {given.dtype} {list(given.shape)}, the "
            f"graph takes {port.dtype or 'another dtype'} {list(port.shape)}",
            "correct [input], or write the card again with `auricle encoder card MODEL.onnx`",
        )
    outputs = {output.name for output in session.outputs}
    missing = [tap for tap in card.taps if tap.output not in outputs]
    if missing:
        raise ModelError(
            f"model {card.name!r}: tap {missing[0].name!r} wants output {missing[0].output!r}, the "
            f"graph has {sorted(outputs)}",
            "correct taps.output in the card, or export the model with that output",
        )


def probe_shape(card: Card) -> tuple[int, ...]:
    """The shape of a batch of one: open sizes are filled from the preparation."""
    prepared = card.preparation
    height, width = prepared.crop or prepared.resize or (1, 1)
    filled = {"N": 1, "1": 1, "H": height, "W": width, "L": prepared.length or 1, "C": 3, "V": 1}
    if prepared.colour == "L":
        filled["C"] = 1
    pairs = zip(card.input.shape, card.input.layout, strict=True)
    return tuple(filled[axis] if size == -1 else size for size, axis in pairs)


def run_taps(session: OnnxSession, card: Card, batch: NDArray[Any]) -> NDArray[np.float32]:
    """The features float32 [width] of a batch of one, tap after tap.  Raises ModelError where an
    output is not what its tap says.  Cost: one run of the graph."""
    results = session.run(card.input.name, batch, [tap.output for tap in card.taps])
    parts = [_pooled(result, tap) for result, tap in zip(results, card.taps, strict=True)]
    return np.concatenate(parts)


def _pooled(result: NDArray[Any], tap: Tap) -> NDArray[np.float32]:
    shape = result.shape
    if not (result.ndim > tap.axis and shape[0] == 1 and shape[tap.axis] == tap.width):
        raise ModelError(
            f"tap {tap.name!r}: expected output {tap.output!r} with {tap.width} features on axis "
            f"{tap.axis} for a batch of one, found shape {list(shape)}",
            "correct taps.width and taps.axis in the card",
        )
    others = tuple(axis for axis in range(1, result.ndim) if axis != tap.axis)
    values: NDArray[np.float32] = result[0].astype(np.float32)
    return values.mean(axis=tuple(axis - 1 for axis in others)) if others else values


def _fits(graph: tuple[int, ...], card: tuple[int, ...]) -> bool:
    """Whether every size is equal or open on one side."""
    return len(graph) == len(card) and all(
        g == c or -1 in (g, c) for g, c in zip(graph, card, strict=True)
    )
