"""Rename, cut and join ONNX graphs without the onnx package.  The field numbers are those of
onnx.proto (onnx/onnx, IR version 3 and later).

What the runtime infers by itself is dropped: shapes of inner values and annotations."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from .onnx_writer import fields_of, number_field, part_field

# AttributeProto.g and graphs: a graph inside a graph, as in If and Loop.
_SUBGRAPHS = frozenset({6, 11})
# ModelProto.training_info and functions.
_UNSUPPORTED = frozenset({20, 25})


class OnnxNode(NamedTuple):
    """One operator: the names that it reads and writes, and its other fields as bytes."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    rest: bytes

    def data(self) -> bytes:
        """Return the node as bytes."""
        return b"".join(
            (
                *(part_field(1, name.encode()) for name in self.inputs),
                *(part_field(2, name.encode()) for name in self.outputs),
                self.rest,
            )
        )


class OnnxParts(NamedTuple):
    """A graph in parts.  version: of the file format.  opsets: operator sets as bytes.  weights:
    name and bytes."""

    version: int
    opsets: tuple[bytes, ...]
    nodes: tuple[OnnxNode, ...]
    weights: tuple[tuple[str, bytes], ...]

    def data(self) -> bytes:
        """Return a file with these nodes and weights, without inputs and outputs: a base for
        `onnx_around`."""
        inside = b"".join(
            (
                *(part_field(1, node.data()) for node in self.nodes),
                *(part_field(5, weight) for _, weight in self.weights),
            )
        )
        opsets = b"".join(part_field(8, one) for one in self.opsets)
        return number_field(1, self.version) + part_field(7, inside) + opsets


def parts_of(model: bytes) -> OnnxParts:
    """Return the parts of an ONNX file.  Raises ValueError if it is damaged, or has training,
    functions, sparse weights or graphs inside graphs."""
    version, opsets, inside = 0, [], b""
    for number, value in fields_of(model):
        if number in _UNSUPPORTED:
            raise ValueError("an ONNX file with training or functions")
        if number == 1 and isinstance(value, int):
            version = value
        elif number == 7 and isinstance(value, bytes):
            inside = value
        elif number == 8 and isinstance(value, bytes):
            opsets.append(value)
    nodes, weights = [], []
    for number, value in fields_of(inside):
        if number == 15:
            raise ValueError("an ONNX file with sparse weights")
        if number == 1 and isinstance(value, bytes):
            nodes.append(node_of(value))
        elif number == 5 and isinstance(value, bytes):
            weights.append((_name(value, 8), value))
    return OnnxParts(version, tuple(opsets), tuple(nodes), tuple(weights))


def renamed(parts: OnnxParts, prefix: str, kept: Collection[str] = ()) -> OnnxParts:
    """Return the parts with `prefix` before every name, except those in `kept`."""

    def new(name: str) -> str:
        return name if not name or name in kept else prefix + name

    nodes = tuple(
        node._replace(inputs=tuple(map(new, node.inputs)), outputs=tuple(map(new, node.outputs)))
        for node in parts.nodes
    )
    # Of a field that occurs twice, a reader of protobuf takes the last.
    weights = tuple(
        (new(name), data + part_field(8, new(name).encode())) for name, data in parts.weights
    )
    return parts._replace(nodes=nodes, weights=weights)


def cut(parts: OnnxParts, outputs: Iterable[str]) -> OnnxParts:
    """Return only the nodes and weights that `outputs` need.  Raises ValueError if none computes
    one of them."""
    wanted, nodes = set(outputs), []
    made = {name for node in parts.nodes for name in node.outputs}
    if not wanted <= made:
        raise ValueError(f"no node computes {sorted(wanted - made)}")
    # A file lists a node after those whose outputs it reads.
    for node in reversed(parts.nodes):
        if wanted.intersection(node.outputs):
            nodes.append(node)
            wanted.update(node.inputs)
    weights = tuple(weight for weight in parts.weights if weight[0] in wanted)
    return parts._replace(nodes=tuple(reversed(nodes)), weights=weights)


def with_deviations(parts: OnnxParts, outputs: Mapping[str, str]) -> OnnxParts:
    """Return the parts with more outputs: for each of `outputs`, a mean that a ReduceMean computes,
    the standard deviation over the same values, under the name that it maps to.  Raises ValueError
    for an output that is no such mean."""
    made = {name: node for node in parts.nodes for name in node.outputs}
    nodes = list(parts.nodes)
    for mean, deviation in outputs.items():
        node = made.get(mean)
        if node is None or operator_of(node) != b"ReduceMean":
            raise ValueError(f"{mean!r} is no mean over positions")
        values = node.inputs[0]
        names = [
            f"{deviation}/{step}" for step in ("squares", "mean", "square", "left", "variance")
        ]
        squares, of_squares, squared, left, variance = names
        nodes += [
            _plain("Mul", (values, values), squares),
            node._replace(inputs=(squares, *node.inputs[1:]), outputs=(of_squares,)),
            _plain("Mul", (mean, mean), squared),
            _plain("Sub", (of_squares, squared), left),
            # Rounding may leave less than nothing of a constant.
            _plain("Relu", (left,), variance),
            _plain("Sqrt", (variance,), deviation),
        ]
    return parts._replace(nodes=tuple(nodes))


def joined(several: Sequence[OnnxParts]) -> OnnxParts:
    """Return several graphs, whose names differ, as one.  Raises ValueError for operator sets of
    different versions."""
    opsets: dict[bytes, bytes] = {}
    for one in (one for parts in several for one in parts.opsets):
        domain, version = _opset(one)
        if _opset(opsets.setdefault(domain, one))[1] != version:
            raise ValueError("graphs of different operator sets")
    return OnnxParts(
        max(parts.version for parts in several),
        tuple(opsets.values()),
        tuple(node for parts in several for node in parts.nodes),
        tuple(weight for parts in several for weight in parts.weights),
    )


def _opset(data: bytes) -> tuple[bytes, int]:
    """Return domain and version of an operator set; ONNX's own domain has two names."""
    found = dict(fields_of(data))
    domain, version = found.get(1, b""), found.get(2, 0)
    named = domain if isinstance(domain, bytes) and domain != b"ai.onnx" else b""
    return named, version if isinstance(version, int) else 0


def _plain(operator: str, inputs: tuple[str, ...], output: str) -> OnnxNode:
    return OnnxNode(inputs, (output,), part_field(4, operator.encode()))


def operator_of(node: OnnxNode) -> bytes:
    """Return the name of a node's operator."""
    return next((v for n, v in fields_of(node.rest) if n == 4 and isinstance(v, bytes)), b"")


def node_of(data: bytes) -> OnnxNode:
    """Return a node of a file.  Raises ValueError for one with a graph inside."""
    inputs, outputs, rest = [], [], b""
    for number, value in fields_of(data):
        if isinstance(value, int):
            rest += number_field(number, value)
        elif number == 1:
            inputs.append(value.decode())
        elif number == 2:
            outputs.append(value.decode())
        elif number != 3:  # The node's own name, which nothing refers to.
            if number == 5 and any(inner in _SUBGRAPHS for inner, _ in fields_of(value)):
                raise ValueError("an ONNX file with a graph inside a graph")
            rest += part_field(number, value)
    return OnnxNode(tuple(inputs), tuple(outputs), rest)


def _name(data: bytes, field: int) -> str:
    found = [value for number, value in fields_of(data) if number == field]
    if not found or not isinstance(found[-1], bytes):
        raise ValueError("a weight without a name")
    return found[-1].decode()
