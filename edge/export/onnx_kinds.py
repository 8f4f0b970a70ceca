"""The kinds of adaptor as ONNX: the formulas of `edge.core.adaptors.KINDS`.

To add a kind: one function, and one line in ONNX_KINDS.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..core.adaptors import KINDS, Transform
from .onnx_graph import GraphBuilder

_GELU: Final = float(np.float32(np.sqrt(2 / np.pi)))


def _same(_graph: GraphBuilder, _transform: Transform, rows: str) -> str:
    return rows


def _linear(graph: GraphBuilder, transform: Transform, rows: str) -> str:
    return graph.matmul(rows, graph.hold(transform.arrays["W"]))


def _low_rank(graph: GraphBuilder, transform: Transform, rows: str) -> str:
    for layer in range(transform.blueprint.depth):
        inner = graph.matmul(rows, graph.hold(transform.arrays[f"U{layer}"]))
        active = _activate(graph, transform.blueprint.activation, inner)
        rows = graph.add(rows, graph.matmul(active, graph.hold(transform.arrays[f"V{layer}"])))
    return rows


def _bottleneck(graph: GraphBuilder, transform: Transform, rows: str) -> str:
    for layer in range(transform.blueprint.depth + 1):
        inner = graph.matmul(rows, graph.hold(transform.arrays[f"W{layer}"]))
        rows = _activate(graph, transform.blueprint.activation, inner)
    return rows


def _fusion(graph: GraphBuilder, transform: Transform, rows: str) -> str:
    arrays, sizes = transform.arrays, transform.sizes
    if transform.blueprint.rank:
        inner = graph.op("Relu", graph.matmul(rows, graph.hold(arrays["G"])))
        gates = graph.op("Softmax", graph.matmul(inner, graph.hold(arrays["F"])), axis=-1)
    else:
        gates = graph.op("Softmax", graph.hold(arrays["g"][None]), axis=-1)
    fused, at = "", 0
    for tap, size in enumerate(sizes):
        part = graph.columns(rows, np.arange(at, at + size), sum(sizes))
        made = graph.matmul(part, graph.hold(arrays[f"W{tap}"]))
        gate = graph.op("Gather", gates, graph.hold([tap], "int64"), axis=1)
        made = graph.mul(gate, made)
        fused = graph.add(fused, made) if fused else made
        at += size
    return _activate(graph, transform.blueprint.activation, fused)


def _random(graph: GraphBuilder, transform: Transform, rows: str) -> str:
    """Random features are one matrix, which their code gives for the columns of the identity."""
    size = sum(transform.sizes)
    kind, plain = KINDS["random"], replace(transform.blueprint, activation="none")
    matrix = kind.apply(plain, {}, transform.sizes, np.eye(size, dtype=np.float32))
    mixed = graph.matmul(rows, graph.hold(matrix))
    return _activate(graph, transform.blueprint.activation, mixed)


def _hydra(graph: GraphBuilder, transform: Transform, rows: str) -> str:
    arrays, passed = transform.arrays, rows
    if transform.blueprint.width:
        passed = graph.matmul(rows, graph.hold(arrays["W"]))
    parallel = _narrow(graph, transform, rows, ("U0", "V0"))
    inner = graph.matmul(passed, graph.hold(arrays["U1"]))
    sequential = graph.matmul(inner, graph.hold(arrays["V1"]))
    return graph.add(graph.add(passed, parallel), sequential)


def _taps(
    graph: GraphBuilder,
    transform: Transform,
    rows: str,
    adapt: Callable[[str, int, NDArray[np.float32]], str],
) -> str:
    """Return what `adapt` makes of the columns of each tap, its number and its scaling."""
    made, at, read = [], 0, sum(transform.sizes)
    for tap, size in enumerate(transform.sizes):
        part = graph.columns(rows, np.arange(at, at + size), read)
        made.append(adapt(part, tap, transform.arrays["factor"][at : at + size]))
        at += size
    return graph.op("Concat", *made, axis=1) if len(made) > 1 else made[0]


def _adapter(graph: GraphBuilder, transform: Transform, rows: str) -> str:
    return _adapters(graph, transform, rows, "V")


def _direct(graph: GraphBuilder, transform: Transform, rows: str) -> str:
    return _adapters(graph, transform, rows, "")


def _adapters(graph: GraphBuilder, transform: Transform, rows: str, residual: str) -> str:
    """Return the adapters of all taps.  residual: "V" beside the columns, "" in place of them."""
    up = residual or "E"

    def adapt(columns: str, tap: int, factor: NDArray[np.float32]) -> str:
        if transform.blueprint.depth > 1:
            raw = graph.op("Div", columns, graph.hold(factor))
            added = _narrow(graph, transform, raw, (f"B{tap}", f"{up}b{tap}"))
            added = graph.mul(added, graph.hold(factor))
            columns = graph.add(columns, added) if residual else added
        added = _narrow(graph, transform, columns, (f"U{tap}", f"{up}{tap}"))
        return graph.add(columns, added) if residual else added

    return _taps(graph, transform, rows, adapt)


def _parallel(graph: GraphBuilder, transform: Transform, rows: str) -> str:
    def adapt(columns: str, tap: int, factor: NDArray[np.float32]) -> str:
        raw = graph.op("Div", columns, graph.hold(factor))
        return graph.add(columns, _narrow(graph, transform, raw, (f"U{tap}", f"V{tap}")))

    return _taps(graph, transform, rows, adapt)


def _sparse(graph: GraphBuilder, transform: Transform, rows: str) -> str:
    """Sparse deltas are one matrix, which their code gives for the columns of the identity."""
    kind, size = KINDS["sparse"], sum(transform.sizes)
    columns = np.eye(size, dtype=np.float32)
    matrix = kind.apply(transform.blueprint, transform.arrays, transform.sizes, columns)
    return graph.matmul(rows, graph.hold(matrix))


def _pool(graph: GraphBuilder, transform: Transform, rows: str) -> str:
    keys = transform.arrays["K"]
    lengths = np.maximum(np.sqrt(np.square(keys).sum(axis=1)), np.float32(1e-12))
    cosines = graph.op("Div", graph.matmul(rows, graph.hold(keys.T)), graph.hold(lengths))
    chosen = graph.op("ArgMax", cosines, axis=1, keepdims=1)
    made = ""
    for one in range(transform.blueprint.depth):
        if transform.blueprint.rank:
            part = graph.add(rows, _narrow(graph, transform, rows, (f"U{one}", f"V{one}")))
        else:
            part = graph.mul(rows, graph.hold(1 + transform.arrays[f"g{one}"]))
        taken = graph.cast(graph.op("Equal", chosen, graph.hold(one, "int64")), "float32")
        part = graph.mul(part, taken)
        made = graph.add(made, part) if made else part
    return made


def _routed(graph: GraphBuilder, transform: Transform, rows: str) -> str:
    return graph.add(rows, _narrow(graph, transform, rows, ("U", "V")))


def _mixture(graph: GraphBuilder, transform: Transform, rows: str) -> str:
    gates = graph.matmul(rows, graph.hold(transform.arrays["F"]))
    gates = graph.op("Softmax", gates, axis=-1)
    made = graph.add(rows, _narrow(graph, transform, rows, ("U", "Vt")))
    for one in range(transform.blueprint.depth):
        part = _narrow(graph, transform, rows, (f"D{one}", f"V{one}"))
        gate = graph.op("Gather", gates, graph.hold([one + 1], "int64"), axis=1)
        made = graph.add(made, graph.mul(gate, part))
    return made


def _narrow(graph: GraphBuilder, transform: Transform, rows: str, names: tuple[str, str]) -> str:
    """Return a(rows @ down) @ up, from the arrays of these names."""
    down, up = (graph.hold(transform.arrays[name]) for name in names)
    inner = _activate(graph, transform.blueprint.activation, graph.matmul(rows, down))
    return graph.matmul(inner, up)


def _activate(graph: GraphBuilder, name: str, value: str) -> str:
    if name == "relu":
        return graph.op("Relu", value)
    if name == "tanh":
        return graph.op("Tanh", value)
    if name == "gelu":
        cube = graph.mul(graph.mul(graph.mul(graph.hold(0.044715), value), value), value)
        inner = graph.mul(graph.hold(_GELU), graph.add(value, cube))
        half = graph.mul(graph.add(graph.op("Tanh", inner), graph.hold(1.0)), graph.hold(0.5))
        return graph.mul(value, half)
    return value


ONNX_KINDS: Final[Mapping[str, Callable[[GraphBuilder, Transform, str], str]]] = {
    "none": _same,
    "linear": _linear,
    "lowrank": _low_rank,
    "sliced": _low_rank,
    "bottleneck": _bottleneck,
    "fusion": _fusion,
    "random": _random,
    "kernel": _same,
    "hydra": _hydra,
    "adapter": _adapter,
    "adapter_parallel": _parallel,
    "adapter_direct": _direct,
    "sparse": _sparse,
    "pool": _pool,
    "mhr": _routed,
    "mhr_z": _routed,
    "mhr_mu": _routed,
    "mixture": _mixture,
}
"""Kinds by name, each from standardised columns float32 [batch, read] to [batch, out]."""
