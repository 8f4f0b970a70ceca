"""The hot path in C, where it is built, for the best instruction set of the processor.

It computes what numpy's path computes, to the bit.  layouts.py lays arrays out for it.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from .errors import DimensionError

INTERFACE: Final = 9
"""The version of the arguments and layouts in level.h; a module of another one is not used."""

LEVELS: dict[str, dict[str, Callable[..., Any]]] = {}
"""The functions of each instruction set that the processor has, best first."""

_REASON = "" if np.dtype("<u8").isnative else "the processor is big-endian"

try:
    from ._native import INTERFACE as _FOUND
    from ._native import LEVELS as _LEVELS
except ModuleNotFoundError:
    _REASON = "the C part is not built"
except ImportError as _error:
    _REASON = f"the C part does not load: {_error}"
else:
    LEVELS.update(_LEVELS)
    if _FOUND != INTERFACE:
        _REASON = "the C part is of another version: build it again"

PRODUCT_WIDTH_MAX: Final = (2**31 - 1) // 255**2
"""Bytes of a row whose product with another always fits int32."""

WHOLE_MAX: Final = (1 << 15) - 1
"""The largest weight of a column in `landmark_distances`, as in linear.h: 16 bits, two products of
bytes.  Similarities on PACS are then right to 8e-5, and no answer changes; with 8 bits they are
off by 2e-2 (docs/decisions/0011-kernel.md)."""

_FLOAT_WIDTH: Final = 1 << 16
"""Columns at a time; products of bytes and 16 bits add up below 2^53."""

_NAMES: Final = MappingProxyType(
    {
        "avx512": "AVX-512",
        "avx2": "AVX2",
        "sse42": "SSE4.2",
        "dotprod": "NEON with dot products",
        "neon": "NEON",
        "portable": "no vector instructions",
    }
)


class Kernel(msgspec.Struct, frozen=True, kw_only=True):
    """The functions of one instruction set; module.c describes their arguments."""

    name: str
    landmark_distances: Callable[..., int]
    project: Callable[..., int]
    distances: Callable[..., int]
    compare: Callable[..., int]
    nearest: Callable[..., int]
    exemplars: Callable[..., int]
    join: Callable[..., int]
    work: Callable[..., int]
    decide: Callable[..., int]
    spread: Callable[..., int]
    likeliest: Callable[..., int]
    upper_tail: Callable[[float], float]
    slide: Callable[..., int]
    leader: Callable[..., str]
    decisive: Callable[..., str]
    gather: Callable[..., int]
    prefer: Callable[..., dict[str, int]]
    linear: Callable[..., int]
    follow_windows: Callable[..., int]


def kernels() -> tuple[Kernel, ...]:
    """Return the kernels that this processor can run, best first; empty without the C part."""
    return tuple(Kernel(name=name, **found) for name, found in LEVELS.items())


KERNEL: Kernel | None = None if _REASON else next(iter(kernels()), None)
"""The kernel in use."""


def is_native() -> bool:
    """Return whether C computes."""
    return KERNEL is not None


def native_path() -> str:
    """Return which path computes: "C, AVX2", or "numpy" with the reason."""
    if KERNEL is None:
        return f"numpy ({_REASON})"
    return f"C, {_NAMES.get(KERNEL.name, KERNEL.name)}"


def landmark_distances(
    codes: NDArray[np.uint8],
    sums: NDArray[np.int32],
    lengths: NDArray[np.float32],
    row: NDArray[np.float32],
    columns: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Return the squared distances of a row float32 [w] to landmarks uint8 [n, w], negative:
    2 (row * step . codes - row . shift - row . row / 2) - lengths, float32 [n], at most 0.

    sums: int32 [n], of each landmark's codes.  lengths: float32 [n], their squared lengths.
    columns: step and shift, float32 [w] each.  w is at most 33,025.  `row * step` is rounded to 16
    bits, so that the products are exact; C and numpy add `row . shift` in different orders, so
    that the last digits differ.  All arrays are contiguous.  Cost: two products of bytes for each
    landmark.  Raises DimensionError.
    """
    step, shift = columns
    if codes.dtype != np.uint8 or codes.shape[1:] != row.shape or len(row) > PRODUCT_WIDTH_MAX:
        raise DimensionError(
            f"distances to landmarks expect codes uint8 [n, w] and a row [w], w up to "
            f"{PRODUCT_WIDTH_MAX}, found {codes.dtype} {codes.shape} and {row.shape}",
            "give landmarks and a row of one width",
        )
    if KERNEL is not None and codes.size:
        made = np.empty(len(codes), dtype=np.float32)
        held, read = (codes, sums, lengths), (row, step, shift)
        KERNEL.landmark_distances(*held, *read, made)
        return made
    scaled = row * step
    largest = float(np.abs(scaled).max(initial=0.0)) or 1.0
    wholes = np.rint(scaled * np.float32(WHOLE_MAX / largest)).astype(np.int64)
    products = np.zeros(len(codes), dtype=np.int64)
    for at in range(0, len(wholes), _FLOAT_WIDTH):
        part = slice(at, at + _FLOAT_WIDTH)
        block = codes[:, part].astype(np.float64)
        products += (block @ wholes[part].astype(np.float64)).astype(np.int64)
    near = (products * (largest / WHOLE_MAX)).astype(np.float32)
    near -= row @ shift + np.float32(0.5) * np.square(row).sum()
    near *= 2
    near -= lengths
    return np.minimum(near, np.float32(0), out=near)


def linear_scores(
    features: NDArray[np.uint8],
    table: NDArray[np.float32],
    weights: NDArray[np.float32],
    bias: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Return bias + weights @ table[features], float32 [n], of one sample uint8 [w].

    table: float32 [256], the value of each level.  weights: float32 [n, w], contiguous.  C and BLAS
    add in different orders, so that the last digits differ.  Cost: n x w multiply-adds.
    """
    if KERNEL is None or not len(features):
        made = np.matmul(weights, table.take(features))
        made += bias
        return np.asarray(made)
    found = np.empty(len(bias), dtype=np.float32)
    KERNEL.linear(np.ascontiguousarray(features), table, weights, bias, found)
    return found
