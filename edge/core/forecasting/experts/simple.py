"""Experts that learn nothing: last value, mean, median, season before, profile of the season."""

from typing import Final

import numpy as np

from ..forecaster import Floats, State
from ..state_dict import load_state, state_dict
from .expert import ExpertInput

_PACES: Final = np.array([[0.1], [0.01]])


class SimpleExpert:
    """An expert without a state of its own."""

    voices = 1

    def __init__(self, view: ExpertInput) -> None:
        self._out = np.zeros((self.voices, len(view.task.horizons), view.task.channels))

    def state(self) -> State:
        """Return nothing."""
        return {}

    def restore(self, state: State) -> None:
        """Take nothing."""
        del state


class LastValue(SimpleExpert):
    """Nothing moves."""

    def step(self, view: ExpertInput) -> Floats:
        """Return zeros."""
        del view
        return self._out


class RunningMean(SimpleExpert):
    """Back to the mean of about the last five."""

    def step(self, view: ExpertInput) -> Floats:
        """Return how far the mean is away."""
        return view.basis.mean_of_5


class RunningMedian(SimpleExpert):
    """Back to the running median: what is best where a channel is noise about a level, bursts and
    all.  level: float64 [2, C], moved towards each sample by a tenth and by a hundredth of a usual
    movement at most (the median by stochastic approximation, Robbins and Monro 1951)."""

    voices = 2

    def __init__(self, view: ExpertInput) -> None:
        super().__init__(view)
        self.level = np.zeros((2, view.task.channels))
        self.steps = 0

    def step(self, view: ExpertInput) -> Floats:
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
        return load_state(self, ("level", "steps"))

    def restore(self, state: State) -> None:
        """Go on from a state."""
        state_dict(self, ("level", "steps"), state)


class SeasonalNaive(SimpleExpert):
    """What came a season before."""

    def step(self, view: ExpertInput) -> Floats:
        """Return how far it is away; zeros without a season."""
        return view.basis.seasonal[None]


class SeasonalProfile(SimpleExpert):
    """The mean course of the season: its level, and its change from now on."""

    voices = 2

    def step(self, view: ExpertInput) -> Floats:
        """Return both; zeros without a season."""
        self._out[0] = view.basis.level
        self._out[1] = view.basis.slope
        return self._out
