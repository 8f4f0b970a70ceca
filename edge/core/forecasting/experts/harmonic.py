"""A regression that knows the phase of the season: harmonics, and how lags count by the hour."""

from typing import Final

import numpy as np

from ..forecaster import Floats, State
from .basis import MEANS
from .expert import ExpertInput
from .least_squares import RecursiveLeastSquares

LAGS: Final = 12
_HARMONICS: Final = np.arange(1, 5)
_SIZE = 3.0
_TURNED = 3


class HarmonicRegression:
    """Twelve lags, means, seasons, profile, four harmonics of each season, and the last increments
    and means once more, turned by the phase of the day.  Two voices, as the seasonal regression.

    About twice as dear as that one: for few channels.
    """

    voices = 2

    def __init__(self, view: ExpertInput) -> None:
        task, seasons = view.task, view.history.seasons
        points = np.array([0, *task.horizons])
        lags = [np.arange(1, LAGS + 1), *(one - points % one for one in seasons)]
        self._lags = np.concatenate(lags).astype(np.int64)
        self._own = len(self._lags) + MEANS
        self._profile = len(points) if seasons else 0
        waves = 2 * len(_HARMONICS) * len(seasons)
        turned = 2 * _TURNED if seasons else 0
        width = 1 + self._own + self._profile + waves + turned
        self._rows = np.zeros((width - 1, task.channels))
        self._columns = np.ones((task.channels, width))
        self._regression = RecursiveLeastSquares(task.channels, width, view.truth, (3.0, 1.0))

    def step(self, view: ExpertInput) -> Floats:
        """Learn and forecast."""
        history, basis, rows = view.history, view.basis, self._rows
        count, own = len(self._lags), self._own
        rows[:count] = history.lags(self._lags)
        rows[count:own] = history.means
        rows[:own] -= history.course
        rows[:own] *= history.per_unit
        if history.seasons:
            at = own + self._profile
            rows[own] = basis.level[0] - basis.slope[0]
            rows[own + 1 : at] = basis.level
            at = self._wave(history.steps, history.seasons, at)
            angle = 2 * np.pi * (history.steps % basis.season) / basis.season
            seen = rows[[0, count + 1, count + 2]]
            rows[at : at + _TURNED] = seen * np.sin(angle)
            rows[at + _TURNED :] = seen * np.cos(angle)
        self._columns[:, 1:] = rows.T
        return self._regression.step(self._columns, view.truth)

    def _wave(self, steps: int, seasons: tuple[int, ...], at: int) -> int:
        """Write the harmonics from a row on; return the row behind them."""
        for season in seasons:
            angles = 2 * np.pi * (steps % season) / season * _HARMONICS
            both = _SIZE * np.concatenate([np.sin(angles), np.cos(angles)])
            self._rows[at : at + len(both)] = both[:, None]
            at += len(both)
        return at

    def state(self) -> State:
        """Return the regression's."""
        return self._regression.state()

    def restore(self, state: State) -> None:
        """Go on from a state."""
        self._regression.restore(state)
