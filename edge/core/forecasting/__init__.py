"""Forecasting of numeric streams: one step takes a sample, learns from it, and looks ahead.

`FORECASTERS["pool"](Task(channels=30))` makes the default.  To add a kind: one file with one
class, and one line in `kinds.FORECASTERS`.
"""

from .forecaster import HORIZONS, Floats, Forecast, Forecaster, State, Task
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
