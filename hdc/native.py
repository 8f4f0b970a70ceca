"""The hot path in C, where it is built: which one runs, and the arrays laid out for it.

`hdc/_native` holds the same arithmetic as numpy's path, in whole numbers, for the best instruction
set of the processor.  An array that C could not compute exactly is not laid out (None), and a call
whose numbers leave the exact range returns False; numpy then serves.  So results do not depend on
which path runs, to the bit.
"""

import sys
from collections.abc import Callable, Sequence
from ctypes import Structure, c_int16, c_int64, c_uint8, c_uint32, c_void_p
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .errors import DimensionError
from .integers import Ints, log_table

try:
    from . import _native
except ImportError as _error:
    _native = None  # type: ignore[assignment]  # every use asks `KERNEL` first
    _REASON = (
        "the C part is not built"
        if isinstance(_error, ModuleNotFoundError)
        else f"the C part does not load: {_error}"
    )
else:
    _REASON = ""

Array = NDArray[np.generic]

PRODUCT_WIDTH_MAX: Final = (2**31 - 1) // 255**2
"""Bytes of a row whose product with another always fits int32."""

_FLOAT_WIDTH: Final = (2**24 - 1) // 255**2
"""Bytes whose product numpy sums exactly in float32."""

_PLANE_MAX: Final = 1 << 12
"""Directions in a plane: squares of differences below 2^50 then add up below 2^63."""

_COLUMNS_MAX: Final = 1 << 16
"""Columns: 2^16 differences of 16 bits add up below 2^32."""

_VOTE_MAX: Final = 255
"""The largest weight of a block, stored as uint8."""

_SMALL: Final = 1 << 24
"""Coordinates stay below: SMALL in level.h."""

_EXACT: Final = 1 << 52
"""Whole numbers and their roots are exact in float64 up to here."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """The functions of one instruction set; module.c describes their arguments."""

    name: str
    byte_products: Callable[..., int]
    project: Callable[..., int]
    distances: Callable[..., int]
    compare: Callable[..., int]
    nearest: Callable[..., int]
    exemplars: Callable[..., int]
    work: Callable[..., int]


class _Tap(Structure):
    _fields_ = (
        ("width", c_uint32),
        ("padded", c_uint32),
        ("bits", c_uint32),
        ("flips", c_void_p),
    )


class _Plane(Structure):
    _fields_ = (
        ("start", c_uint32),
        ("count", c_uint32),
        ("rank", c_uint32),
        ("wide", c_uint32),
        ("fixed", c_uint32),
        ("rest", c_int64),
        *((name, c_void_p) for name in ("scale", "zeros", "axes", "offset")),
        *((name, c_void_p) for name in ("gains", "centre", "lengths", "means")),
    )


class GeometryLayout(Structure):
    """`native_geometry` in level.h; `held` keeps the arrays that it points to."""

    _fields_ = (
        *((name, c_uint32) for name in ("width", "tap_start", "values", "columns")),
        *((name, c_uint32) for name in ("plane_rank", "norms", "shared", "work_bytes")),
        ("tap", _Tap),
        ("plane", _Plane),
        ("columns_start", c_uint32),
        *((name, c_void_p) for name in ("gains", "edges", "zeros", "scale", "mix", "log_table")),
    )
    held: tuple[Array, ...]


class MemoryLayout(Structure):
    """`native_memory` in level.h; `held` keeps the arrays that it points to."""

    _fields_ = (
        *((name, c_uint32) for name in ("concepts", "words", "columns", "wide")),
        *((name, c_uint32) for name in ("plane", "norms", "blocks")),
        ("votes", c_uint8 * 4),
        *((name, c_void_p) for name in ("majorities", "screen")),
        *((name, c_uint32) for name in ("screen_words", "screened")),
        *((name, c_void_p) for name in ("column_means", "plane_means", "norm_means")),
    )
    held: tuple[Array, ...]


class ExemplarsLayout(Structure):
    """`native_exemplars` in level.h; `held` keeps the arrays that it points to."""

    _fields_ = (
        *((name, c_void_p) for name in ("columns", "plane")),
        *((name, c_uint32) for name in ("columns_count", "columns_width")),
        *((name, c_uint32) for name in ("plane_count", "plane_width")),
    )
    held: tuple[Array, ...]


def kernels() -> tuple[Kernel, ...]:
    """Return the kernels that this processor can run, best first; empty without the C part."""
    if _native is None or sys.byteorder != "little":
        return ()
    return tuple(Kernel(name=name, **found) for name, found in _native.LEVELS.items())


KERNEL: Kernel | None = next(iter(kernels()), None)
"""The kernel in use."""


def native_path() -> str:
    """Return which path computes: "C, AVX2", or "numpy" with the reason."""
    if KERNEL is None:
        return f"numpy ({_REASON or 'the processor is big-endian'})"
    return f"C, {_NAMES.get(KERNEL.name, KERNEL.name)}"


def byte_products(rows: NDArray[np.uint8], one: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return the exact products int32 [n] of uint8 rows [n, w] with uint8 [w], w up to 33,025.

    Raises DimensionError.
    """
    if (
        (rows.dtype, one.dtype) != (np.uint8, np.uint8)
        or (rows.ndim, one.ndim) != (2, 1)
        or rows.shape[1] != len(one)
        or len(one) > PRODUCT_WIDTH_MAX
    ):
        raise DimensionError(
            f"a product of bytes expects uint8 [n, w] and [w], w up to {PRODUCT_WIDTH_MAX}, found "
            f"{rows.dtype} {rows.shape} and {one.dtype} {one.shape}",
            "give rows and a vector of one width",
        )
    made = np.empty(len(rows), dtype=np.int32)
    if KERNEL is not None and rows.size:
        KERNEL.byte_products(np.ascontiguousarray(rows), np.ascontiguousarray(one), made)
        return made
    made[:] = 0
    for at in range(0, len(one), _FLOAT_WIDTH):
        part = slice(at, at + _FLOAT_WIDTH)
        made += (rows[:, part].astype(np.float32) @ one[part].astype(np.float32)).astype(np.int32)
    return made


def address(array: Array) -> int:
    """Return the address of a C-contiguous array."""
    return int(array.__array_interface__["data"][0])


def whole(array: NDArray[Any], least: int, most: int) -> bool:
    """Say whether all numbers are whole, and from `least` to `most`."""
    if not array.size:
        return True
    low, high = array.min(), array.max()
    inside = bool(low >= least) and bool(high <= most)
    return inside and (array.dtype.kind in "iu" or bool((array == np.rint(array)).all()))


def row_of(array: NDArray[Any], dtype: type[np.generic]) -> Array:
    """Return a contiguous copy in another type."""
    return np.ascontiguousarray(array.astype(dtype))
