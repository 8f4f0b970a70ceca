"""Adaptors as ONNX: the same arithmetic as in `edge/core/adaptors`, on levels as float32."""

import numpy as np

import hdc

from ..core import EdgeError
from ..core.adaptors import (
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
from .onnx_kinds import ONNX_KINDS


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
    return ONNX_KINDS[transform.blueprint.kind](graph, transform, rows)


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
    steps = graph.op("Div", graph.hold(hdc.WHOLE_MAX, "float64"), largest)
    whole = graph.op("Round", graph.mul(scaled, graph.cast(steps, "float32")))
    codes = graph.small(held.codes.T, "float64")
    products = graph.matmul(graph.cast(whole, "float64"), codes)
    unit = graph.op("Div", largest, graph.hold(hdc.WHOLE_MAX, "float64"))
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
