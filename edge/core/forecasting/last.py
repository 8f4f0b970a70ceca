"""The last value: what every forecaster must beat, and seldom does right after a failure."""

import numpy as np

from .forecaster import Floats, Forecast, State, Task


class LastValue:
    """Forecasts that nothing changes.  Cost: O(H C) a step."""

    def __init__(self, task: Task) -> None:
        self._horizons = task.horizons
        self._values = np.full(task.channels, np.nan)

    def step(self, values: Floats, elapsed_s: float) -> Forecast:
        """Keep the newest finite value of each channel, and repeat it."""
        del elapsed_s
        np.copyto(self._values, values, where=np.isfinite(values))
        point = np.tile(self._values, (len(self._horizons), 1))
        return Forecast(self._horizons, point, point.copy(), point.copy())

    def state(self) -> State:
        """Return the last values."""
        return {"values": self._values.copy()}

    def restore(self, state: State) -> None:
        """Take the last values."""
        self._values[:] = state["values"]
