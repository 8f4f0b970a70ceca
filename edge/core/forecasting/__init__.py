"""Forecasting of numeric streams: one step takes a sample, learns from it, and looks ahead.

`FORECASTERS["pool"](Task(channels=30))` makes the default.  To add a kind: one file with one
class, and one line in `kinds.FORECASTERS`.  The kinds are loaded when they are asked
for: most homes follow no series.
"""

from typing import TYPE_CHECKING, Any

from .forecaster import HORIZONS, Floats, Forecast, Forecaster, State, Task

if TYPE_CHECKING:
    from .kinds import FORECASTERS

__all__ = [
    "FORECASTERS",
    "HORIZONS",
    "Floats",
    "Forecast",
    "Forecaster",
    "State",
    "Task",
]


def __getattr__(name: str) -> Any:
    """Load the table of kinds."""
    if name != "FORECASTERS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .kinds import FORECASTERS

    return FORECASTERS
