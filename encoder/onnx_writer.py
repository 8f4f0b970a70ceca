"""A writer of small ONNX files without the onnx package.  The field numbers are those of onnx.proto
(onnx/onnx, IR version 8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# The operator set and IR version of ONNX 1.10, which every supported onnxruntime loads.
_OPSET, _IR_VERSION = 13, 8
# AttributeProto.INT and INTS of onnx.proto.
_INT, _INTS = 2, 7
# TensorProto.STRING of onnx.proto.
_STRING = 8

# TensorProto.DataType of onnx.proto.
_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float64": 11}
_TYPE_OF_TEXT = "text"


class Node(NamedTuple):
    """One operator with one output.  numbers: its attributes, each a list of integers, or one."""

    operator: str
    inputs: Sequence[str]
    output: str
    numbers: Sequence[tuple[str, tuple[int, ...] | int]] = ()


class Value(NamedTuple):
    """An input or output of the graph: its shape without the batch, which has any size, as do sizes
    of -1.  dtype: of numpy, or `text`."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"


class Graph(NamedTuple):
    """A graph that computes `results` from `given`.

    weights: arrays by name, of dtype float32, float64, uint8, int8, int32, int64 or bool, or of
    text.  facts: text by name, kept as the file's metadata.  before: nodes that compute the inputs
    of another file, see `onnx_around`.
    """

    nodes: Sequence[Node]
    weights: Mapping[str, NDArray[np.generic]]
    given: Sequence[Value]
    results: Sequence[Value]
    facts: Mapping[str, str] = MappingProxyType({})
    before: Sequence[Node] = ()


def onnx_bytes(
    nodes: Sequence[Node],
    weights: Mapping[str, NDArray[np.generic]],
    given: Value | Sequence[Value],
    results: Sequence[Value],
) -> bytes:
    """Return the ONNX file of the graph that computes `results` from `given`; see `Graph`."""
    inputs = [given] if isinstance(given, Value) else given
    return graph_bytes(Graph(nodes, weights, inputs, results))


def graph_bytes(graph: Graph) -> bytes:
    """Return the ONNX file of a graph."""
    return _model(
        graph, b"", part_field(8, part_field(1, b"") + number_field(2, _OPSET)), _IR_VERSION
    )


def onnx_around(base: bytes, graph: Graph) -> bytes:
    """Return the ONNX file of `base` with a graph around it: `graph.before` computes the inputs of
    `base`, `graph.nodes` read its outputs.

    The file has the inputs, results and metadata of the graph alone; of `base` it keeps nodes,
    weights and operator sets.  Names of the graph must differ from those of `base`.  Raises
    ValueError if `base` is not a well-formed ONNX file without functions and training.
    """
    version, inside, opsets = _IR_VERSION, b"", []
    for number, value in fields_of(base):
        if number == 1 and isinstance(value, int):
            version = max(version, value)
        elif number == 7 and isinstance(value, bytes):
            inside = value
        elif number == 8 and isinstance(value, bytes):
            opsets.append(part_field(8, value))
        elif number in (20, 25):
            raise ValueError("an ONNX file with training or functions")
    if not inside or not opsets:
        raise ValueError("an ONNX file without a graph")
    # Nodes, weights, types of values, annotations of quantised ones, sparse weights.
    kept = (
        part_field(number, value)
        for number, value in fields_of(inside)
        if number in (1, 5, 13, 14, 15) and isinstance(value, bytes)
    )
    return _model(graph, b"".join(kept), b"".join(opsets), version)


def opset_of(model: bytes) -> int:
    """Return the version of ONNX's own operators in a file.  Raises ValueError without one."""
    for number, value in fields_of(model):
        if number == 8 and isinstance(value, bytes):
            found = dict(fields_of(value))
            if not found.get(1) or found[1] == b"ai.onnx":
                return int(found[2])
    raise ValueError("an ONNX file without a version of its operators")


def _model(graph: Graph, base: bytes, opsets: bytes, version: int) -> bytes:
    inner = b"".join(
        (
            *(part_field(1, node_bytes(node)) for node in graph.before),
            base,
            *(part_field(1, node_bytes(node)) for node in graph.nodes),
            part_field(2, b"graph"),
            *(part_field(5, tensor_bytes(name, values)) for name, values in graph.weights.items()),
            *(part_field(11, value_bytes(one)) for one in graph.given),
            *(part_field(12, value_bytes(result)) for result in graph.results),
        )
    )
    facts = (
        part_field(14, part_field(1, name.encode()) + part_field(2, text.encode()))
        for name, text in graph.facts.items()
    )
    return (
        number_field(1, version)
        + part_field(2, b"auricle")
        + part_field(7, inner)
        + opsets
        + b"".join(facts)
    )


def node_bytes(node: Node) -> bytes:
    """Return an operator as bytes."""
    return b"".join(
        (
            *(part_field(1, name.encode()) for name in node.inputs),
            part_field(2, node.output.encode()),
            part_field(4, node.operator.encode()),
            *(part_field(5, _attribute(name, values)) for name, values in node.numbers),
        )
    )


def tensor_bytes(name: str, values: NDArray[np.generic]) -> bytes:
    """Return a weight as bytes."""
    dims = b"".join(number_field(1, size) for size in values.shape)
    if values.dtype.kind == "U":
        texts = b"".join(part_field(6, str(text).encode()) for text in values.ravel())
        return dims + number_field(2, _STRING) + texts + part_field(8, name.encode())
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    kind = number_field(2, _TYPES[values.dtype.name])
    return dims + kind + part_field(8, name.encode()) + part_field(9, data)


def value_bytes(value: Value) -> bytes:
    """Return an input or output as bytes."""
    named = enumerate(value.shape)
    sizes = b"".join(
        part_field(
            1, number_field(1, size) if size >= 0 else part_field(2, f"size{place}".encode())
        )
        for place, size in named
    )
    dims = part_field(1, part_field(2, b"batch")) + sizes
    kind = _STRING if value.dtype == _TYPE_OF_TEXT else _TYPES[value.dtype]
    tensor = number_field(1, kind) + part_field(2, dims)
    return part_field(1, value.name.encode()) + part_field(2, part_field(1, tensor))


def _attribute(name: str, values: Sequence[int] | int) -> bytes:
    named = part_field(1, name.encode())
    if isinstance(values, int):
        return named + number_field(3, values) + number_field(20, _INT)
    return named + b"".join(number_field(8, v) for v in values) + number_field(20, _INTS)


def part_field(number: int, data: bytes) -> bytes:
    """Return a field of a message that holds bytes, text or another message."""
    return part_head(number, len(data)) + data


def part_head(number: int, length: int) -> bytes:
    """Return what stands before the bytes of a field that holds so many."""
    return _varint(number << 3 | 2) + _varint(length)


def number_field(number: int, value: int) -> bytes:
    """Return a field of a message that holds a whole number."""
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # a negative number takes ten bytes
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def fields_of(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the number and the value of every field of a message.  Raises ValueError for damaged
    data."""
    for key, _, start, end in spans_of(data, 0, len(data)):
        yield key >> 3, data[start:end] if key & 7 else _read_varint(data, start)[0]


def spans_of(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield every field of the message that a part of a file holds, without a copy: its key (eight
    times its number, and the wire type), and where its head begins, its value begins, and the field
    ends.  Raises ValueError for damaged data."""
    while at < end:
        head = at
        key, at = _read_varint(data, at)
        wire = key & 7
        if wire == 2:
            length, at = _read_varint(data, at)
        elif wire == 0:
            length = _read_varint(data, at)[1] - at
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}, which ONNX does not use")
        start, at = at, at + length
        if at > end:
            raise ValueError("a field that ends beyond the file")
        yield key, head, start, at


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    if at < len(data) and data[at] < 0x80:
        return data[at], at + 1
    value = 0
    for place in range(10):
        if at + place >= len(data):
            raise ValueError("a number that ends beyond the file")
        value |= (data[at + place] & 0x7F) << (7 * place)
        if data[at + place] < 0x80:
            return value, at + place + 1
    raise ValueError("a number longer than ten bytes")
