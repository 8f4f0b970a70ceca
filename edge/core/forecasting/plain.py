"""Experts that learn nothing: last value, mean, median, season before, profile of the season."""

from typing import Final

import numpy as np

from .expert import View
from .forecaster import Floats, State
from .keeping import put, take

_PACES: Final = np.array([[0.1], [0.01]])


class Plain:
    """An expert without a state of its own."""

    voices = 1

    def __init__(self, view: View) -> None:
        self._out = np.zeros((self.voices, len(view.task.horizons), view.task.channels))

    def state(self) -> State:
        """Return nothing."""
        return {}

    def restore(self, state: State) -> None:
        """Take nothing."""
        del state


class Last(Plain):
    """Nothing moves."""

    def step(self, view: View) -> Floats:
        """Return zeros."""
        del view
        return self._out


class Mean(Plain):
    """Back to the mean of about the last five."""

    def step(self, view: View) -> Floats:
        """Return how far the mean is away."""
        return view.basis.mean_of_5


class Median(Plain):
    """Back to the running median: what is best where a channel is noise about a level, bursts and
    all.  level: float64 [2, C], moved towards each sample by a tenth and by a hundredth of a usual
    movement at most (the median by stochastic approximation, Robbins and Monro 1951)."""

    voices = 2

    def __init__(self, view: View) -> None:
        super().__init__(view)
        self.level = np.zeros((2, view.task.channels))
        self.steps = 0

    def step(self, view: View) -> Floats:
        """Follow the newest sample; return how far the medians are away."""
        history, level = view.history, self.level
        if history.scale is not None:
            level[:] = history.course + (level - history.course) * history.scale
        self.steps += 1
        pace = np.maximum(_PACES, 1.0 / self.steps) * history.unit
        level += np.minimum(np.maximum(history.course - level, -pace), pace)
        self._out[:] = ((level - history.course) * history.per_unit)[:, None]
        return self._out

    def state(self) -> State:
        """Return the medians."""
        return take(self, ("level", "steps"))

    def restore(self, state: State) -> None:
        """Go on from a state."""
        put(self, ("level", "steps"), state)


class Seasonal(Plain):
    """What came a season before."""

    def step(self, view: View) -> Floats:
        """Return how far it is away; zeros without a season."""
        return view.basis.seasonal[None]


class Profile(Plain):
    """The mean course of the season: its level, and its change from now on."""

    voices = 2

    def step(self, view: View) -> Floats:
        """Return both; zeros without a season."""
        self._out[0] = view.basis.level
        self._out[1] = view.basis.slope
        return self._out
