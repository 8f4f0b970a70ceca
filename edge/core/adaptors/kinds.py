"""The kinds of adaptor: functions from standardised columns to the inputs of the head.

The formulas are those of `nas.Blueprint`.  To add a kind: one class here and one line in KINDS.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from nas import Blueprint

from .hadamard import hadamard_mix

Floats = NDArray[np.float32]
Arrays = Mapping[str, NDArray[Any]]
Sizes = tuple[int, ...]
Shapes = dict[str, tuple[int, ...]]

_GELU: Final = np.float32(np.sqrt(2 / np.pi))

SEED: Final = 1
"""The seed of all random features: equal on every device, so that no matrix is stored."""


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


class _Matrices:
    """Base of kinds that only multiply by their trained matrices."""

    def shapes(self, blueprint: Blueprint, sizes: Sizes) -> Shapes:
        """See `AdaptorKind`; none by default."""
        del blueprint, sizes
        return {}

    def operations(self, blueprint: Blueprint, sizes: Sizes) -> int:
        """See `AdaptorKind`: one multiply-add per parameter."""
        return sum(int(np.prod(shape)) for shape in self.shapes(blueprint, sizes).values())


class IdentityAdaptor(_Matrices):
    """The columns unchanged: the head alone."""

    def apply(self, blueprint: Blueprint, arrays: Arrays, sizes: Sizes, rows: Floats) -> Floats:
        """See `AdaptorKind`."""
        del blueprint, arrays, sizes
        return rows


class LinearAdaptor(_Matrices):
    """A linear map to a few columns: rows @ W."""

    def shapes(self, blueprint: Blueprint, sizes: Sizes) -> Shapes:
        """See `AdaptorKind`."""
        return {"W": (sum(sizes), blueprint.width)}

    def apply(self, blueprint: Blueprint, arrays: Arrays, sizes: Sizes, rows: Floats) -> Floats:
        """See `AdaptorKind`."""
        del blueprint, sizes
        return np.asarray(rows @ arrays["W"], np.float32)


class LowRankAdaptor(_Matrices):
    """Residual blocks: rows + a(rows @ U) @ V (Houlsby et al. 2019, section 2.1)."""

    def shapes(self, blueprint: Blueprint, sizes: Sizes) -> Shapes:
        """See `AdaptorKind`."""
        read, rank = sum(sizes), blueprint.rank
        shapes: Shapes = {}
        for layer in range(blueprint.depth):
            shapes |= {f"U{layer}": (read, rank), f"V{layer}": (rank, read)}
        return shapes

    def apply(self, blueprint: Blueprint, arrays: Arrays, sizes: Sizes, rows: Floats) -> Floats:
        """See `AdaptorKind`."""
        del sizes
        for layer in range(blueprint.depth):
            inner = activate(blueprint.activation, rows @ arrays[f"U{layer}"])
            rows = rows + inner @ arrays[f"V{layer}"]
        return rows


class SlicedAdaptor(LowRankAdaptor):
    """Residual blocks that were trained on slices of the facts in sequence (S3T, Chowdhury et al.
    2024, section 3): computed as `LowRankAdaptor`, trained otherwise (`edge/growth`)."""


class BottleneckAdaptor(_Matrices):
    """A small network with a narrow first layer."""

    def shapes(self, blueprint: Blueprint, sizes: Sizes) -> Shapes:
        """See `AdaptorKind`."""
        width, rank = blueprint.width, blueprint.rank
        shapes: Shapes = {"W0": (sum(sizes), rank), "W1": (rank, width)}
        return shapes | {f"W{n}": (width, width) for n in range(2, blueprint.depth + 1)}

    def apply(self, blueprint: Blueprint, arrays: Arrays, sizes: Sizes, rows: Floats) -> Floats:
        """See `AdaptorKind`."""
        del sizes
        for layer in range(blueprint.depth + 1):
            rows = activate(blueprint.activation, rows @ arrays[f"W{layer}"])
        return rows


class FusionAdaptor(_Matrices):
    """A gated sum over the taps, each projected to the same number of columns."""

    def shapes(self, blueprint: Blueprint, sizes: Sizes) -> Shapes:
        """See `AdaptorKind`."""
        shapes: Shapes = {f"W{tap}": (size, blueprint.width) for tap, size in enumerate(sizes)}
        if blueprint.rank:
            gates: Shapes = {"G": (sum(sizes), blueprint.rank), "F": (blueprint.rank, len(sizes))}
            return shapes | gates
        return shapes | {"g": (len(sizes),)}

    def apply(self, blueprint: Blueprint, arrays: Arrays, sizes: Sizes, rows: Floats) -> Floats:
        """See `AdaptorKind`."""
        gates = self._gates(blueprint, arrays, rows)
        fused = np.zeros((*rows.shape[:-1], blueprint.width), np.float32)
        at = 0
        for tap, size in enumerate(sizes):
            fused += gates[..., tap, None] * (rows[..., at : at + size] @ arrays[f"W{tap}"])
            at += size
        return activate(blueprint.activation, fused)

    @staticmethod
    def _gates(blueprint: Blueprint, arrays: Arrays, rows: Floats) -> Floats:
        if not blueprint.rank:
            raw = np.broadcast_to(arrays["g"], (*rows.shape[:-1], len(arrays["g"])))
        else:
            raw = activate("relu", rows @ arrays["G"]) @ arrays["F"]
        powers = np.exp(raw - raw.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


class RandomFeatureAdaptor:
    """Random features without training or a stored matrix (Rahimi & Recht 2008)."""

    def shapes(self, blueprint: Blueprint, sizes: Sizes) -> Shapes:
        """See `AdaptorKind`: none."""
        del blueprint, sizes
        return {}

    def apply(self, blueprint: Blueprint, arrays: Arrays, sizes: Sizes, rows: Floats) -> Floats:
        """See `AdaptorKind`."""
        del arrays, sizes
        mixed = hadamard_mix(rows, SEED, blueprint.width, blueprint.depth)
        return activate(blueprint.activation, mixed)

    def operations(self, blueprint: Blueprint, sizes: Sizes) -> int:
        """See `AdaptorKind`: the additions of the Hadamard transforms."""
        levels = max(1, (sum(sizes) - 1).bit_length())
        blocks = -(-blueprint.width // (1 << levels))
        return blueprint.depth * blocks * (1 << levels) * levels


class KernelAdaptor(_Matrices):
    """The scaled columns, which the kernel machine compares with facts (`kernel.py`)."""

    def shapes(self, blueprint: Blueprint, sizes: Sizes) -> Shapes:
        """See `AdaptorKind`: the penalty of the kernel ridge regression."""
        del blueprint, sizes
        return {"penalty": (1,)}

    def apply(self, blueprint: Blueprint, arrays: Arrays, sizes: Sizes, rows: Floats) -> Floats:
        """See `AdaptorKind`."""
        del blueprint, arrays, sizes
        return rows

    def operations(self, blueprint: Blueprint, sizes: Sizes) -> int:
        """See `AdaptorKind`: none before the comparison with landmarks."""
        del blueprint, sizes
        return 0


KINDS: Final[Mapping[str, AdaptorKind]] = {
    "none": IdentityAdaptor(),
    "linear": LinearAdaptor(),
    "lowrank": LowRankAdaptor(),
    "sliced": SlicedAdaptor(),
    "bottleneck": BottleneckAdaptor(),
    "fusion": FusionAdaptor(),
    "random": RandomFeatureAdaptor(),
    "kernel": KernelAdaptor(),
}
