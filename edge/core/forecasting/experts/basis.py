"""What the regressions of a channel see: lags, means, seasons and the profile of the day."""

from typing import Final

import numpy as np

from ..forecaster import State
from ..history import JumpCorrectedHistory
from ..state_dict import load_state, state_dict

LAGS: Final = (1, 2, 3)
MEANS: Final = 4
SHORT: Final = 1 + len(LAGS) + MEANS
"""Columns without a season: a one, the lags, the means."""
_PROFILE = 0.1


class RegressionBasis:
    """Columns float64 [C, width], in units, all differences from the newest value.

    A season has a column for now and for each horizon; so has the profile.  seasonal, level: [H,
    C], the season before and the profile at each horizon; slope: how the profile moves from now to
    each.  They are zeros without a season.  mean_of_5: [1, H, C], that mean at each horizon.
    """

    def __init__(self, history: JumpCorrectedHistory, horizons: tuple[int, ...]) -> None:
        channels, seasons = history.channels, history.seasons
        points = np.array([0, *horizons])
        self.season = seasons[0] if seasons else 0
        lags = np.concatenate([np.array(LAGS), *(one - points % one for one in seasons)])
        self._lags = lags.astype(np.int64)
        self._slots = (np.arange(self.season)[:, None] + points) % max(self.season, 1)
        many = len(LAGS)
        start, end = SHORT - 1, SHORT - 1 + len(lags) - many
        self.width = 1 + end + (len(points) if seasons else 0)
        self.columns = np.ones((channels, self.width))
        self._places = self.columns[:, 1:].T
        self._rows, self._spread = np.empty((2, self.width - 1, channels))
        self._recent, self._means = self._rows[:many], self._rows[many:start]
        self._ago, self._ahead = self._rows[start:end], self._rows[end:]
        self.mean_of_5 = np.broadcast_to(self._means[1], (1, len(horizons), channels))
        nothing = np.zeros((len(horizons), channels))
        self.seasonal = self._ago[1 : len(points)] if seasons else nothing
        self.level = self._ahead[1:] if seasons else nothing
        self.slope = nothing.copy()
        self.profile = np.zeros((max(self.season, 1), channels))
        self.visits = np.zeros(max(self.season, 1))

    def step(self, history: JumpCorrectedHistory) -> None:
        """Follow the newest sample.  Cost: O(width C)."""
        rows, many = self._rows, len(LAGS)
        ago = history.lags(self._lags)
        self._recent[:] = ago[:many]
        self._means[:] = history.means
        if self.season:
            self._ago[:] = ago[many:]
            self._follow(history)
        spread = self._spread
        spread[:] = history.course
        rows -= spread
        spread[:] = history.per_unit
        rows *= spread
        if self.season:
            self.slope[:] = self._ahead[0]
            np.subtract(self.level, self.slope, self.slope)
        self._places[:] = rows

    def _follow(self, history: JumpCorrectedHistory) -> None:
        """Learn the profile at this slot, and read it there and ahead; the newest value stands for
        a slot that was never seen."""
        slot, course = history.steps % self.season, history.course
        if history.scale is not None:
            self.profile = course + (self.profile - course) * history.scale
        held, visits = self.profile[slot], float(self.visits[slot]) + 1
        self.visits[slot] = visits
        change = course - held
        change *= max(_PROFILE, 1.0 / visits)
        held += change
        slots = self._slots[slot]
        self.profile.take(slots, 0, self._ahead, "clip")
        if visits == 1:
            self._ahead[self.visits[slots] == 0] = course

    def state(self) -> State:
        """Return the profile."""
        return load_state(self, ("profile", "visits"))

    def restore(self, state: State) -> None:
        """Go on from a state."""
        state_dict(self, ("profile", "visits"), state)
