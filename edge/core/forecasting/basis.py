"""What the regressions of a channel see: lags, means, seasons and the profile of the day."""

from typing import Final

import numpy as np

from .forecaster import Floats, State
from .history import History
from .keeping import put, take

LAGS: Final = (1, 2, 3)
SHORT: Final = 1 + len(LAGS) + 4
"""Columns without a season: a one, the lags, the means."""
_POINTS_MAX = 3
_PROFILE = 0.1


class Basis:
    """Columns float64 [C, width], in units, all differences from the newest value.

    ahead: float64 [2, H, C], the season before and the profile at each horizon; zeros without a
    season.  slope: float64 [H, C], how the profile moves from now to each horizon.
    """

    def __init__(self, history: History, horizons: tuple[int, ...]) -> None:
        channels, seasons = history.channels, history.seasons
        self.season = seasons[0] if seasons else 0
        chosen = np.unique(np.linspace(0, len(horizons) - 1, _POINTS_MAX).astype(int))
        points = np.array([0, *(horizons[one] for one in chosen)])
        lags = [one - points % one for one in seasons]
        self._lags = np.concatenate([np.array(LAGS), *lags]).astype(np.int64)
        self._ahead = np.array(horizons)
        self._points = points
        self.width = SHORT + len(self._lags) - len(LAGS) + (len(points) if seasons else 0)
        self.columns = np.ones((channels, self.width))
        self._rows = np.empty((self.width - 1, channels))
        self.profile = np.zeros((max(self.season, 1), channels))
        self.visits = np.zeros(max(self.season, 1))
        self.ahead = np.zeros((2, len(horizons), channels))
        self.slope = np.zeros((len(horizons), channels))

    def step(self, history: History) -> None:
        """Follow the newest sample.  Cost: O(width C)."""
        rows, many = self._rows, len(LAGS)
        ago = history.lags(self._lags)
        rows[:many] = ago[:many]
        rows[many : SHORT - 1] = history.means
        if self.season:
            end = SHORT - 1 + len(ago) - many
            rows[SHORT - 1 : end] = ago[many:]
            self._follow(history, rows[end:])
        rows -= history.course
        rows *= history.per_unit
        self.columns[:, 1:] = rows.T

    def _follow(self, history: History, rows: Floats) -> None:
        """Learn the profile at this slot; read it, and the season before, at the points ahead."""
        slot = history.steps % self.season
        if history.scale is not None:
            self.profile = history.course + (self.profile - history.course) * history.scale
        if self.visits[slot] == 0:
            self.profile[slot] = history.course
        self.visits[slot] += 1
        rate = max(_PROFILE, 1.0 / self.visits[slot])
        self.profile[slot] += rate * (history.course - self.profile[slot])
        slots = (slot + self._points) % self.season
        rows[:] = self._read(slots, history)
        ahead = (slot + self._ahead) % self.season
        self.ahead[0] = history.lags(self.season - self._ahead % self.season)
        self.ahead[1] = self._read(ahead, history)
        np.subtract(self.ahead[1], self.profile[slot], out=self.slope)
        self.slope *= history.per_unit
        self.ahead -= history.course
        self.ahead *= history.per_unit

    def _read(self, slots: np.ndarray[tuple[int], np.dtype[np.int64]], history: History) -> Floats:
        """Return the profile at some slots; the newest value where a slot was never seen."""
        found = self.profile.take(slots, 0)
        unseen = self.visits.take(slots) == 0
        if unseen.any():
            found[unseen] = history.course
        return found

    def state(self) -> State:
        """Return the profile."""
        return take(self, ("profile", "visits"))

    def restore(self, state: State) -> None:
        """Go on from a state."""
        put(self, ("profile", "visits"), state)
