"""Recurring states of a stream, recognised by which channels moved and by how much."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .detector import Floats

REGIMES_MAX: Final = 16
"""States remembered; the least recently seen is dropped, and its number is not reused.  Chosen by
hand; effect not measured."""

# Distance, as a share of the move that led here or of half the larger state, within which two
# states are the same.  Chosen by hand; effect not measured.
_NEAR: Final = 0.5
# Least move that the distance is a share of: small states must be recognised too.  Chosen by hand;
# effect not measured.
_SMALL: Final = 0.2


class Regimes:
    """The states that a stream has been in, and the current one.

    A state is the sum of relative moves since the first state, so that a failure and its repair
    lead back to the same state whatever the level was in between.  Two states are the same if their
    distance is below half of the move that led here, a quarter of the larger state, or 0.1.
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

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the state, by the name they are stored under."""
        return {
            "regime_here": self._here,
            "regime_centres": self._centres,
            "regime_numbers": self._numbers,
            "regime_used": self._used,
            "regime_clock": self._clock,
        }

    def enter(self, moves: Floats) -> int:
        """Apply relative moves [C], each -1 to 1, and return the number of the new state."""
        self._clock[0] += 1
        self._here += moves
        row = self._nearest(float(np.linalg.norm(moves)))
        if row is None:
            row = int(np.argmin(self._used))
            self._clock[1] += 1
            self._numbers[row] = self._clock[1]
            self._centres[row] = self._here
        # Continue from the remembered state, or errors would add up over many changes.
        self._here[:] = self._centres[row]
        self._used[row] = self._clock[0]
        return int(self._numbers[row])

    def _nearest(self, moved: float) -> int | None:
        """Return the row of the remembered state that equals this one, or None for a new one."""
        known = np.flatnonzero(self._used >= 0)
        centres = self._centres[known]
        distances = np.linalg.norm(centres - self._here, axis=1)
        size = np.maximum(np.linalg.norm(centres, axis=1), np.linalg.norm(self._here))
        share = distances / np.maximum(_NEAR * size, max(moved, _SMALL))
        best = int(np.argmin(share))
        return int(known[best]) if share[best] < _NEAR else None
