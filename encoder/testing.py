"""A tiny seeded encoder for tests and simulation: real ONNX, written here without the onnx package.

Its weights are -1, 0 and 1 and its images are whole numbers, so that every sum stays exact in
float32 and every machine gives the same features."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .calibration import calibrate
from .card import Card, Input, Kind, Preparation, Tap
from .model import Model, open_model

SIDE = 16
LENGTH, CHANNELS = 32, 3
VECTOR_WIDTH = 12
STAGE_WIDTH, FEATURES_WIDTH = 8, 32
_OPSET, _IR_VERSION = 13, 8
_FLOAT, _INTS = 1, 7


def tiny_model(seed: int = 0, kind: Kind = "image", threads: int = 1) -> Model:
    """An open, calibrated model with taps `features` [32] and `stage1` [8]; the same seed gives
    the same fingerprint.  Payloads: image any size; window [32, 3]; vector [12].  Leaves no file
    behind.  An image takes about 0.1 ms."""
    with tempfile.TemporaryDirectory(prefix="tiny-encoder-") as folder:
        card = tiny_card(folder, seed, kind)
        return open_model(card, threads)


def tiny_card(folder: str | Path, seed: int = 0, kind: Kind = "image") -> Card:
    """Write the model of `tiny_model` to `folder`/model.onnx; its calibrated card."""
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
    """`count` seeded payloads for `tiny_model`: smooth coloured images uint8 [16, 16, 3], walks
    float32 [32, 3] or vectors float32 [12]."""
    random = np.random.default_rng(seed)
    if kind == "image":
        coarse = random.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
        return list(coarse.repeat(SIDE // 4, axis=1).repeat(SIDE // 4, axis=2))
    steps = random.integers(-8, 9, (count, *_SHAPES[kind])).astype(np.float32) / 8
    return list(np.cumsum(steps, axis=1, dtype=np.float32) if kind == "window" else steps)


def tiny_onnx(seed: int = 0, kind: Kind = "image") -> bytes:
    """The bytes of the ONNX file: two convolutions or one layer to `stage1`, and a last layer to
    `features`, rectified; input `input`, float32, any batch."""
    random = np.random.default_rng(seed)
    nodes, weights = (_image_layers if kind == "image" else _plain_layers)(random, kind)
    outputs = {"features": FEATURES_WIDTH, "stage1": STAGE_WIDTH}
    graph = b"".join(
        (
            *(_part(1, node.encoded()) for node in nodes),
            _part(2, b"tiny"),
            *(_part(5, _tensor(name, values)) for name, values in weights.items()),
            _part(11, _port("input", _SHAPES[kind])),
            *(_part(12, _port(name, (width,))) for name, width in outputs.items()),
        )
    )
    opset = _part(1, b"") + _number(2, _OPSET)
    return _number(1, _IR_VERSION) + _part(7, graph) + _part(8, opset)


_SHAPES = {"image": (3, SIDE, SIDE), "window": (LENGTH, CHANNELS), "vector": (VECTOR_WIDTH,)}
_LAYOUTS = {"image": "NCHW", "window": "NLC", "vector": "NV"}
_PREPARATIONS = {
    "image": Preparation(resize=(SIDE, SIDE), crop=(SIDE, SIDE), interpolation="bilinear"),
    "window": Preparation(length=LENGTH, step=LENGTH // 2),
    "vector": Preparation(),
}


@dataclass(frozen=True, slots=True)
class _Node:
    operator: str
    inputs: Sequence[str]
    output: str
    numbers: Sequence[tuple[str, tuple[int, ...]]] = ()

    def encoded(self) -> bytes:
        return b"".join(
            (
                *(_part(1, name.encode()) for name in self.inputs),
                _part(2, self.output.encode()),
                _part(4, self.operator.encode()),
                *(_part(5, _attribute(name, values)) for name, values in self.numbers),
            )
        )


Weights = dict[str, NDArray[np.float32]]


def _image_layers(random: np.random.Generator, _kind: Kind) -> tuple[list[_Node], Weights]:
    halving = (("strides", (2, 2)), ("pads", (1, 1, 1, 1)))
    nodes = [
        _Node("Conv", ("input", "w1"), "c1", halving),
        _Node("Relu", ("c1",), "r1"),
        _Node("GlobalAveragePool", ("r1",), "p1"),
        _Node("Flatten", ("p1",), "stage1"),
        _Node("Conv", ("r1", "w2"), "c2", halving),
        _Node("Relu", ("c2",), "r2"),
        _Node("Flatten", ("r2",), "f2"),
        _Node("MatMul", ("f2", "w3"), "m3"),
        _Node("Relu", ("m3",), "features"),
    ]
    flat = 2 * STAGE_WIDTH * (SIDE // 4) ** 2
    weights = {
        "w1": _signs(random, (STAGE_WIDTH, 3, 3, 3)),
        "w2": _signs(random, (2 * STAGE_WIDTH, STAGE_WIDTH, 3, 3)),
        "w3": _signs(random, (flat, FEATURES_WIDTH)),
    }
    return nodes, weights


def _plain_layers(random: np.random.Generator, kind: Kind) -> tuple[list[_Node], Weights]:
    nodes = [
        _Node("Flatten", ("input",), "f0"),
        _Node("MatMul", ("f0", "w1"), "m1"),
        _Node("Relu", ("m1",), "stage1"),
        _Node("MatMul", ("stage1", "w2"), "m2"),
        _Node("Relu", ("m2",), "features"),
    ]
    flat = int(np.prod(_SHAPES[kind]))
    weights = {
        "w1": _signs(random, (flat, STAGE_WIDTH)),
        "w2": _signs(random, (STAGE_WIDTH, FEATURES_WIDTH)),
    }
    return nodes, weights


def _signs(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return random.integers(-1, 2, shape).astype(np.float32)


def _tensor(name: str, values: NDArray[np.float32]) -> bytes:
    dims = b"".join(_number(1, size) for size in values.shape)
    data = values.astype("<f4").tobytes()
    return dims + _number(2, _FLOAT) + _part(8, name.encode()) + _part(9, data)


def _port(name: str, shape: Sequence[int]) -> bytes:
    dims = _part(1, _part(2, b"batch")) + b"".join(_part(1, _number(1, size)) for size in shape)
    tensor = _number(1, _FLOAT) + _part(2, dims)
    return _part(1, name.encode()) + _part(2, _part(1, tensor))


def _attribute(name: str, values: Sequence[int]) -> bytes:
    return _part(1, name.encode()) + b"".join(_number(8, v) for v in values) + _number(20, _INTS)


def _part(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])
