"""Adaptors as ONNX: the same arithmetic as in `edge/core/adaptors`, on levels as float32."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from ..core import EdgeError
from ..core.adaptors import (
    KINDS,
    LENGTH_MIN,
    STRENGTH,
    Adaptor,
    Evidence,
    FittedHead,
    KernelMachine,
    Transform,
)
from ..core.knowledge import PooledDiscriminant
from .onnx_graph import GraphBuilder

WHOLE_MAX: Final = (1 << 15) - 1
"""See `WHOLE_MAX` in edge/core/adaptors/kernel.py: the answer there is rounded the same way."""

_GELU: Final = float(np.float32(np.sqrt(2 / np.pi)))


def add_adaptor(graph: GraphBuilder, adaptor: Adaptor, levels: str, width: int) -> str:
    """Add an adaptor and return its scores, float32 [batch, labels].  levels: float32 [batch,
    width].  Raises EdgeError for an adaptor that cannot be exported."""
    match adaptor:
        case FittedHead():
            rows = _transform(graph, adaptor.transform, levels, width)
            product = graph.matmul(rows, graph.hold(adaptor.weights))
            drafts = graph.add(product, graph.hold(adaptor.bias))
            held = adaptor.evidence
            return drafts if held is None else _revised(graph, held, rows, drafts)
        case KernelMachine():
            return _kernel(graph, adaptor, levels, width)
        case PooledDiscriminant():
            first = graph.columns(levels, np.arange(len(adaptor.factor)), width)
            rows = graph.mul(first, graph.hold(adaptor.factor))
            product = graph.matmul(rows, graph.hold(adaptor.weights))
            return graph.op("Softmax", graph.add(product, graph.hold(adaptor.bias)), axis=-1)
    raise EdgeError(
        f"writing ONNX: an adaptor of the type {type(adaptor).__name__} cannot be exported",
        "export a domain with facts of its own: --domain",
    )


def _revised(graph: GraphBuilder, held: Evidence, rows: str, drafts: str) -> str:
    """Return drafts [batch, labels] with the unsure ones revised by the nearest facts."""
    moved = graph.sub(graph.matmul(rows, graph.hold(held.directions)), graph.hold(held.centre))
    lengths = graph.op("Sqrt", graph.total(graph.mul(moved, moved), 1, keep=True))
    unit = graph.op("Div", moved, graph.op("Max", lengths, graph.hold(LENGTH_MIN)))
    found = graph.matmul(unit, graph.hold(held.facts.T))
    stops = [*held.starts[1:].tolist(), len(held.facts)]
    nearest = [
        graph.reduce(
            "ReduceMax",
            graph.columns(found, np.arange(start, stop), len(held.facts)),
            (1,),
            keep=True,
        )
        for start, stop in zip(held.starts.tolist(), stops, strict=True)
    ]
    similar = graph.op("Concat", *nearest, axis=1)
    most = graph.reduce("ReduceMax", similar, (1,), keep=True)
    added = graph.mul(graph.sub(similar, most), graph.hold(STRENGTH))
    best = graph.reduce("ReduceMax", drafts, (1,), keep=True)
    # Every draft but the best; two equal ones have a lead of 0 in either case.
    others = graph.op("Where", graph.op("Equal", drafts, best), graph.hold(-np.inf), drafts)
    second = graph.reduce("ReduceMax", others, (1,), keep=True)
    equal = graph.cast(graph.op("Equal", drafts, best), "float32")
    single = graph.op("Equal", graph.total(equal, 1, keep=True), graph.hold(1.0))
    lead = graph.op("Where", single, graph.sub(best, second), graph.hold(0.0))
    unsure = graph.op("Less", lead, graph.hold(held.lead))
    return graph.op("Where", unsure, graph.add(drafts, added), drafts)


def _transform(graph: GraphBuilder, transform: Transform, levels: str, width: int) -> str:
    """Return kind((root(levels) - centre) * factor), float32 [batch, out]."""
    chosen = graph.columns(levels, transform.columns, width)
    rows = graph.sub(graph.op("Sqrt", chosen), graph.hold(transform.arrays["centre"]))
    rows = graph.mul(rows, graph.hold(transform.arrays["factor"]))
    return _KINDS[transform.blueprint.kind](graph, transform, rows)


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


_KINDS: Final[Mapping[str, Callable[[GraphBuilder, Transform, str], str]]] = {
    "none": _same,
    "linear": _linear,
    "lowrank": _low_rank,
    "sliced": _low_rank,
    "bottleneck": _bottleneck,
    "fusion": _fusion,
    "random": _random,
    "kernel": _same,
}


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


def _kernel(graph: GraphBuilder, machine: KernelMachine, levels: str, width: int) -> str:
    """Return similarity(rows) @ weights + bias; the products with landmarks are those of whole
    numbers, as on a device with the C part."""
    held = machine.landmarks
    rows = _transform(graph, held.transform, levels, width)
    scaled = graph.mul(rows, graph.hold(held.step))
    largest = graph.reduce("ReduceMax", graph.op("Abs", scaled), (1,), keep=True)
    largest = graph.cast(largest, "float64")
    none = graph.op("Equal", largest, graph.hold(0.0, "float64"))
    largest = graph.op("Where", none, graph.hold(1.0, "float64"), largest)
    steps = graph.op("Div", graph.hold(WHOLE_MAX, "float64"), largest)
    whole = graph.op("Round", graph.mul(scaled, graph.cast(steps, "float32")))
    codes = graph.small(held.codes.T, "float64")
    products = graph.matmul(graph.cast(whole, "float64"), codes)
    unit = graph.op("Div", largest, graph.hold(WHOLE_MAX, "float64"))
    similarity = graph.cast(graph.mul(products, unit), "float32")
    shared = graph.matmul(rows, graph.hold(held.shift[:, None]))
    lengths = graph.total(graph.mul(rows, rows), 1, keep=True)
    shared = graph.add(shared, graph.mul(graph.hold(0.5), lengths))
    similarity = graph.mul(graph.sub(similarity, shared), graph.hold(2.0))
    similarity = graph.sub(similarity, graph.hold(held.lengths))
    similarity = graph.op("Exp", graph.op("Min", similarity, graph.hold(0.0)))
    return graph.add(
        graph.matmul(similarity, graph.hold(machine.weights)), graph.hold(machine.bias)
    )
