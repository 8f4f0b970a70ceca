"""A writer of small ONNX files without the onnx package.  The field numbers are those of onnx.proto
(onnx/onnx, IR version 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# The operator set and IR version of ONNX 1.10, which every supported onnxruntime loads; and
# AttributeProto.INTS of onnx.proto.
_OPSET, _IR_VERSION, _INTS = 13, 8, 7

# TensorProto.DataType of onnx.proto.
_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6}


class Node(NamedTuple):
    """One operator with one output.  numbers: its attributes, each a list of integers."""

    operator: str
    inputs: Sequence[str]
    output: str
    numbers: Sequence[tuple[str, tuple[int, ...]]] = ()


class Value(NamedTuple):
    """An input or output of the graph: its shape without the batch, which has any size."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"


def onnx_bytes(
    nodes: Sequence[Node],
    weights: Mapping[str, NDArray[np.generic]],
    given: Value | Sequence[Value],
    results: Sequence[Value],
) -> bytes:
    """Return the ONNX file of the graph that computes `results` from `given`; `weights` by name, of
    dtype float32, uint8, int8 or int32."""
    inputs = [given] if isinstance(given, Value) else given
    graph = b"".join(
        (
            *(_part(1, _node(node)) for node in nodes),
            _part(2, b"graph"),
            *(_part(5, _tensor(name, values)) for name, values in weights.items()),
            *(_part(11, _value(one)) for one in inputs),
            *(_part(12, _value(result)) for result in results),
        )
    )
    opset = _part(1, b"") + _number(2, _OPSET)
    return _number(1, _IR_VERSION) + _part(7, graph) + _part(8, opset)


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
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    kind = _number(2, _TYPES[values.dtype.name])
    return dims + kind + _part(8, name.encode()) + _part(9, data)


def _value(value: Value) -> bytes:
    sizes = b"".join(_part(1, _number(1, size)) for size in value.shape)
    dims = _part(1, _part(2, b"batch")) + sizes
    tensor = _number(1, _TYPES[value.dtype]) + _part(2, dims)
    return _part(1, value.name.encode()) + _part(2, _part(1, tensor))


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
