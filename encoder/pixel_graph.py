"""A graph that takes pixels as bytes, in place of one that quantises normalised pixels first.

An int8 network of pictures begins with a QuantizeLinear that turns (pixel - mean) / scale back into
the pixel, and a convolution of 3 channels, whose short products leave most of a vector register
empty.  The same whole numbers come from the bytes themselves, and from a convolution of 2 x 2 with
stride 1 over the 12 numbers of blocks of 2 x 2 pixels, at about a third of the time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .card import Card
from .graph_surgery import OnnxNode, node_of, operator_of
from .onnx_writer import (
    Node,
    Value,
    fields_of,
    node_bytes,
    part_field,
    part_head,
    spans_of,
    tensor_bytes,
    value_bytes,
)

# The keys of ModelProto.graph, and of GraphProto: node, initializer, input, value_info.  A key is
# eight times the field's number, and wire type 2: bytes (protobuf's encoding).
_GRAPH, _NODE, _WEIGHT, _INPUT, _INNER_VALUE = (number << 3 | 2 for number in (7, 1, 5, 11, 13))
# TensorProto.DataType of onnx.proto: what the first layer of an int8 network holds.
_DTYPES = {1: "<f4", 2: "u1", 3: "i1"}
# How far a quantised pixel may lie from the pixel before it is rounded: the rounding errors of any
# runtime are far smaller.
_APART_MAX = 0.25
# The first convolution as TensorFlow pads it at an even size, and the same over blocks.  Attributes
# that ONNX does not require may be absent.
_STRIDED = {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (0, 0, 1, 1)}
_BLOCKED = {"kernel_shape": (2, 2), "strides": (1, 1), "pads": (0, 0, 1, 1)}
_OPTIONAL = {"group": (1,), "dilations": (1, 1)}

Parts = list[bytes | memoryview]


class PixelGraph(NamedTuple):
    """data: an ONNX file.  shape: of its input uint8 [1, height / 2, width / 2, 12], blocks of
    pixels [2, 2, 3]."""

    data: bytes
    shape: tuple[int, int, int, int]


class _Graph(NamedTuple):
    """The graph in a file.  fields: as `spans_of` yields them.  nodes: as bytes."""

    data: bytes
    fields: Sequence[tuple[int, int, int, int]]
    nodes: Sequence[bytes]


class _FirstLayer(NamedTuple):
    """The nodes of the first layer as found in the file, and the convolution's weights int8
    [channels, 3, 3, 3] by name."""

    quantise: bytes
    quantised: str
    convolution: bytes
    weight: str
    values: NDArray[np.int8]


def pixel_graph(model: bytes, card: Card) -> PixelGraph | None:
    """Return the graph of a card that takes pixels, with the same outputs to the bit, or None if
    the file does not begin as this module says, or is damaged.  Cost: reads the heads of the file's
    fields, and copies the file once: 4 ms for 3.8 MB."""
    try:
        return _pixel_graph(model, card)
    except ValueError:
        return None


def _pixel_graph(model: bytes, card: Card) -> PixelGraph | None:
    size = _size_of(card)
    outer = list(spans_of(model, 0, len(model))) if size else []
    inside = next(((start, end) for key, _, start, end in outer if key == _GRAPH), None)
    if size is None or inside is None:
        return None
    fields = list(spans_of(model, *inside))
    nodes = [model[start:end] for key, _, start, end in fields if key == _NODE]
    graph = _Graph(model, fields, nodes)
    first = _first_layer(graph, card)
    if first is None:
        return None
    height, width = size[0] // 2, size[1] // 2
    changed = _changed(graph, first, Value(card.input.name, (height, width, 12), "uint8"))
    rest = (model[head:end] for key, head, _, end in outer if key != _GRAPH)
    head = part_head(_GRAPH >> 3, sum(map(len, changed)))
    # The file is large: its parts are joined once.
    return PixelGraph(b"".join((head, *changed, *rest)), (1, height, width, 12))


def _size_of(card: Card) -> tuple[int, int] | None:
    """Return height and width of the card's pictures, or None if they are not of the form that this
    module knows."""
    given, prepared = card.input, card.preparation
    form = (card.kind, given.layout, given.dtype, prepared.colour)
    if form != ("image", "NCHW", "float32", "RGB"):
        return None
    height, width = given.shape[2:]
    if (height, width) != (prepared.crop or prepared.resize) or height % 2 or width % 2:
        return None
    return height, width


def _changed(graph: _Graph, first: _FirstLayer, pixels: Value) -> Parts:
    """Return the fields of the graph that takes pixels: new ones, and between them those of the
    file."""
    transpose = Node("Transpose", (pixels.name,), first.quantised, (("perm", (0, 3, 1, 2)),))
    old = node_of(first.convolution)
    settings = tuple(_BLOCKED.items())
    nodes = {
        first.quantise: node_bytes(transpose),
        first.convolution: node_bytes(Node("Conv", old.inputs, old.outputs[0], settings)),
    }
    weight, port = part_field(8, first.weight.encode()), part_field(1, pixels.name.encode())
    data, found = graph.data, Parts()
    view, kept_from = memoryview(data), graph.fields[0][1]
    for key, head, start, end in graph.fields:
        new: bytes | None = None
        if key == _NODE:
            new = nodes.get(data[start:end])
        elif key == _WEIGHT and _has(data, start, end, weight):
            new = tensor_bytes(first.weight, _in_blocks(first.values))
        elif key == _INPUT and _has(data, start, end, port):
            new = value_bytes(pixels)
        # The shapes of inner values change; the runtime infers them.
        if new is not None or key == _INNER_VALUE:
            found.append(view[kept_from:head])
            kept_from = end
        if new is not None:
            found.append(part_field(key >> 3, new))
    found.append(view[kept_from : graph.fields[-1][3]])
    return found


def _in_blocks(values: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return weights [channels, 3, 3, 3] of a convolution with stride 2 as those of the same one
    over blocks, [channels, 12, 2, 2]: row r is row r % 2 of block r // 2."""
    made = np.zeros((len(values), 2, 2, 3, 2, 2), np.int8)
    for row in range(3):
        for column in range(3):
            made[:, row % 2, column % 2, :, row // 2, column // 2] = values[:, :, row, column]
    return made.reshape(len(values), 12, 2, 2)


def _first_layer(graph: _Graph, card: Card) -> _FirstLayer | None:
    """Return the first layer if it quantises the input to the pixels, and convolves them."""
    quantise = _reader(graph, card.input.name, b"QuantizeLinear")
    if quantise is None or not _keeps_pixels(graph, node_of(quantise).inputs, card):
        return None
    quantised = node_of(quantise).outputs[0]
    dequantise = _reader(graph, quantised, b"DequantizeLinear")
    if dequantise is None or node_of(dequantise).inputs[1:] != node_of(quantise).inputs[1:]:
        return None
    convolution = _reader(graph, node_of(dequantise).outputs[0], b"Conv")
    if convolution is None or not _is_strided(convolution):
        return None
    made = _maker(graph, node_of(convolution).inputs[1])
    if made is None or operator_of(made) != b"DequantizeLinear":
        return None
    weight, zeros = made.inputs[0], (*made.inputs, "")[2]
    values, offset = _weight(graph, weight), _weight(graph, zeros)
    if values is None or values.dtype != np.int8 or values.shape[1:] != (3, 3, 3):
        return None
    # Blocks have weights that pixels have not: their value is 0.
    if len(_readers(graph, weight)) > 1 or (zeros and (offset is None or offset.any())):
        return None
    return _FirstLayer(quantise, quantised, convolution, weight, values.astype(np.int8))


def _keeps_pixels(graph: _Graph, inputs: Sequence[str], card: Card) -> bool:
    """Say whether quantising a normalised pixel gives the pixel."""
    if len(inputs) != 3:
        return False
    scale, zero = _weight(graph, inputs[1]), _weight(graph, inputs[2])
    if scale is None or zero is None or zero.dtype != np.uint8 or scale.size != 1 or zero.size != 1:
        return False
    pixels = np.arange(256, dtype=np.float64)[:, np.newaxis]
    prepared = card.preparation
    normal = (pixels - np.array(prepared.mean)) / np.array(prepared.scale)
    quantised = normal / float(scale.ravel()[0]) + int(zero.ravel()[0])
    return bool((np.abs(quantised - pixels) < _APART_MAX).all())


def _is_strided(convolution: bytes) -> bool:
    found: dict[str, tuple[int, ...]] = {}
    for number, value in fields_of(convolution):
        if number != 5 or not isinstance(value, bytes):
            continue
        held = list(fields_of(value))
        names = (text for at, text in held if at == 1 and not isinstance(text, int))
        name = next(names, b"").decode()
        if (4, b"NOTSET") in held:
            continue  # auto_pad: the pads count
        found[name] = tuple(_whole_numbers(held, (3, 8)))
    required = {name: value for name, value in found.items() if name not in _OPTIONAL}
    optional = {name: value for name, value in found.items() if name in _OPTIONAL}
    return required == _STRIDED and optional.items() <= _OPTIONAL.items()


def _whole_numbers(held: Sequence[tuple[int, int | bytes]], fields: Sequence[int]) -> list[int]:
    """Return the numbers in some fields of a message, one by one or packed; packed ones below 128
    alone, since no others occur here."""
    numbers: list[int] = []
    for at, value in held:
        if at in fields:
            numbers += [value] if isinstance(value, int) else value
    return numbers


def _weight(graph: _Graph, name: str) -> NDArray[np.generic] | None:
    """Return a weight by name; None if the graph does not hold it, or holds it in another file or
    as numbers of several bytes."""
    text, data = part_field(8, name.encode()), graph.data
    found = (
        data[start:end]
        for key, _, start, end in graph.fields
        if key == _WEIGHT and _has(data, start, end, text)
    )
    held = list(fields_of(next(found, b"")))
    # TensorProto: dims, data_type, float_data, int32_data, raw_data.
    shape, types = _whole_numbers(held, (1,)), _whole_numbers(held, (2,))
    dtype = np.dtype(_DTYPES.get(types[0] if types else 0, "V1"))
    data = b"".join(one for at, one in held if at in (4, 9) and isinstance(one, bytes))
    data = data or bytes(one for one in _whole_numbers(held, (5,)) if one < 128)
    fits = dtype.kind != "V" and len(data) == math.prod(shape) * dtype.itemsize
    return np.frombuffer(data, dtype).reshape(shape) if fits else None


def _has(data: bytes, start: int, end: int, field: bytes) -> bool:
    """Say whether the message that a part of a file holds has a field; its bytes inside another
    field do not count."""
    if data.find(field, start, end) < 0:
        return False
    return any(data[head:to] == field for _, head, _, to in spans_of(data, start, end))


def _readers(graph: _Graph, name: str) -> list[bytes]:
    """Return the nodes that read a value."""
    text = name.encode()
    nodes = (node for node in graph.nodes if text in node)
    return [node for node in nodes if name in node_of(node).inputs]


def _reader(graph: _Graph, name: str, operator: bytes) -> bytes | None:
    """Return the node that reads a value first of its inputs, if it is the only one and of that
    operator."""
    found = _readers(graph, name)
    if len(found) != 1:
        return None
    node = node_of(found[0])
    return found[0] if node.inputs[0] == name and operator_of(node) == operator else None


def _maker(graph: _Graph, name: str) -> OnnxNode | None:
    """Return the node that makes a value."""
    text = name.encode()
    nodes = (node_of(node) for node in graph.nodes if text in node)
    return next((node for node in nodes if name in node.outputs), None)
