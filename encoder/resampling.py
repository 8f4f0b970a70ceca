"""Scaling of pictures in C, where it is built: the bytes that Pillow computes, in a fifth of the
time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .native import LEVELS

_POINT: Final = 22
"""Bits of a weight after the point (Pillow, Resample.c: 32 less 8 of a value and 2 to spare)."""

_AXES_KEPT: Final = 64
"""Axes whose weights are kept: a device has a few cameras, and each picture two axes."""


class _Axis(NamedTuple):
    """How positions are made of those of the source; see picture_axis in resize.h."""

    bounds: NDArray[np.int32]
    weights: NDArray[np.int32]


def _bicubic(x: float) -> float:
    """Keys 1981 with a = -0.5, in the order of operations of Pillow's `bicubic_filter`."""
    x, a = abs(x), -0.5
    if x < 1.0:
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2.0 else 0.0


def _bilinear(x: float) -> float:
    return max(1.0 - abs(x), 0.0)


_FILTERS: Final[Mapping[str, tuple[Callable[[float], float], float]]] = MappingProxyType(
    {"bicubic": (_bicubic, 2.0), "bilinear": (_bilinear, 1.0)}
)
"""By the name in a card: the filter, and the distance from which on it is 0."""


def resizes(before: tuple[int, int], size: tuple[int, int], interpolation: str) -> bool:
    """Say whether pictures of one size (height, width) are scaled to another here.

    Pillow has to without the C part, for other filters, where sides shrink to half or less, and for
    tall pictures and other proportions: which axis Pillow scales first then depends on its version,
    and the bytes depend on that."""
    (rows, columns), (height, width) = before, size
    same = rows * width == columns * height and rows <= columns and before != size
    return bool(LEVELS) and same and interpolation in _FILTERS and rows < 2 * height


def resize(
    pixels: NDArray[np.uint8], size: tuple[int, int], interpolation: str, *, blocks: bool = False
) -> NDArray[np.uint8]:
    """Return pixels uint8 [h, w, 3] scaled to `size` (height, width), where `resizes` says so.

    blocks: return uint8 [height / 2, width / 2, 2, 2, 3], the pixels of two rows and two columns
    together; both sides of `size` must then be even.  Cost: about height x width x the taps of the
    filter, 4 and twice as many at half the size."""
    height, width = size
    across = _axis(pixels.shape[1], width, interpolation)
    down = _axis(pixels.shape[0], height, interpolation)
    shape = (height // 2, width // 2, 2, 2, 3) if blocks else (height, width, 3)
    made = np.empty(shape, np.uint8)
    run = next(iter(LEVELS.values()))
    run(np.ascontiguousarray(pixels), *across, *down, made, pixels.shape[1], blocks)
    return made


@lru_cache(_AXES_KEPT)
def _axis(source: int, size: int, interpolation: str) -> _Axis:
    """Return the weights of a whole axis, as `precompute_coeffs` and `normalize_coeffs_8bpc` of
    Pillow's Resample.c compute them, to the bit."""
    function, reach = _FILTERS[interpolation]
    scale = source / size
    wide = max(scale, 1.0)
    support = reach * wide
    most = math.ceil(support) * 2 + 1
    bounds, weights = np.zeros((size, 2), np.int32), np.zeros((size, most), np.int32)
    for place in range(size):
        centre = (place + 0.5) * scale
        first = max(int(centre - support + 0.5), 0)
        count = min(int(centre + support + 0.5), source) - first
        exact = [function((k + first - centre + 0.5) * (1.0 / wide)) for k in range(count)]
        total = sum(exact[1:], exact[0])
        parts = [one / total if total != 0.0 else one for one in exact]
        bounds[place] = first, count
        weights[place, :count] = [
            int(math.copysign(0.5, one) + one * (1 << _POINT)) for one in parts
        ]
    return _Axis(bounds, weights)


def blocks_of(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return pixels [h, w, c] as blocks [h / 2, w / 2, 2, 2, c]."""
    height, width, bands = pixels.shape
    apart = pixels.reshape(height // 2, 2, width // 2, 2, bands)
    return np.ascontiguousarray(apart.transpose(0, 2, 1, 3, 4))
