"""Recurring states of a stream, recognised by which channels moved and how far."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .detector import Floats

REGIMES_MAX: Final = 16
"""States remembered; beyond it the one not seen for longest is forgotten, its number not reused."""

_NEAR: Final = 0.5
_SMALL: Final = 0.2


class Regimes:
    """Where a stream stands among the states it has been in.

    A state is the sum of relative moves since the first state, so that a failure and its repair
    lead back to where they began, whatever the level was meanwhile.  Two are the same where they
    are nearer than half of the move that led here, or a quarter of the larger, or 0.1.
    Memory: 16 x C floats.
    """

    def __init__(self, channels: int) -> None:
        self._here = np.zeros(channels)
        self._centres = np.full((REGIMES_MAX, channels), np.nan)
        self._centres[0] = 0.0
        self._numbers = np.zeros(REGIMES_MAX, np.int64)
        self._used = np.full(REGIMES_MAX, -1, np.int64)
        self._used[0] = 0
        self._clock = np.zeros(2, np.int64)

    def kept(self) -> dict[str, NDArray[Any]]:
        """The arrays that hold what was learned."""
        return {
            "regime_here": self._here,
            "regime_centres": self._centres,
            "regime_numbers": self._numbers,
            "regime_used": self._used,
            "regime_clock": self._clock,
        }

    def enter(self, moves: Floats) -> int:
        """Move on by relative moves [C], each -1 to 1, and return the number of the new state."""
        self._clock[0] += 1
        self._here += moves
        row = self._nearest(float(np.linalg.norm(moves)))
        if row is None:
            row = int(np.argmin(self._used))
            self._clock[1] += 1
            self._numbers[row] = self._clock[1]
            self._centres[row] = self._here
        # Standing on the remembered state keeps errors from adding up over many changes.
        self._here[:] = self._centres[row]
        self._used[row] = self._clock[0]
        return int(self._numbers[row])

    def _nearest(self, moved: float) -> int | None:
        """The row of the state that this one is, or None where it is new."""
        known = np.flatnonzero(self._used >= 0)
        centres = self._centres[known]
        apart = np.linalg.norm(centres - self._here, axis=1)
        size = np.maximum(np.linalg.norm(centres, axis=1), np.linalg.norm(self._here))
        share = apart / np.maximum(_NEAR * size, max(moved, _SMALL))
        best = int(np.argmin(share))
        return int(known[best]) if share[best] < _NEAR else None
