"""Export a liquid forecaster as an ONNX graph, for runtimes that load only ONNX."""

from pathlib import Path
from typing import Final

from encoder import Node, Value, onnx_bytes

from ..core import StateError
from ..core.forecasting import CfC
from ..storage import Weights, write_files

_HEADS: Final = ("ff1", "ff2", "time_a", "time_b")


def liquid_onnx(arrays: Weights) -> bytes:
    """Return one step of a liquid network (no backbone, no wiring) as ONNX, opset 13.

    Inputs `inputs` [batch, features], `state` [batch, units], `elapsed` [batch, 1]; outputs `next`
    [batch, units] and `forecasts` [batch, horizons], all float32.  26 nodes.  Raises StateError
    for arrays of another network.
    """
    units = CfC(arrays).state.shape[1]
    if "sparsity_mask" in arrays or "backbone.0.weight" in arrays:
        raise StateError(
            "writing ONNX: expected a liquid cell without backbone and wiring, found one with them",
            "train a network with `auricle train`",
        )
    features = arrays["ff1.weight"].shape[1] - units
    weights = {"readout": arrays["readout.weight"].T, "readout.bias": arrays["readout.bias"]}
    nodes: list[Node] = []
    for name in _HEADS:
        matrix = arrays[f"{name}.weight"].T
        weights |= {f"{name}.in": matrix[:features], f"{name}.back": matrix[features:]}
        weights[f"{name}.bias"] = arrays[f"{name}.bias"]
        nodes += [
            Node("MatMul", ("inputs", f"{name}.in"), f"{name}.driven"),
            Node("MatMul", ("state", f"{name}.back"), f"{name}.kept"),
            Node("Add", (f"{name}.driven", f"{name}.kept"), f"{name}.sum"),
            Node("Add", (f"{name}.sum", f"{name}.bias"), name),
        ]
    results = [Value("next", (units,)), Value("forecasts", (len(arrays["readout.bias"]),))]
    given = [Value("inputs", (features,)), Value("state", (units,)), Value("elapsed", (1,))]
    whole = {name: array.astype("float32").copy(order="C") for name, array in weights.items()}
    return onnx_bytes([*nodes, *_mixing()], whole, given, results)


def write_onnx(path: Path, arrays: Weights) -> None:
    """Write a network's ONNX graph to a file.  Raises OSError."""
    write_files(path.absolute().parent, {path.name: liquid_onnx(arrays)})


def _mixing() -> list[Node]:
    """Return the nodes of first + sigmoid(rate * elapsed + shift) * (second - first), and of the
    readout."""
    return [
        Node("Tanh", ("ff1",), "first"),
        Node("Tanh", ("ff2",), "second"),
        Node("Mul", ("time_a", "elapsed"), "scaled_time"),
        Node("Add", ("scaled_time", "time_b"), "gate_input"),
        Node("Sigmoid", ("gate_input",), "gate"),
        Node("Sub", ("second", "first"), "difference"),
        Node("Mul", ("gate", "difference"), "step"),
        Node("Add", ("first", "step"), "next"),
        Node("MatMul", ("next", "readout"), "product"),
        Node("Add", ("product", "readout.bias"), "forecasts"),
    ]
