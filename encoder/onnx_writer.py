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
    return _model(graph, b"", _part(8, _part(1, b"") + _number(2, _OPSET)), _IR_VERSION)


def onnx_around(base: bytes, graph: Graph) -> bytes:
    """Return the ONNX file of `base` with a graph around it: `graph.before` computes the inputs of
    `base`, `graph.nodes` read its outputs.

    The file has the inputs, results and metadata of the graph alone; of `base` it keeps nodes,
    weights and operator sets.  Names of the graph must differ from those of `base`.  Raises
    ValueError if `base` is not a well-formed ONNX file without functions and training.
    """
    version, inside, opsets = _IR_VERSION, b"", []
    for number, value in _fields(base):
        if number == 1 and isinstance(value, int):
            version = max(version, value)
        elif number == 7 and isinstance(value, bytes):
            inside = value
        elif number == 8 and isinstance(value, bytes):
            opsets.append(_part(8, value))
        elif number in (20, 25):
            raise ValueError("an ONNX file with training or functions")
    if not inside or not opsets:
        raise ValueError("an ONNX file without a graph")
    # Nodes, weights, types of values, annotations of quantised ones, sparse weights.
    kept = (
        _part(number, value)
        for number, value in _fields(inside)
        if number in (1, 5, 13, 14, 15) and isinstance(value, bytes)
    )
    return _model(graph, b"".join(kept), b"".join(opsets), version)


def opset_of(model: bytes) -> int:
    """Return the version of ONNX's own operators in a file.  Raises ValueError without one."""
    for number, value in _fields(model):
        if number == 8 and isinstance(value, bytes):
            found = dict(_fields(value))
            if not found.get(1) or found[1] == b"ai.onnx":
                return int(found[2])
    raise ValueError("an ONNX file without a version of its operators")


def _model(graph: Graph, base: bytes, opsets: bytes, version: int) -> bytes:
    inner = b"".join(
        (
            *(_part(1, _node(node)) for node in graph.before),
            base,
            *(_part(1, _node(node)) for node in graph.nodes),
            _part(2, b"graph"),
            *(_part(5, _tensor(name, values)) for name, values in graph.weights.items()),
            *(_part(11, _value(one)) for one in graph.given),
            *(_part(12, _value(result)) for result in graph.results),
        )
    )
    facts = (
        _part(14, _part(1, name.encode()) + _part(2, text.encode()))
        for name, text in graph.facts.items()
    )
    return _number(1, version) + _part(2, b"auricle") + _part(7, inner) + opsets + b"".join(facts)


def _node(node: Node) -> bytes:
    return b"".join(
        (
            *(_part(1, name.encode()) for name in node.inputs),
            _part(2, node.output.encode()),
            _part(4, node.operator.encode()),
            *(_part(5, _attribute(name, values)) for name, values in node.numbers),
        )
    )


def _tensor(name: str, values: NDArray[np.generic]) -> bytes:
    dims = b"".join(_number(1, size) for size in values.shape)
    if values.dtype.kind == "U":
        texts = b"".join(_part(6, str(text).encode()) for text in values.ravel())
        return dims + _number(2, _STRING) + texts + _part(8, name.encode())
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    kind = _number(2, _TYPES[values.dtype.name])
    return dims + kind + _part(8, name.encode()) + _part(9, data)


def _value(value: Value) -> bytes:
    named = enumerate(value.shape)
    sizes = b"".join(
        _part(1, _number(1, size) if size >= 0 else _part(2, f"size{place}".encode()))
        for place, size in named
    )
    dims = _part(1, _part(2, b"batch")) + sizes
    kind = _STRING if value.dtype == _TYPE_OF_TEXT else _TYPES[value.dtype]
    tensor = _number(1, kind) + _part(2, dims)
    return _part(1, value.name.encode()) + _part(2, _part(1, tensor))


def _attribute(name: str, values: Sequence[int] | int) -> bytes:
    named = _part(1, name.encode())
    if isinstance(values, int):
        return named + _number(3, values) + _number(20, _INT)
    return named + b"".join(_number(8, v) for v in values) + _number(20, _INTS)


def _part(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # a negative number takes ten bytes
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the number and the value of every field of a message.  Raises ValueError for damaged
    data."""
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        if key & 7 == 0:
            value, at = _read_varint(data, at)
            yield key >> 3, value
            continue
        length, at = (
            (8, at) if key & 7 == 1 else (4, at) if key & 7 == 5 else _length(data, at, key)
        )
        if at + length > len(data):
            raise ValueError("a field that ends beyond the file")
        yield key >> 3, data[at : at + length]
        at += length


def _length(data: bytes, at: int, key: int) -> tuple[int, int]:
    if key & 7 != 2:
        raise ValueError(f"wire type {key & 7}, which ONNX does not use")
    return _read_varint(data, at)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        if at + place >= len(data):
            raise ValueError("a number that ends beyond the file")
        value |= (data[at + place] & 0x7F) << (7 * place)
        if data[at + place] < 0x80:
            return value, at + place + 1
    raise ValueError("a number longer than ten bytes")
