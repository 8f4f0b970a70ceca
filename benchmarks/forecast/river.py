"""River's forecasters, one per channel; they learn from every value as well."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .data import BenchmarkStream, Floats
from .peers import Method, Online
from .score import HORIZONS

# A forecast further than this many standard deviations from the last value is replaced by it:
# SNARIMAX sometimes diverges after a link has been silent.
WILD = 10.0


class River(Online):
    """One of River's forecasters per channel."""

    def __init__(self, stream: BenchmarkStream, make: Callable[[int], Any]) -> None:
        self._make = partial(make, stream.period)
        self._models = [self._make() for _ in range(stream.values.shape[1])]
        self._last = np.zeros(len(self._models))
        self._unit = np.ones(len(self._models))
        self.learned = 0

    def begin(self, past: Floats, elapsed_s: Floats) -> None:
        """Learn from the past; values are in units of its standard deviation."""
        del elapsed_s
        self._unit = np.maximum(np.nanstd(past, axis=0), 1e-9)
        for values in past:
            self._learn(values)

    def learn_and_forecast(self, values: Floats) -> Floats:
        """Learn, then forecast."""
        self._learn(values)
        made = np.empty((len(HORIZONS), len(self._models)))
        for channel, model in enumerate(self._models):
            try:
                ahead = model.forecast(horizon=HORIZONS[-1])
                made[:, channel] = [ahead[h - 1] for h in HORIZONS]
            except (IndexError, TypeError, OverflowError, ZeroDivisionError):
                made[:, channel] = np.nan
        made *= self._unit
        wild = ~(np.abs(made - self._last) < WILD * self._unit)
        return np.where(wild, self._last, made)

    def _learn(self, values: Floats) -> None:
        self._last = np.where(np.isfinite(values), values, self._last)
        for channel, value in enumerate(self._last / self._unit):
            try:
                self._models[channel].learn_one(float(value))
            except ZeroDivisionError:
                # HoltWinters cannot start with a season of zeros: it starts with the next one.
                self._models[channel] = self._make()


def _snarimax(period: int) -> Any:
    from river import linear_model, optim, preprocessing
    from river import time_series as modules

    time_series: Any = modules
    del period
    # The default, a rate of 0.01 without clipping, diverges on link loads; chosen on NSFNET.
    regression = linear_model.LinearRegression(optimizer=optim.SGD(0.001), clip_gradient=1.0)
    return time_series.SNARIMAX(
        p=6, d=1, q=0, regressor=preprocessing.StandardScaler() | regression
    )


def _holt_winters(period: int) -> Any:
    from river import time_series as modules

    time_series: Any = modules
    del period
    return time_series.HoltWinters(alpha=0.8, beta=0.02)


def _holt_winters_seasonal(period: int) -> Any:
    from river import time_series as modules

    time_series: Any = modules
    return time_series.HoltWinters(alpha=0.8, beta=0.02, gamma=0.3, seasonality=period)


RIVER: dict[str, Callable[[BenchmarkStream], Method]] = {
    "River SNARIMAX": lambda stream: River(stream, _snarimax),
    "River HoltWinters": lambda stream: River(stream, _holt_winters),
    "River HoltWinters seasonal": lambda stream: River(stream, _holt_winters_seasonal),
}
