"""What a kind of adaptor is: a function from standardised columns to the inputs of the head."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from nas import Blueprint

Floats = NDArray[np.float32]
Arrays = Mapping[str, NDArray[Any]]
Sizes = tuple[int, ...]
Shapes = dict[str, tuple[int, ...]]

_GELU: Final = np.float32(np.sqrt(2 / np.pi))


class AdaptorKind(Protocol):
    """A kind of adaptor: its parameters, its formula, its cost.  sizes: columns of each tap."""

    def shapes(self, blueprint: Blueprint, sizes: Sizes) -> Shapes:
        """Name the trained parameters, all float32, with their shapes."""

    def apply(self, blueprint: Blueprint, arrays: Arrays, sizes: Sizes, rows: Floats) -> Floats:
        """Transform standardised rows float32 [..., read] to float32 [..., out]."""

    def operations(self, blueprint: Blueprint, sizes: Sizes) -> int:
        """Multiply-adds per row."""


def activate(name: str, values: Floats) -> Floats:
    """Apply an activation; gelu in its tanh form (Hendrycks & Gimpel 2016)."""
    if name == "relu":
        return np.maximum(values, np.float32(0))
    if name == "tanh":
        return np.tanh(values)
    if name == "gelu":
        inner = _GELU * (values + np.float32(0.044715) * values * values * values)
        return np.asarray(values * (np.tanh(inner) + np.float32(1)) * np.float32(0.5))
    return values


class MatrixKind:
    """Base of kinds that only multiply by their trained matrices."""

    def shapes(self, blueprint: Blueprint, sizes: Sizes) -> Shapes:
        """See `AdaptorKind`; none by default."""
        del blueprint, sizes
        return {}

    def operations(self, blueprint: Blueprint, sizes: Sizes) -> int:
        """See `AdaptorKind`: one multiply-add per parameter."""
        return sum(int(np.prod(shape)) for shape in self.shapes(blueprint, sizes).values())
