from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from encoder.onnx_writer import Graph, Node, Value, onnx_around, onnx_bytes, opset_of
from encoder.session import OnnxSession

DTYPES = ["float32", "float64", "uint8", "int8", "int32", "int64"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_arrive_bit_by_bit(dtype) -> None:
    """The onnx package reads a weight of each dtype, with many numbers, unchanged."""
    weights = np.arange(300).reshape(3, 100).astype(dtype)
    node = Node("Identity", ("w",), "y")
    data = onnx_bytes([node], {"w": weights}, Value("x", (1,)), [Value("y", (100,), dtype)])
    (found,) = onnx.load_from_string(data).graph.initializer
    assert found.name == "w"
    assert np.array_equal(onnx.numpy_helper.to_array(found), weights)


def test_written_graphs_run(tmp_path: Path) -> None:
    """Operators with their attributes and ports with an open batch pass the checker and compute."""
    nodes = [
        Node("MatMulInteger", ("x", "w"), "p"),
        Node("Transpose", ("p",), "y", (("perm", (1, 0)),)),
    ]
    weights = {"w": np.array([[1, -2], [3, 127]], np.int8)}
    results = [Value("y", (2,), "int32")]
    data = onnx_bytes(nodes, weights, Value("x", (2,), "uint8"), results)
    onnx.checker.check_model(onnx.load_from_string(data))
    batch = np.array([[255, 255], [1, 0]], np.uint8)
    (found,) = OnnxSession(data, tmp_path).run("x", batch, ["y"])
    assert found.tolist() == [[1020, 1], [31875, -2]]


def test_a_graph_goes_around_another_file():
    """Nodes before and after a file join it into one graph, with text, metadata and its own
    operator set."""
    inner = onnx_bytes([Node("Relu", ("x",), "y")], {}, Value("x", (2,)), [Value("y", (2,))])
    nodes = [
        Node("ArgMax", ("y",), "at", (("axis", 1), ("keepdims", 0))),
        Node("Gather", ("names", "at"), "name", (("axis", 0),)),
    ]
    graph = Graph(
        nodes=nodes,
        weights={"names": np.array(["né", "b"])},
        given=[Value("bytes", (2,), "uint8")],
        results=[Value("name", (), "text")],
        facts={"who": "è"},
        before=[Node("Cast", ("bytes",), "x", (("to", 1),))],
    )
    made = onnx_around(inner, graph)
    onnx.checker.check_model(onnx.load_from_string(made), full_check=True)
    session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    assert session.run(None, {"bytes": np.array([[3, 1], [0, 9]], np.uint8)})[0].tolist() == [
        "né",
        "b",
    ]
    assert session.get_modelmeta().custom_metadata_map == {"who": "è"}
    assert opset_of(made) == 13


@pytest.mark.parametrize("data", [b"", b"\xff" * 30, b"\x3a\x50abc", b"\x0f\x01\x02"])
def test_a_damaged_file_is_refused(data: bytes):
    """Bytes that are no ONNX file are a ValueError."""
    graph = Graph([], {}, [], [])
    with pytest.raises(ValueError, match=r"ONNX|beyond the file|ten bytes"):
        onnx_around(data, graph)
    with pytest.raises(ValueError, match=r"ONNX|beyond the file|ten bytes"):
        opset_of(data)
