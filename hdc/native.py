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

INTERFACE: Final = 7
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

_FLOAT_WIDTH: Final = (2**24 - 1) // 255**2
"""Bytes whose product numpy sums exactly in float32."""

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
    whole_products: Callable[..., int]
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


def whole_products(rows: NDArray[np.uint8], wholes: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Return the exact products int64 [n] of uint8 rows [n, w] with uint16 [w], w up to 33,025.

    Cost: two products of bytes for each row.  Raises DimensionError.
    """
    if (
        rows.dtype != np.uint8
        or wholes.dtype != np.uint16
        or (rows.ndim, wholes.ndim) != (2, 1)
        or rows.shape[1] != len(wholes)
        or len(wholes) > PRODUCT_WIDTH_MAX
    ):
        raise DimensionError(
            f"a product of whole numbers expects uint8 [n, w] and uint16 [w], w up to "
            f"{PRODUCT_WIDTH_MAX}, found {rows.dtype} {rows.shape} and {wholes.dtype} "
            f"{wholes.shape}",
            "give rows and a vector of one width",
        )
    made = np.zeros(len(rows), dtype=np.int64)
    if KERNEL is not None and rows.size:
        KERNEL.whole_products(np.ascontiguousarray(rows), np.ascontiguousarray(wholes), made)
        return made
    for at in range(0, len(wholes), _FLOAT_WIDTH):
        part = slice(at, at + _FLOAT_WIDTH)
        block = rows[:, part].astype(np.float32)
        for bytes_of, worth in ((wholes[part] >> 8, 256), (wholes[part] & 255, 1)):
            made += worth * (block @ bytes_of.astype(np.float32)).astype(np.int64)
    return made


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
