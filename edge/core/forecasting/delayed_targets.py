"""What became of earlier forecasts: the truth for horizon h is known h samples late."""

from typing import Final

import numpy as np

from .forecaster import Floats, State
from .history import JumpCorrectedHistory
from .state_dict import load_state, state_dict

TARGET_MAX: Final = 300.0
"""Largest movement, in units, that anything learns from."""
_HIGHEST, _LOWEST = np.array(TARGET_MAX), np.array(-TARGET_MAX)

MANY_CHANNELS: Final = 16
"""From so many channels on, some samples teach nothing: time is dear then."""


class DelayedTargets:
    """For each horizon, the sample so many steps ago and what has come of it since.

    target: float64 [H, C], movement of the course since then in units of then.  arrived: bool [H,
    C], whether a value has come; whole: whether all have.  due: whether it may be learned: no jump,
    gap or missing value lies between; certain: whether all may.  then: int [H], rows of rings of
    `size` rows that hold that sample; now: the row of this one.  flat_then, flat_now: the same for
    rings with a row for each horizon.
    """

    def __init__(self, channels: int, horizons: tuple[int, ...]) -> None:
        self.horizons = np.array(horizons)
        self.size = horizons[-1] + 1
        self._which = np.arange(len(horizons))
        self.count = 0
        self.since = 0
        self.now = 0
        self.origins = np.zeros((2, self.size, channels))
        self.target = np.zeros((len(horizons), channels))
        self.due = np.zeros((len(horizons), channels), bool)
        self.arrived = np.zeros((len(horizons), channels), bool)
        self._column, self._farthest = self.horizons[:, None], horizons[-1]
        self.whole = self.certain = False
        rows = (np.arange(self.size)[:, None] - self.horizons) % self.size
        self._rows, self._flat = list(rows), list(rows * len(horizons) + self._which)

    def step(self, history: JumpCorrectedHistory) -> None:
        """Look back from the newest sample."""
        self.since = 0 if history.broken else self.since + 1
        self.count += 1
        self.now = self.count % self.size
        self.then, self.flat_then = self._rows[self.now], self._flat[self.now]
        self.flat_now = slice(self.now * len(self._which), (self.now + 1) * len(self._which))
        before, target = self.origins.take(self.then, 1), self.target
        target[:] = history.course
        target -= before[0]
        target *= before[1]
        np.minimum(np.maximum(target, _LOWEST, out=target), _HIGHEST, out=target)
        self._see(history)
        self.origins[0, self.now] = history.course
        self.origins[1, self.now] = history.per_ripe_unit

    def _see(self, history: JumpCorrectedHistory) -> None:
        """Set which values have arrived, and which are due."""
        whole, certain = self.whole, self.certain
        self.whole = history.all_fresh and self.since > self._farthest
        self.certain = self.whole and history.calm >= self._farthest
        if not (whole and self.whole):
            self.arrived[:] = history.fresh
            self.arrived &= self.since > self._column
        if not (certain and self.certain):
            np.greater_equal(history.age, self._column, out=self.due)
            self.due &= self.arrived

    def state(self) -> State:
        """Return counters, and courses and units of the samples that wait."""
        return load_state(self, ("count", "since", "origins"))

    def restore(self, state: State) -> None:
        """Go on from a state."""
        state_dict(self, ("count", "since", "origins"), state)


def huber_weights(errors: Floats, bounds: Floats) -> Floats:
    """Return errors with their size bounded: Huber's influence (Huber 1964)."""
    return np.minimum(np.maximum(errors, -bounds), bounds)
