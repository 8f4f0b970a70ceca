"""The router as ONNX: which domain a sample belongs to, from its features alone."""

import numpy as np

from ..core import Router
from .onnx_graph import GraphBuilder


def add_router(graph: GraphBuilder, router: Router, levels: str) -> str:
    """Add the router and return the place of the chosen domain, int64 [batch].  levels: float32
    [batch, width]."""
    columns = np.arange(*router.span)
    rows = graph.sub(graph.columns(levels, columns, router.width), graph.hold(router.centre))
    rows = graph.mul(rows, graph.hold(router.factor))
    logits = graph.add(graph.matmul(rows, graph.hold(router.weights)), graph.hold(router.bias))
    if len(router.landmarks):
        logits = _corrected(graph, router, rows, logits)
    logits = graph.mul(logits, graph.hold(router.inverse_temperature))
    return graph.op("ArgMax", logits, axis=1, keepdims=0)


def _corrected(graph: GraphBuilder, router: Router, rows: str, logits: str) -> str:
    """Add the votes of the landmarks where the ridge is unsure."""
    lengths = graph.total(graph.mul(rows, rows), 1, keep=True)
    both = graph.add(lengths, graph.hold(np.vecdot(router.landmarks, router.landmarks)[None]))
    products = graph.matmul(rows, graph.hold(router.landmarks.T))
    squares = graph.sub(both, graph.mul(graph.hold(2.0), products))
    squares = graph.op("Max", squares, graph.hold(0.0))
    kernel = graph.op("Exp", graph.mul(graph.hold(-router.gamma), squares))
    corrected = graph.add(logits, graph.matmul(kernel, graph.hold(router.votes)))
    first = graph.op("ArgMax", logits, axis=1, keepdims=1)
    places = graph.hold(np.arange(len(router.domains))[None], "int64")
    rest = graph.op("Where", graph.op("Equal", first, places), graph.hold(-1e30), logits)
    lead = graph.sub(
        graph.reduce("ReduceMax", logits, (1,), keep=True),
        graph.reduce("ReduceMax", rest, (1,), keep=True),
    )
    unsure = graph.op("Less", lead, graph.hold(min(router.sure_lead, 1e30)))
    return graph.op("Where", unsure, corrected, logits)
