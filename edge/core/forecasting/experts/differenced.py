"""A seasonal autoregression of differences, like SNARIMAX (p, 1, 0)(h, 1, 0), by least squares."""

from typing import Final

import numpy as np

from ..forecaster import Floats, State
from .expert import ExpertInput
from .least_squares import RecursiveLeastSquares

ORDER: Final = 6
"""Increments of late that are seen."""


class DifferencedRegression:
    """A regression on the last increments, and on those that followed a season ago."""

    voices = 1

    def __init__(self, view: ExpertInput) -> None:
        task, season = view.task, view.basis.season
        ahead = np.arange(1, len(task.horizons) + 1) if season else np.zeros(0, np.int64)
        since = season - np.array(task.horizons) % season if season else ahead
        self._lags = np.concatenate([np.arange(ORDER), since])
        self._before = np.concatenate([np.arange(1, ORDER + 1), np.full(len(ahead), season)])
        self._inputs = np.ones((task.channels, len(self._lags) + 1))
        self._regression = RecursiveLeastSquares(
            task.channels, len(self._lags) + 1, view.truth, (3.0,)
        )

    def step(self, view: ExpertInput) -> Floats:
        """Learn and forecast."""
        history = view.history
        moved = history.lags(self._lags) - history.lags(self._before)
        self._inputs[:, 1:] = (moved * history.per_unit).T
        return self._regression.step(self._inputs, view.truth)

    def state(self) -> State:
        """Return the regression's."""
        return self._regression.state()

    def restore(self, state: State) -> None:
        """Go on from a state."""
        self._regression.restore(state)
