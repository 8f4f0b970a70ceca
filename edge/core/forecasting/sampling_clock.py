"""How far apart samples are: the usual step, gaps, and how many steps a day has."""

import math
from statistics import median
from typing import Final

from .forecaster import PERIOD_MAX

_USUAL_FROM = 15
CLOCK_NUMBERS_MIN: Final = 2
"""Numbers of a clock's state, before those of the first samples."""
_STRANGE_MAX = 64
_GAP_STEPS_MIN = 3.0
_DAY_S = 86_400.0
SEASON_MAX: Final = 1_500
"""Longest season in steps that is followed unasked: a day of samples a minute apart fits."""


class SamplingClock:
    """Learns the usual step from the first samples; learns it anew when it no longer fits.

    `ratio`: this step over the usual one, 0.1 to 10.  `gap`: usual steps that were left out, where
    they are three or more.
    """

    def __init__(self) -> None:
        self.usual_s = 0.0
        self.ratio = 1.0
        self.gap = 0
        self._first: list[float] = []
        self._strange = 0

    def step(self, elapsed_s: float) -> bool:
        """Take the seconds since the sample before; True where the usual step has been learned or
        has changed.  What is not positive and finite (a clock set back) counts as the usual step.
        """
        self.ratio, self.gap = 1.0, 0
        if not 0.0 < elapsed_s < math.inf:
            return False
        if not self.usual_s:
            return self._learn(elapsed_s)
        ratio = elapsed_s / self.usual_s
        self.ratio = min(max(ratio, 0.1), 10.0)
        if ratio > _GAP_STEPS_MIN:
            self.gap = int(min(ratio, 1e9) + 0.5) - 1
        if 0.5 < ratio < 2.0:
            self._strange = 0
            return False
        self._strange += 1
        if self._strange > _STRANGE_MAX:
            self.usual_s, self._strange = 0.0, 0
        return False

    def _learn(self, elapsed_s: float) -> bool:
        self._first.append(elapsed_s)
        if len(self._first) < _USUAL_FROM:
            return False
        self.usual_s = median(self._first)
        self._first = []
        return True

    def seasons(self, period: int | None) -> tuple[int, ...]:
        """Return the seasons to follow, in steps, shortest first: the period that was given, or the
        day, and seven of them, where they fit."""
        if period is None:
            if not self.usual_s:
                return ()
            day = _DAY_S / self.usual_s
            if day < 2.5 or day > SEASON_MAX or abs(day - round(day)) > 0.05:
                return ()
            period = round(day)
        week = 7 * period
        return (period, week) if week <= SEASON_MAX // 2 else (period,)

    def state(self) -> list[float]:
        """Return what it has learned."""
        return [self.usual_s, float(self._strange), *self._first]

    def restore(self, state: list[float]) -> None:
        """Go on from a state."""
        self.usual_s, strange, *self._first = state
        self._strange = int(strange)


assert SEASON_MAX <= PERIOD_MAX
