"""The table of forecasters, by name."""

from collections.abc import Callable
from typing import Final

from .forecaster import Forecaster, Task
from .last import LastValue

FORECASTERS: Final[dict[str, Callable[[Task], Forecaster]]] = {"last": LastValue}
