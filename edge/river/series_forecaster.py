"""A River forecaster: the mixture of experts that the daemon forecasts with, for one series."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from river import time_series

from ..core.forecasting import FORECASTERS, Forecast, ForecastTask

HORIZONS_AT_ONCE = 8
"""Horizons of one mixture: `ForecastTask` allows no more."""


class SeriesForecaster(time_series.base.Forecaster):
    """Forecasts a series of numbers, a mixture of experts for each step ahead.

    Exogenous features are accepted, as River's interface requires, and ignored: the experts read
    the series alone.  A value that is not finite is missing.

    Parameters
    ----------
    horizon
        The largest number of steps ahead, up to 288.  Every eight steps take a mixture of their
        own, so that time and memory grow with it.
    period
        Steps of a season, 2 to 2,048; 0 without a season.

    """

    def __init__(self, horizon: int = 8, period: int = 0) -> None:
        self.horizon = horizon
        self.period = period
        steps = range(1, horizon + 1)
        parts = [steps[at : at + HORIZONS_AT_ONCE] for at in range(0, horizon, HORIZONS_AT_ONCE)]
        self._parts = [
            FORECASTERS["pool"](
                ForecastTask(channels=1, horizons=tuple(part), period=period or None)
            )
            for part in parts or [steps]
        ]
        self._forecasts: list[Forecast] = []

    def learn_one(self, y: float, x: Mapping[str, Any] | None = None) -> None:
        """Learn the next value of the series."""
        del x
        values = np.array([y], np.float64)
        self._forecasts = [part.step(values, 0.0) for part in self._parts]

    def forecast(self, horizon: int, xs: Sequence[Mapping[str, Any]] | None = None) -> list[float]:
        """Return the forecasts of the next values, 0 before the first sample.  Raises ValueError
        beyond the horizon that it was made for."""
        del xs
        return [point for point, _, _ in self.intervals(horizon)]

    def intervals(self, horizon: int) -> list[tuple[float, float, float]]:
        """Return forecast, lower and upper bound of each of the next values: nine of ten values
        should lie between the bounds.  Raises ValueError as `forecast` does."""
        if not 1 <= horizon <= self.horizon:
            raise ValueError(
                f"forecasting {horizon} steps ahead: this forecaster was made for 1 to "
                f"{self.horizon}; make it with Forecaster(horizon={horizon})"
            )
        made = [
            (float(one.point[row, 0]), float(one.low[row, 0]), float(one.high[row, 0]))
            for one in self._forecasts
            for row in range(len(one.horizons))
        ]
        return made[:horizon] or [(0.0, 0.0, 0.0)] * horizon


Forecaster = SeriesForecaster
"""The name that River gives such a class; `edge.core.forecasting.Forecaster` is an interface."""
