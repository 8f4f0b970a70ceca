"""An expert that looks for like days: regression on likeness to earlier samples."""

from typing import Final

import numpy as np

from ..forecaster import Floats, State
from ..state_dict import load_state, nest_state, state_dict, unnest_state
from .dictionary import SampleDictionary
from .expert import ExpertInput
from .least_squares import RecursiveLeastSquares

LAGS: Final = 24
ROOM: Final = 256
"""Samples kept of one channel; of more channels, in proportion to the root of their number."""
_ROOM_MIN = 16
_RIDGE: Final = 0.05
_SLOW: Final = 0.002
_FAR: Final = 6.0
_BEGIN_STEPS: Final = 30
_KEPT = ("mean", "variance", "steps")


class KernelExpert:
    """The last day of 24 samples, the seasons before at now and at each horizon, the phase of each
    season: what followed where all of it was alike, smoothly.

    It bends where the regressions are straight: a peak that comes after a cool night only, a
    weekday that starts like a Sunday.  mean, variance: float64 [C], of the course over some 500
    samples, by which all is standardised.
    """

    voices = 2

    def __init__(self, view: ExpertInput) -> None:
        task, seasons = view.task, view.history.seasons
        points = np.array([0, *task.horizons])
        lags = [np.arange(LAGS + 1), *(one - points % one for one in seasons)]
        self._lags = np.concatenate(lags).astype(np.int64)
        width = len(self._lags) + 2 * len(seasons)
        self._seen = np.zeros((width, task.channels))
        self._narrow = 1.0 / np.sqrt(width)
        self._room = max(_ROOM_MIN, int(ROOM / np.sqrt(task.channels)))
        self.mean, self.variance = np.zeros((2, task.channels))
        self.steps = 0
        self._dictionary = SampleDictionary(task.channels, self._room, width)
        self._regression = RecursiveLeastSquares(
            task.channels, self._room, view.truth, (3.0, 1.0), ridge=_RIDGE
        )

    def step(self, view: ExpertInput) -> Floats:
        """Learn and forecast."""
        seen = self._look(view)
        features = self._dictionary.look(seen)
        if self.steps > _BEGIN_STEPS:
            self._dictionary.learn(seen, features, view.history.fresh)
        return self._regression.step(features, view.truth)

    def _look(self, view: ExpertInput) -> Floats:
        """Return what is seen of each channel, standardised: float64 [C, width]."""
        history, seen, count = view.history, self._seen, len(self._lags)
        self._follow(view)
        rows = seen[:count]
        np.subtract(history.lags(self._lags), self.mean, out=rows)
        rows /= np.sqrt(self.variance) + 1e-9 * history.level + 1e-190
        np.minimum(np.maximum(rows, -_FAR, out=rows), _FAR, out=rows)
        for place, season in enumerate(history.seasons):
            angle = 2 * np.pi * (history.steps % season) / season
            seen[count + 2 * place], seen[count + 2 * place + 1] = np.sin(angle), np.cos(angle)
        # In one order in memory: the dictionary's factor is made again from these to the last bit.
        told: Floats = np.multiply(seen.T, self._narrow, order="C")
        return told

    def _follow(self, view: ExpertInput) -> None:
        """Follow mean and variance; a spike counts as ten deviations at most."""
        history = view.history
        if history.scale is not None:
            self.mean = history.course + (self.mean - history.course) * history.scale
            self.variance *= history.scale**2
        self.steps += 1
        pace = max(_SLOW, 1.0 / self.steps)
        away = history.course - self.mean
        if self.steps > _BEGIN_STEPS:
            bound = 10.0 * (np.sqrt(self.variance) + history.unit)
            away = np.minimum(np.maximum(away, -bound), bound)
        self.mean += pace * away
        self.variance += pace * (away * away - self.variance)

    def state(self) -> State:
        """Return the samples kept, the regression's state, mean and variance."""
        return {
            **load_state(self, _KEPT),
            **nest_state("dictionary", self._dictionary.state()),
            **nest_state("regression", self._regression.state()),
        }

    def restore(self, state: State) -> None:
        """Go on from a state."""
        state_dict(self, _KEPT, state)
        self._dictionary.restore(unnest_state("dictionary", state))
        self._regression.restore(unnest_state("regression", state))
