"""A tiny seeded ONNX encoder for tests and simulation.

Its weights are -1, 0 and 1 and its inputs are exact in binary, so that all sums are exact in
float32 and every machine gives the same features."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .card import Card, Input, Kind, Preparation, Tap
from .model import Model, calibrate, open_model
from .onnx_writer import Node, Value, onnx_bytes

# Small enough for an image to take about 0.1 ms, so that tests can encode thousands.
SIDE = 16
# As above: a window of 32 samples of 3 channels.
LENGTH, CHANNELS = 32, 3
# As above.
VECTOR_WIDTH = 12
# The widths of the taps: `stage1` and `features`, as above.
STAGE_WIDTH, FEATURES_WIDTH = 8, 32


def tiny_model(seed: int = 0, kind: Kind = "image", threads: int = 1) -> Model:
    """Return an open, calibrated model with taps `features` [32] and `stage1` [8]; the same seed
    gives the same fingerprint.  Payloads: images of any size, windows [32, 3], vectors [12].  Keeps
    no file.  An image takes about 0.1 ms."""
    with tempfile.TemporaryDirectory(prefix="tiny-encoder-") as folder:
        card = tiny_card(folder, seed, kind)
        return open_model(card, threads)


def tiny_card(folder: str | Path, seed: int = 0, kind: Kind = "image") -> Card:
    """Write the model of `tiny_model` to `folder`/model.onnx and return its calibrated card."""
    data = tiny_onnx(seed, kind)
    path = Path(folder, "model.onnx")
    path.write_bytes(data)
    card = Card(
        name=f"tiny-{kind}-{seed}",
        kind=kind,
        file=path.name,
        sha256=hashlib.sha256(data).hexdigest(),
        licence="Apache-2.0",
        input=Input("input", (-1, *_SHAPES[kind]), "float32", _LAYOUTS[kind]),
        preparation=_PREPARATIONS[kind],
        taps=(Tap("features", "features", FEATURES_WIDTH), Tap("stage1", "stage1", STAGE_WIDTH)),
        folder=str(path.parent.resolve()),
    )
    with open_model(card) as model:
        return replace(calibrate(model, tiny_payloads(64, seed, kind)), folder=card.folder)


def tiny_payloads(count: int, seed: int = 0, kind: Kind = "image") -> list[NDArray[np.generic]]:
    """Return `count` seeded payloads for `tiny_model`: blocky colour images uint8 [16, 16, 3],
    random walks float32 [32, 3] or vectors float32 [12]."""
    random = np.random.default_rng(seed)
    if kind == "image":
        coarse = random.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
        return list(coarse.repeat(SIDE // 4, axis=1).repeat(SIDE // 4, axis=2))
    steps = random.integers(-8, 9, (count, *_SHAPES[kind])).astype(np.float32) / 8
    return list(np.cumsum(steps, axis=1, dtype=np.float32) if kind == "window" else steps)


def tiny_onnx(seed: int = 0, kind: Kind = "image") -> bytes:
    """Return the ONNX file: a convolution or a layer to `stage1`, and further layers to `features`,
    rectified; input `input`, float32, any batch."""
    random = np.random.default_rng(seed)
    nodes, weights = (_image_layers if kind == "image" else _plain_layers)(random, kind)
    results = [Value("features", (FEATURES_WIDTH,)), Value("stage1", (STAGE_WIDTH,))]
    return onnx_bytes(nodes, weights, Value("input", _SHAPES[kind]), results)


_SHAPES = {"image": (3, SIDE, SIDE), "window": (LENGTH, CHANNELS), "vector": (VECTOR_WIDTH,)}
_LAYOUTS = {"image": "NCHW", "window": "NLC", "vector": "NV"}
_PREPARATIONS = {
    "image": Preparation(resize=(SIDE, SIDE), crop=(SIDE, SIDE), interpolation="bilinear"),
    "window": Preparation(length=LENGTH, step=LENGTH // 2),
    "vector": Preparation(),
}


Weights = dict[str, NDArray[np.float32]]


def _image_layers(random: np.random.Generator, _kind: Kind) -> tuple[list[Node], Weights]:
    halving = (("strides", (2, 2)), ("pads", (1, 1, 1, 1)))
    nodes = [
        Node("Conv", ("input", "w1"), "c1", halving),
        Node("Relu", ("c1",), "r1"),
        Node("GlobalAveragePool", ("r1",), "p1"),
        Node("Flatten", ("p1",), "stage1"),
        Node("Conv", ("r1", "w2"), "c2", halving),
        Node("Relu", ("c2",), "r2"),
        Node("Flatten", ("r2",), "f2"),
        Node("MatMul", ("f2", "w3"), "m3"),
        Node("Relu", ("m3",), "features"),
    ]
    flat = 2 * STAGE_WIDTH * (SIDE // 4) ** 2
    weights = {
        "w1": _signs(random, (STAGE_WIDTH, 3, 3, 3)),
        "w2": _signs(random, (2 * STAGE_WIDTH, STAGE_WIDTH, 3, 3)),
        "w3": _signs(random, (flat, FEATURES_WIDTH)),
    }
    return nodes, weights


def _plain_layers(random: np.random.Generator, kind: Kind) -> tuple[list[Node], Weights]:
    nodes = [
        Node("Flatten", ("input",), "f0"),
        Node("MatMul", ("f0", "w1"), "m1"),
        Node("Relu", ("m1",), "stage1"),
        Node("MatMul", ("stage1", "w2"), "m2"),
        Node("Relu", ("m2",), "features"),
    ]
    flat = int(np.prod(_SHAPES[kind]))
    weights = {
        "w1": _signs(random, (flat, STAGE_WIDTH)),
        "w2": _signs(random, (STAGE_WIDTH, FEATURES_WIDTH)),
    }
    return nodes, weights


def _signs(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return random.integers(-1, 2, shape).astype(np.float32)
