"""The C part of this package, where it is built: the scaling of pictures, and quantisation.

It computes what Pillow and numpy compute, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

INTERFACE: Final = 2
"""The version of the arguments in encoder/c/module.c; a module of another one is not used."""

LEVELS: dict[str, Callable[..., None]] = {}
"""The scaling of pictures by the name of an instruction set that the processor has, best first."""

QUANTISE: Callable[..., bool] | None = None
"""Quantisation, None where the C part is not built."""

try:
    from ._native import INTERFACE as _FOUND
    from ._native import LEVELS as _LEVELS
    from ._native import quantise as _quantise
except ImportError:
    pass  # Pillow and numpy serve: the C part is not built, or not for this machine.
else:
    if _FOUND == INTERFACE:
        LEVELS.update(_LEVELS)
        QUANTISE = _quantise


def is_native() -> bool:
    """Return whether C scales pictures and quantises features."""
    return QUANTISE is not None
