# The module that encoder/c/module.c makes.

from collections.abc import Callable
from typing import Final

INTERFACE: Final[int]
LEVELS: dict[str, Callable[..., None]]
