"""Write a first card for any ONNX model, from its graph and from guesses that `notes` list."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .card import IMAGE_VERSION, Card, Input, Kind, Preparation, Tap
from .checks import NATURAL_LAYOUTS
from .errors import CardError, ModelError
from .onnx_file import digest_of, read_model
from .session import OnnxSession, TensorPort, probe_shape

# Most ImageNet encoders are trained at 224 pixels; used if a graph takes any size.
SIDE_GUESSED = 224
# Channels of RGB and of grey images.
COLOURED, GREY = 3, 1


def describe_model(
    onnx_path: str | os.PathLike[str],
    *,
    name: str | None = None,
    licence: str = "unknown",
    kind: Kind | None = None,
    layout: str | None = None,
    shape: Sequence[int] | None = None,
    preparation: Preparation | None = None,
    outputs: Sequence[str] | None = None,
) -> Card:
    """Return a card without quantiser for the ONNX file at `onnx_path`.

    Arguments left out are read from the graph or, if the graph leaves them open, guessed.  Every
    guess is a sentence in `notes`, for a person to check.  outputs: the graph outputs to use as
    taps, in this order; all float outputs by default.  Runs the graph once on zeros.  Raises
    ModelError if the file is not ONNX, has several inputs, or gives no features."""
    path = Path(onnx_path).absolute()
    data = read_model(path)
    digest = digest_of(data, path)
    session = OnnxSession(data, path.resolve().parent)
    notes: list[str] = []
    given = _input(session, kind, layout, shape, notes)
    prepared = preparation or _guessed_preparation(given, notes)
    draft = Card(
        name=name or path.stem,
        kind=_kind_of(given.layout),
        file=path.name,
        sha256=digest,
        licence=licence,
        input=given,
        preparation=prepared,
        taps=(Tap("probe", "probe", 1),),
        folder=str(path.parent),
    )
    if licence == "unknown":
        notes.append("The licence is unknown: fill it in.")
    taps = _taps(session, draft, outputs, notes)
    return replace(draft, taps=taps, notes=tuple(notes))


def _input(
    session: OnnxSession,
    kind: Kind | None,
    layout: str | None,
    shape: Sequence[int] | None,
    notes: list[str],
) -> Input:
    ports = session.inputs
    if len(ports) != 1:
        raise ModelError(
            f"describing a model: expected one input, the graph has {[p.name for p in ports]}",
            "reduce the graph to one input, or export the others as constants",
        )
    port = ports[0]
    if not port.dtype:
        raise ModelError(
            f"describing a model: input {port.name!r} takes numbers of an unsupported dtype",
            "export the model with float32 input",
        )
    sizes = tuple(shape) if shape is not None else port.shape
    if layout is None:
        layout = _guessed_layout(sizes, kind, notes)
    if len(layout) != len(sizes):
        raise CardError(
            f"describing a model: layout {layout!r} for an input of shape {list(sizes)}",
            "give one letter per axis",
        )
    return Input(port.name, _filled(sizes, layout, notes), port.dtype, layout)


def _guessed_layout(sizes: Sequence[int], kind: Kind | None, notes: list[str]) -> str:
    layouts = _LAYOUTS[len(sizes)](sizes) if len(sizes) in _LAYOUTS else {}
    guess = layouts.get(kind) if kind else next(iter(layouts.values()), None)
    if guess is None:
        raise CardError(
            f"describing a model: no layout is known for an input of shape {list(sizes)}"
            + (f" and kind {kind!r}" if kind else ""),
            "give kind and layout, for example kind 'window' and layout 'NLC'",
        )
    notes.append(f"The layout {guess} was guessed from the input's shape {list(sizes)}.")
    return guess


def _layouts_of_two(sizes: Sequence[int]) -> dict[Kind, str]:
    """An open second axis is more often a window than a vector."""
    if sizes[1] == -1:
        return {"window": "NL", "vector": "NV"}
    return {"vector": "NV", "window": "NL"}


def _layouts_of_three(sizes: Sequence[int]) -> dict[Kind, str]:
    """A window has more samples than channels; an open axis is its length."""
    first = sizes[2] == -1 or (sizes[1] != -1 and sizes[1] < sizes[2])
    return {"window": "NCL" if first else "NLC", "image": "NHW"}


def _layouts_of_four(sizes: Sequence[int]) -> dict[Kind, str]:
    """An axis of one or three holds the channels; if both ends could, the first does."""
    last = sizes[3] in (COLOURED, GREY) and sizes[1] not in (COLOURED, GREY)
    return {"image": "NHWC" if last else "NCHW", "window": "NLC1" if sizes[3] == 1 else "N1LC"}


# Number of axes -> possible layouts, the likeliest first.
_LAYOUTS: Mapping[int, Callable[[Sequence[int]], dict[Kind, str]]] = {
    2: _layouts_of_two,
    3: _layouts_of_three,
    4: _layouts_of_four,
}


def _filled(sizes: Sequence[int], layout: str, notes: list[str]) -> tuple[int, ...]:
    """Fill in open channels; a fixed batch size must be one."""
    filled = list(sizes)
    if "C" in layout and filled[layout.index("C")] == -1:
        filled[layout.index("C")] = COLOURED
        notes.append("The number of channels is open in the graph: 3 was guessed.")
    if filled[0] not in (-1, 1):
        raise ModelError(
            f"describing a model: the graph takes batches of exactly {filled[0]}",
            "export it with a batch of one or of any size",
        )
    return tuple(filled)


def _guessed_preparation(given: Input, notes: list[str]) -> Preparation:
    kind = _kind_of(given.layout)
    if kind == "image":
        return _guessed_image(given, notes)
    if kind == "window":
        length = given.size("L")
        if length == -1:
            raise CardError(
                "describing a model: the length of a window is open in the graph",
                "give a preparation with the length in samples",
            )
        notes.append("Samples are not normalised: set mean and scale as in the model's training.")
        return Preparation(length=length, step=length)
    notes.append("Numbers are not normalised: set mean and scale as in the model's training.")
    return Preparation()


def _guessed_image(given: Input, notes: list[str]) -> Preparation:
    height, width = (SIDE_GUESSED if given.size(a) == -1 else given.size(a) for a in "HW")
    if -1 in (given.size("H"), given.size("W")):
        notes.append(f"The graph takes images of any size: {height} x {width} was guessed.")
    whole = np.dtype(given.dtype).kind in "iu"
    notes.append(
        "Pixels enter the graph as 0 to 255."
        if whole
        else "Pixels are scaled to 0 to 1: set mean and scale as in the model's training."
    )
    return Preparation(
        scale=(1.0 if whole else 255.0,),
        colour="L" if given.size("C") == GREY else "RGB",
        resize=(height, width),
        crop=(height, width),
        version=IMAGE_VERSION,
    )


def _taps(
    session: OnnxSession, card: Card, outputs: Sequence[str] | None, notes: list[str]
) -> tuple[Tap, ...]:
    ports = {port.name: port for port in session.outputs}
    unknown = [output for output in outputs or () if output not in ports]
    if unknown:
        raise ModelError(
            f"describing a model: outputs {unknown} are not in the graph, which has "
            f"{sorted(ports)}",
            "name outputs of the graph",
        )
    wanted = list(outputs) if outputs else [n for n, port in ports.items() if _is_float(port)]
    zeros = np.zeros(probe_shape(card), dtype=card.input.dtype)
    results = session.run(card.input.name, zeros, wanted) if wanted else []
    found = (
        _tap(name, result, card.input.layout, notes)
        for name, result in zip(wanted, results, strict=True)
    )
    taps = tuple(tap for tap in found if tap is not None)
    if not taps:
        raise ModelError(
            f"describing a model: none of the outputs {sorted(ports)} gives features",
            "export the model with an output [batch, width] before the classifier",
        )
    return taps


def _tap(name: str, result: NDArray[Any], layout: str, notes: list[str]) -> Tap | None:
    shape = result.shape
    if result.ndim < 2 or shape[0] != 1 or 0 in shape:
        notes.append(f"Output {name} has shape {list(shape)} for a batch of one: left out.")
        return None
    axis = 1 if result.ndim == 4 and layout.endswith("HW") else result.ndim - 1
    if result.ndim > 2:
        notes.append(
            f"Output {name} has shape {list(shape)}: axis {axis} was taken for the features, the "
            "others are averaged."
        )
    return Tap(name, name, shape[axis], axis)


def _is_float(port: TensorPort) -> bool:
    return port.dtype.startswith("float")


def _kind_of(layout: str) -> Kind:
    kinds: tuple[Kind, ...] = ("image", "window", "vector")
    letters = set(layout) - {"N", "1", "C"}
    for kind in kinds:
        if letters and letters <= set(NATURAL_LAYOUTS[kind]):
            return kind
    raise CardError(
        f"describing a model: layout {layout!r} fits no kind",
        f"use the letters of one of {dict(NATURAL_LAYOUTS)}, with N first",
    )
