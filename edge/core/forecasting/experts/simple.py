"""Baseline experts without regression: last value, drift, mean, median, season, profile."""

from typing import Final

import numpy as np

from ..forecaster import Floats, State
from ..state_dict import load_state, state_dict
from .expert import ExpertInput

# Largest steps of the medians, in scales: about 10 and 100 samples to follow.  Two rates improve
# the four NAB series of docs/decisions/0010 by 7 %; the numbers were chosen by hand.
_MEDIAN_STEPS: Final = np.array([[0.1], [0.01]])
_MEDIAN_STATE: Final = ("level", "steps")
# Lowest rate of the mean increment: about 1,000 samples, after which a drift may change.  Chosen by
# hand; effect not measured.
_DRIFT_RATE: Final = 0.001
_DRIFT_STATE: Final = ("slope", "steps")
_SEASONAL_STATE: Final = ("ring", "known", "steps", "filled")


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


class Drift(SimpleExpert):
    """The last value plus the mean increment for each step ahead.

    The drift method of Hyndman and Athanasopoulos (Forecasting: Principles and Practice, 2021,
    section 5.2), on jump-corrected increments.  slope: float64 [C], the mean increment of about the
    last 1,000 samples.
    """

    def __init__(self, view: ExpertInput) -> None:
        super().__init__(view)
        self.slope = np.zeros(view.task.channels)
        self.steps = 0
        self._ahead = np.array(view.task.horizons, float)[:, None]

    def step(self, view: ExpertInput) -> Floats:
        """Update the mean increment; return it times the steps ahead."""
        history, slope = view.history, self.slope
        if history.jump_ratio is not None:
            slope *= history.jump_ratio
        self.steps += 1
        change = history.increment - slope
        change *= max(_DRIFT_RATE, 1.0 / self.steps)
        slope += change
        np.multiply(slope * history.inverse_scale, self._ahead, out=self._forecasts[0])
        return self._forecasts

    def state(self) -> State:
        """Return the mean increment."""
        return state_dict(self, _DRIFT_STATE)

    def restore(self, state: State) -> None:
        """Continue from a state."""
        load_state(self, _DRIFT_STATE, state)


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
    """The values of one season ago, corrected for the jumps since."""

    def step(self, view: ExpertInput) -> Floats:
        """Return the distances to them; zeros without a season."""
        return view.basis.seasonal[None]


class SeasonalValues(SimpleExpert):
    """The values of one season ago as they were measured, jumps included.

    After a repair a channel returns to such a value, whatever happened between.  ring: float64
    [season, C], the values of the last season.  filled: samples in it, gaps included.
    """

    def __init__(self, view: ExpertInput) -> None:
        super().__init__(view)
        season, channels = max(view.basis.season, 1), view.task.channels
        self.ring = np.zeros((season, channels))
        self.known = np.zeros(channels, bool)
        self._complete = False
        self.steps = self.filled = 0
        self._lags = -np.array(view.task.horizons) % season
        self._ago = np.empty((len(self._lags), channels))
        self._tiled = np.empty_like(self._ago)

    def step(self, view: ExpertInput) -> Floats:
        """Return the distances to them; zeros without a season, or before one has passed."""
        history, ring, season = view.history, self.ring, len(self.ring)
        if season == 1:
            return self._forecasts
        self._store(view)
        ago, tiled = self._ago, self._tiled
        ring.take((history.steps - self._lags) % season, 0, ago, "clip")
        if self.filled < season:
            ago[self._lags >= self.filled] = history.last
        tiled[:] = history.last
        ago -= tiled
        tiled[:] = history.inverse_scale
        np.multiply(ago, tiled, out=self._forecasts[0])
        return self._forecasts

    def _store(self, view: ExpertInput) -> None:
        """Store the newest values; the samples of a gap repeat the values before it."""
        history, ring, season = view.history, self.ring, len(self.ring)
        passed = history.steps - self.steps if self.filled else 1
        if passed > 1:
            skipped = self.steps + 1 + np.arange(min(passed - 1, season))
            ring[skipped % season] = ring[self.steps % season]
        self.steps = history.steps
        self.filled = min(self.filled + passed, season)
        if not self._complete:
            first = history.known & ~self.known
            ring[:, first] = history.last[first]
            self.known |= first
            self._complete = bool(self.known.all())
        ring[history.steps % season] = history.last

    def state(self) -> State:
        """Return the values of the last season."""
        return state_dict(self, _SEASONAL_STATE)

    def restore(self, state: State) -> None:
        """Continue from a state."""
        load_state(self, _SEASONAL_STATE, state)
        self._complete = False


class SeasonalProfile(SimpleExpert):
    """The mean course of the season: its level, and its change from now on."""

    outputs = 2

    def step(self, view: ExpertInput) -> Floats:
        """Return both; zeros without a season."""
        self._forecasts[0] = view.basis.level
        self._forecasts[1] = view.basis.slope
        return self._forecasts
