# The module that encoder/c/module.c makes.

from collections.abc import Callable
from typing import Any, Final

from numpy.typing import NDArray

INTERFACE: Final[int]
LEVELS: dict[str, Callable[..., None]]

def quantise(
    values: NDArray[Any], scale: NDArray[Any], zero: NDArray[Any], made: NDArray[Any]
) -> bool: ...
