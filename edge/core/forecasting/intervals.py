"""Intervals that keep their coverage through drift: adaptive conformal inference.

Each bound follows the quantile of the errors by online gradient steps on the pinball loss (Gibbs
and Candes 2021; the quantile tracker of Angelopoulos, Candes and Tibshirani 2023, section 2.1): a
miss moves it out by 1 - a steps, a hit moves it in by a.  Over time the share of misses is a,
whatever the errors do.
"""

from typing import Final

import numpy as np

from .delayed_targets import DelayedTargets
from .forecaster import Floats, State
from .history import JumpCorrectedHistory
from .state_dict import load_state, state_dict

COVERAGE: Final = 0.9
_MISS: Final = np.array((1.0 - COVERAGE) / 2)
_PACE, _START = 0.04, 20.0
_FLOOR, _NONE = np.array(0.01), np.array(0.0)
_KEPT = ("bounds", "given", "count")


class ConformalIntervals:
    """Distances below and above the point, in units: bounds float64 [2, H, C].

    A step is a share of the interval's own width.  Unlike what learns to forecast, intervals learn
    from values after jumps too: what nobody could foresee is a miss.  given: for forecasts whose
    truth is still to come, minus the low end and the high end, as values.
    """

    def __init__(self, channels: int, truth: DelayedTargets) -> None:
        horizons = len(truth.horizons)
        roots = np.sqrt(truth.horizons)[:, None]
        self.bounds: Floats = np.ones((2, horizons, channels)) * (2.0 * roots)
        self.given = np.zeros((2, truth.size * horizons, channels))
        self.count = 0
        self._ends, self._change = np.empty((2, *self.bounds.shape))
        self._low, self._high = self._ends
        self._missed = np.empty_like(self.bounds, bool)

    def step(
        self, points: Floats, history: JumpCorrectedHistory, truth: DelayedTargets
    ) -> tuple[Floats, Floats]:
        """Learn what is due, take points [H, C] as values, return the low and the high ends."""
        bounds, change, ends = self.bounds, self._change, self._ends
        low, high = self._low, self._high
        high[:] = history.last
        np.negative(high, low)
        self.given.take(truth.flat_then, 1, change, "clip")
        missed = np.greater(ends, change, self._missed)
        step = np.add(bounds[0], bounds[1], low)
        step += _FLOOR
        step *= max(_PACE, 0.3 / (1.0 + self.count / _START))
        if not truth.whole:
            step *= truth.arrived
        self.count += 1
        change[:] = missed
        change -= _MISS
        high[:] = step
        change *= ends
        bounds += change
        np.maximum(bounds, _NONE, out=bounds)
        ends[:] = history.safe_unit
        ends *= bounds
        low -= points
        high += points
        self.given[:, truth.flat_now] = ends
        return -low, high.copy()

    def state(self) -> State:
        """Return bounds, and the intervals whose truth is not known yet."""
        return load_state(self, _KEPT)

    def restore(self, state: State) -> None:
        """Go on from a state."""
        state_dict(self, _KEPT, state)
