"""Building an ONNX graph node by node, with names that no other file uses."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from encoder import Node

Weights = dict[str, NDArray[np.generic]]

PREFIX: Final = "auricle."

AXES_AS_INPUT: Final = 18
"""The operator set from which ReduceMax, ReduceMean and ReduceMin take their axes as an input
(ONNX 1.13)."""

CAST_TO: Final = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "float64": 11}
"""TensorProto.DataType of onnx.proto, for Cast."""


class GraphBuilder:
    """Nodes and weights of a graph.  opset: version of ONNX's operators, 13 or higher."""

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.nodes: list[Node] = []
        self.weights: Weights = {}

    def op(self, operator: str, *inputs: str, **numbers: int | tuple[int, ...]) -> str:
        """Add a node and return the name of its output.  numbers: its attributes."""
        name = f"{PREFIX}{len(self.nodes)}"
        self.nodes.append(Node(operator, inputs, name, tuple(numbers.items())))
        return name

    def name(self, value: str, name: str) -> None:
        """Give a value a name that users see."""
        self.nodes.append(Node("Identity", (value,), name))

    def hold(self, values: object, dtype: str = "float32") -> str:
        """Add a constant and return its name.  dtype: of numpy, or `text`."""
        made = np.array(values, np.str_ if dtype == "text" else dtype, order="C")
        name = f"{PREFIX}w{len(self.weights)}"
        self.weights[name] = made
        return name

    def small(self, values: NDArray[np.generic], dtype: str = "float32") -> str:
        """Add whole numbers from 0 to 255, kept as bytes in the file, as a constant of a dtype."""
        return self.cast(self.hold(values, "uint8"), dtype)

    def cast(self, value: str, dtype: str) -> str:
        """Return a value as another dtype."""
        return self.op("Cast", value, to=CAST_TO[dtype])

    def add(self, one: str, other: str) -> str:
        """Return one + other."""
        return self.op("Add", one, other)

    def sub(self, one: str, other: str) -> str:
        """Return one - other."""
        return self.op("Sub", one, other)

    def mul(self, one: str, other: str) -> str:
        """Return one * other."""
        return self.op("Mul", one, other)

    def matmul(self, one: str, other: str) -> str:
        """Return the matrix product."""
        return self.op("MatMul", one, other)

    def total(self, value: str, axis: int, *, keep: bool = False) -> str:
        """Return sums over an axis."""
        return self.op("ReduceSum", value, self.hold([axis], "int64"), keepdims=int(keep))

    def reduce(self, kind: str, value: str, axes: tuple[int, ...], *, keep: bool = False) -> str:
        """Return ReduceMax, ReduceMean or ReduceMin over some axes."""
        if self.opset >= AXES_AS_INPUT:
            return self.op(kind, value, self.hold(axes, "int64"), keepdims=int(keep))
        return self.op(kind, value, axes=axes, keepdims=int(keep))

    def columns(self, value: str, places: NDArray[np.integer], width: int) -> str:
        """Return some columns of [batch, width]."""
        if np.array_equal(places, np.arange(width)):
            return value
        return self.op("Gather", value, self.hold(places, "int64"), axis=1)

    def reshape(self, value: str, shape: tuple[int, ...]) -> str:
        """Return a value in another shape; -1 for one size that follows."""
        return self.op("Reshape", value, self.hold(shape, "int64"))

    def ranks(self, value: str, compared: NDArray[np.bool_]) -> str:
        """Return how many columns come before each, int64 [batch, n]: lower ones, and equal ones on
        its left.  compared: which columns compete with each, bool [n, n]."""
        count = len(compared)
        one, other = self.reshape(value, (-1, count, 1)), self.reshape(value, (-1, 1, count))
        earlier = self.hold(np.tril(np.ones((count, count), np.bool_), -1), "bool")
        same = self.op("And", self.op("Equal", one, other), earlier)
        before = self.op("Or", self.op("Less", other, one), same)
        before = self.op("And", before, self.hold(compared, "bool"))
        return self.total(self.cast(before, "int64"), 2)

    def floor_divide(self, value: str, divisor: str) -> str:
        """Return whole float64 numbers below 2^52 over others, rounded down."""
        return self.op("Floor", self.op("Div", value, divisor))

    def root(self, value: str) -> str:
        """Return square roots of whole float64 numbers, rounded down."""
        return self.op("Floor", self.op("Sqrt", value))
