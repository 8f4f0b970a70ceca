from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from encoder.onnx_writer import Node, Value, onnx_bytes
from encoder.session import OnnxSession

DTYPES = ["float32", "uint8", "int8", "int32"]


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
