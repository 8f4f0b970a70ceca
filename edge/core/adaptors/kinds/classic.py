"""The kinds of adaptor that growth began with.  The formulas are those of `nas.Blueprint`."""

from typing import Final

import numpy as np

from nas import Blueprint

from ..hadamard import hadamard_mix
from .kind import Arrays, Floats, MatrixKind, Shapes, Sizes, activate

SEED: Final = 1
"""The seed of all random features: equal on every device, so that no matrix is stored."""


class IdentityAdaptor(MatrixKind):
    """The columns unchanged: the head alone."""

    def apply(self, blueprint: Blueprint, arrays: Arrays, sizes: Sizes, rows: Floats) -> Floats:
        """See `AdaptorKind`."""
        del blueprint, arrays, sizes
        return rows


class LinearAdaptor(MatrixKind):
    """A linear map to a few columns: rows @ W."""

    def shapes(self, blueprint: Blueprint, sizes: Sizes) -> Shapes:
        """See `AdaptorKind`."""
        return {"W": (sum(sizes), blueprint.width)}

    def apply(self, blueprint: Blueprint, arrays: Arrays, sizes: Sizes, rows: Floats) -> Floats:
        """See `AdaptorKind`."""
        del blueprint, sizes
        return np.asarray(rows @ arrays["W"], np.float32)


class LowRankAdaptor(MatrixKind):
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


class BottleneckAdaptor(MatrixKind):
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


class FusionAdaptor(MatrixKind):
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


class KernelAdaptor(MatrixKind):
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
