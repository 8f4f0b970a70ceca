"""Graphs renamed, cut and joined as bytes."""

from __future__ import annotations

import numpy as np
import pytest

from encoder.graph_surgery import cut, joined, parts_of, renamed, with_deviations
from encoder.onnx_writer import Graph, Node, Value, graph_bytes, onnx_around
from encoder.session import OnnxSession

GIVEN = Value("x", (3,))
ROW = np.array([[1.0, 2.0, 6.0]], np.float32)


def sums() -> bytes:
    """A graph with two outputs, one of which needs the other."""
    weights = {"one": np.ones(3, np.float32), "two": np.full(3, 2, np.float32)}
    nodes = [Node("Add", ("x", "one"), "early"), Node("Mul", ("early", "two"), "late")]
    return graph_bytes(Graph(nodes, weights, [GIVEN], [Value("early", (3,)), Value("late", (3,))]))


def run(data: bytes, tmp_path, outputs: list[str]) -> list[np.ndarray]:
    """The outputs for ROW."""
    return OnnxSession(data, tmp_path).run("x", ROW, outputs)


def around(parts, outputs: list[str], width: int = 3) -> bytes:
    """The parts as a file with these outputs."""
    return onnx_around(parts.data(), Graph([], {}, [GIVEN], [Value(o, (width,)) for o in outputs]))


def test_a_cut_graph_keeps_only_what_its_output_needs(tmp_path) -> None:
    """Later layers and their weights are gone; the output is the same."""
    short = cut(parts_of(sums()), ["early"])
    assert [name for name, _ in short.weights] == ["one"]
    assert len(short.nodes) == 1
    assert run(around(short, ["early"]), tmp_path, ["early"])[0].tolist() == [[2, 3, 7]]


def test_an_output_that_no_node_computes_is_refused() -> None:
    """The error names it."""
    with pytest.raises(ValueError, match="missing"):
        cut(parts_of(sums()), ["missing"])


def test_two_graphs_with_prefixes_run_as_one(tmp_path) -> None:
    """Names differ, the input is shared, and both give their outputs."""
    both = joined([renamed(parts_of(sums()), f"{n}/", {"x"}) for n in (0, 1)])
    found = run(around(both, ["0/late", "1/early"]), tmp_path, ["0/late", "1/early"])
    assert [one.tolist() for one in found] == [[[4, 6, 14]], [[2, 3, 7]]]


def test_graphs_of_different_operator_sets_are_not_joined() -> None:
    """Their nodes could mean different things."""
    one = parts_of(sums())
    with pytest.raises(ValueError, match="operator sets"):
        joined([one, one._replace(opsets=(b"\x10\x12",))])


def test_a_deviation_beside_a_mean(tmp_path) -> None:
    """It is numpy's standard deviation over the same axes; only a mean has one."""
    nodes = [Node("ReduceMean", ("x",), "mean", (("axes", (1,)), ("keepdims", 0)))]
    base = graph_bytes(Graph(nodes, {}, [GIVEN], [Value("mean", ())]))
    more = with_deviations(parts_of(base), {"mean": "spread"})
    data = onnx_around(more.data(), Graph([], {}, [GIVEN], [Value("spread", ())]))
    assert run(data, tmp_path, ["spread"])[0] == pytest.approx(ROW.std(axis=1))
    with pytest.raises(ValueError, match="no mean"):
        with_deviations(parts_of(sums()), {"late": "spread"})


@pytest.mark.parametrize("field", [b"\xa2\x01\x00", b"\xca\x01\x00"])
def test_training_and_functions_are_refused(field: bytes) -> None:
    """ModelProto.training_info and functions would be lost."""
    with pytest.raises(ValueError, match="training or functions"):
        parts_of(sums() + field)


def test_damaged_bytes_are_refused() -> None:
    """A file that ends early is no graph."""
    with pytest.raises(ValueError, match="ends beyond"):
        parts_of(sums()[:-3])
