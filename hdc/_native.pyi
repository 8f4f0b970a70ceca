# The module that module.c makes.

from collections.abc import Callable
from typing import Final

INTERFACE: Final[int]
LEVELS: dict[str, dict[str, Callable[..., int]]]
GEOMETRY_BYTES: Final[int]
MEMORY_BYTES: Final[int]
EXEMPLARS_BYTES: Final[int]
DECISION_BYTES: Final[int]
