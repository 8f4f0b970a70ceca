"""Baseline experts without regression: last value, mean, median, seasonal naive, profile."""

from typing import Final

import numpy as np

from ..forecaster import Floats, State
from ..state_dict import load_state, state_dict
from .expert import ExpertInput

# Largest steps of the medians, in scales: about 10 and 100 samples to follow.  Two rates improve
# the four NAB series of docs/decisions/0010 by 7 %; the numbers were chosen by hand.
_MEDIAN_STEPS: Final = np.array([[0.1], [0.01]])
_MEDIAN_STATE: Final = ("level", "steps")


class SimpleExpert:
    """An expert without state."""

    outputs = 1

    def __init__(self, view: ExpertInput) -> None:
        self._forecasts = np.zeros((self.outputs, len(view.task.horizons), view.task.channels))

    def state(self) -> State:
        """Return an empty state."""
        return {}

    def restore(self, state: State) -> None:
        """Ignore the state."""
        del state


class LastValue(SimpleExpert):
    """The newest value at every horizon."""

    def step(self, view: ExpertInput) -> Floats:
        """Return zeros."""
        del view
        return self._forecasts


class RunningMean(SimpleExpert):
    """The mean of about the last five values at every horizon."""

    def step(self, view: ExpertInput) -> Floats:
        """Return the distance to the mean."""
        return view.basis.mean_of_5


class RunningMedian(SimpleExpert):
    """A fast and a slow running median: best for noise about a level, even with bursts.

    level: float64 [2, C], moved towards each sample by at most 0.1 and 0.01 scales (the median by
    stochastic approximation, Robbins and Monro 1951).
    """

    outputs = 2

    def __init__(self, view: ExpertInput) -> None:
        super().__init__(view)
        self.level = np.zeros((2, view.task.channels))
        self.steps = 0

    def step(self, view: ExpertInput) -> Floats:
        """Move the medians towards the newest sample; return the distances to them."""
        history, level = view.history, self.level
        base = history.jump_corrected_sum
        if history.jump_ratio is not None:
            level[:] = base + (level - base) * history.jump_ratio
        self.steps += 1
        largest = np.maximum(_MEDIAN_STEPS, 1.0 / self.steps) * history.scale
        level += np.minimum(np.maximum(base - level, -largest), largest)
        self._forecasts[:] = ((level - base) * history.inverse_scale)[:, None]
        return self._forecasts

    def state(self) -> State:
        """Return the medians."""
        return state_dict(self, _MEDIAN_STATE)

    def restore(self, state: State) -> None:
        """Continue from a state."""
        load_state(self, _MEDIAN_STATE, state)


class SeasonalNaive(SimpleExpert):
    """The values of one season ago."""

    def step(self, view: ExpertInput) -> Floats:
        """Return the distances to them; zeros without a season."""
        return view.basis.seasonal[None]


class SeasonalProfile(SimpleExpert):
    """The mean course of the season: its level, and its change from now on."""

    outputs = 2

    def step(self, view: ExpertInput) -> Floats:
        """Return both; zeros without a season."""
        self._forecasts[0] = view.basis.level
        self._forecasts[1] = view.basis.slope
        return self._forecasts
