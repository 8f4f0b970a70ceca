"""Blueprints as points: their description in numbers, so that scores of near ones can be shared."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .blueprint import ACTIVATIONS, KINDS, RECIPES, Blueprint

Doubles = NDArray[np.float64]

# Largest width of the space: it scales the description to about 1.
_WIDTH_MAX: Final = 4_096
# Largest rank of the space, for the same reason.
_RANK_MAX: Final = 128
# Largest depth of the space, for the same reason.
_DEPTH_MAX: Final = 4


def describe(blueprints: Sequence[Blueprint], taps: int) -> Doubles:
    """Describe blueprints for an encoder of so many taps by numbers from 0 to 1: float64 [n, d].

    One column a kind, an activation and a recipe, sizes on a logarithmic scale, how many taps are
    read and which.  d does not depend on the encoder, so that designs for different encoders
    compare.
    """
    return np.array([_describe(one, taps) for one in blueprints])


def read_taps(blueprints: Sequence[Blueprint], taps: int) -> Doubles:
    """Return 1 for each tap that a blueprint reads, else 0: float64 [n, taps]."""
    every = np.arange(taps)
    return np.array([np.isin(every, one.taps) for one in blueprints], np.float64)


def _describe(one: Blueprint, taps: int) -> list[float]:
    deeper = [tap for tap in one.taps if tap]
    return [
        *(float(one.kind == kind) for kind in KINDS),
        *(float(one.activation == name) for name in ACTIVATIONS),
        *(float(one.recipe == name) for name in RECIPES),
        float(np.log2(1 + one.width) / np.log2(1 + _WIDTH_MAX)),
        float(np.log2(1 + one.rank) / np.log2(1 + _RANK_MAX)),
        one.depth / _DEPTH_MAX,
        len(one.taps) / taps,
        float(0 in one.taps),
        float(np.mean(deeper)) / taps if deeper else 0.0,
    ]
