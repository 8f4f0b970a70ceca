"""The scores of a stream's newest observations, labelled or not, in the order of time.

Where one observation in many is labelled, the enrolled scores lie far apart in time, and windows of
them vary less than windows of a stream do.  The trail shows how much these vary.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

import msgspec
import numpy as np

import hdc

from .. import limits

SCORES_MIN: Final = 4 * hdc.WINDOW
"""Fewest scores whose windows say how much windows vary.  Chosen by hand."""

PACE_SHARE: Final = 2
"""Labelled facts are not consecutive if they lie at least this many times as far apart in time as
the observations of the stream do: every second one is missing."""


class ScoreTrail(msgspec.Struct, kw_only=True):
    """The newest scores of one stream, 1,024 a within-block deviation above the level, at most
    `limits.TRAIL_SCORES_MAX`.

    pace_ns: the median time between two of them, as of labelled facts; 0 if unknown.
    """

    pace_ns: int = 0
    _scores: deque[int] = msgspec.field(
        default_factory=lambda: deque(maxlen=limits.TRAIL_SCORES_MAX)
    )
    _gaps: deque[int] = msgspec.field(default_factory=lambda: deque(maxlen=limits.TRAIL_SCORES_MAX))
    _at_ns: int = 0
    _new: int = 0
    _variance: float = 0.0

    @property
    def scores(self) -> tuple[int, ...]:
        """The scores, the oldest first."""
        return tuple(self._scores)

    def add(self, score: int, captured_at_ns: int) -> None:
        """Add the score of an observation."""
        apart = captured_at_ns - self._at_ns
        if self._at_ns and apart > 0:
            self._gaps.append(apart)
        self._at_ns = captured_at_ns
        self._scores.append(score)
        self._new += 1
        if self._new >= hdc.WINDOW:
            self._measure()

    def restore(self, scores: Iterable[int], pace_ns: int) -> None:
        """Take over stored scores."""
        self._scores.extend(scores)
        self.pace_ns = pace_ns
        self._measure()

    def clear(self) -> None:
        """Drop all scores."""
        self._scores.clear()
        self._gaps.clear()
        self.pace_ns = self._at_ns = self._new = 0
        self._variance = 0.0

    def window_variance(self, facts_pace_ns: int) -> float:
        """Return the variance of windows, in squared deviations; 0 if the labelled facts, this far
        apart in time, are consecutive themselves, or if too few scores are known."""
        sparse = 0 < PACE_SHARE * self.pace_ns <= facts_pace_ns
        return self._variance if sparse else 0.0

    def _measure(self) -> None:
        self._new = 0
        if self._gaps:
            self.pace_ns = sorted(self._gaps)[len(self._gaps) // 2]
        if len(self._scores) >= SCORES_MIN:
            found = hdc.variance_of_windows(np.asarray(self._scores, dtype=np.int64))
            # A window varies at most as much as a sample.
            self._variance = min(found / hdc.ONE**2, 1.0)
