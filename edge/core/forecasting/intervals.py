"""Intervals that keep their coverage through drift: adaptive conformal inference.

Each bound follows the quantile of the errors by online gradient steps on the pinball loss (Gibbs
and Candes 2021; the quantile tracker of Angelopoulos, Candes and Tibshirani 2023, section 2.1): a
miss moves it out by 1 - a steps, a hit moves it in by a.  Over time the share of misses is a,
whatever the errors do.
"""

from typing import Final

import numpy as np

from .forecaster import Floats, State
from .keeping import put, take
from .truth import Truth

COVERAGE: Final = 0.9
_MISS: Final = (1.0 - COVERAGE) / 2
_PACE, _START = 0.08, 20.0
_SCALE = 0.02
_KEPT = ("bounds", "points", "given", "scales", "count")


class Intervals:
    """Distances below and above the point, in units: bounds float64 [2, H, C]."""

    def __init__(self, channels: int, truth: Truth) -> None:
        horizons = len(truth.horizons)
        roots = np.sqrt(truth.horizons)[:, None]
        self.bounds: Floats = np.ones((2, horizons, channels)) * (2.0 * roots)
        self.points = np.zeros((truth.size, horizons, channels))
        self.given = np.zeros((truth.size, horizons, 2, channels))
        self.scales = np.ones((horizons, channels)) * roots
        self.count = 0

    def step(self, points: Floats, truth: Truth) -> Floats:
        """Learn what is due, take points [H, C] in units, return the bounds to give."""
        errors = truth.target - self.points[truth.then, truth.which]
        given = self.given[truth.then, truth.which]
        due, size = truth.due, np.abs(errors)
        pace = max(_PACE, 1.0 / (1.0 + self.count / _START))
        self.count += 1
        self.scales += _SCALE * due * (np.minimum(size, 10 * self.scales) - self.scales)
        step = (pace * due) * self.scales
        self.bounds[0] += step * ((-errors > given[:, 0]) - _MISS)
        self.bounds[1] += step * ((errors > given[:, 1]) - _MISS)
        np.maximum(self.bounds, 0.0, out=self.bounds)
        self.points[truth.now] = points
        self.given[truth.now] = self.bounds.transpose(1, 0, 2)
        return self.bounds

    def state(self) -> State:
        """Return bounds, and the intervals whose truth is not known yet."""
        return take(self, _KEPT)

    def restore(self, state: State) -> None:
        """Go on from a state."""
        put(self, _KEPT, state)
