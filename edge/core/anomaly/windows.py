"""Distances of the newest windows to a bounded memory of earlier ones, exact in integers."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import hdc

from .scale import Codes
from .scorer import Floats, State

POOL: Final = 8
"""Samples in a mean of the longest scale, and means in its window: 64 samples in all."""
SCALES: Final = (16, 32, POOL * POOL)
"""Window lengths in samples; the longest is compared by means of eight.  Lengths of 8, 24 and 128
in their place or in addition cost up to 4 points on NAB."""
LONGEST: Final = SCALES[-1]
"""The longest window, and the least distance in time to windows that it is compared with, so that
they don't overlap."""

MEMORY_MAX: Final = 2_500
"""Windows in memory: nine days of five-minute samples.  On NAB 1,000 cost 2 points, 1,500 cost 1
and 4,000 gain nothing."""
MEMORY_TOTAL: Final = 160_000
"""Windows in memory over all channels: bounds time and memory of a series of many channels."""
NEAREST: Final = 5
"""Nearest windows whose mean distance counts.  On NAB 1 costs 3 points, 8 cost 1."""
# Turns sums of distances into means per root of a sample; the longest scale sums eight samples in
# each of its eight values.
_PER_SAMPLE: Final = np.array([[16.0], [32.0], [POOL**3]]) ** -0.5 / NEAREST
CANDIDATES_MIN: Final = 30
"""Windows in memory before distances count.  60 change the score on NAB by less than 0.1."""


def memory_windows(channels: int) -> int:
    """Return how many windows are kept in memory per channel."""
    return max(256, min(MEMORY_MAX, MEMORY_TOTAL // channels))


class WindowMemory:
    """Codes of the recent past and, for each lag, the distance of the newest window to that one.

    With D(t, i) the squared distance of the windows that end at t and t - i,
    D(t, i) = D(t - 1, i) + (x[t] - x[t-i])^2 - (x[t-L] - x[t-L-i])^2, exactly, since codes are
    integers.  The codes are the whole state: the distances follow from them.  Cost: O(C M) a step.
    """

    def __init__(self, channels: int) -> None:
        self.windows = memory_windows(channels)
        # Two windows, a gap between them, and means of an earlier phase.
        self.span = self.windows + 2 * (LONGEST + POOL)
        self.count = 0
        self._codes, self._sums = np.zeros((2, channels, 2 * self.span), np.int32)
        self._at = self.span
        self._short, self._long = np.zeros((2, channels, self.windows), np.int32)
        self._pooled = np.zeros((POOL, channels, self.windows), np.int32)

    def step(self, codes: Codes) -> Floats:
        """Learn the codes [C] of a sample; return the distances [3, C] by scale, per root of a
        sample and in codes; zeros during the warm-up."""
        self._append(codes)
        full = min(self.windows, self.count - 2 * LONGEST + 1) if self.ready else 0
        pooled = self._pooled[self.count % POOL]
        scales = ((self._codes, self._short), (self._codes, self._long), (self._sums, pooled))
        distances = np.empty((len(SCALES), len(codes)))
        for made, (series, table), length in zip(distances, scales, SCALES, strict=True):
            made[:] = hdc.follow_windows(
                series, table, at=self._at, back=length, gap=LONGEST, full=full, nearest=NEAREST
            )
        distances *= _PER_SAMPLE
        return distances

    @property
    def ready(self) -> bool:
        """Whether there are enough windows to compare with."""
        return self.count >= 2 * LONGEST + CANDIDATES_MIN - 1

    def _append(self, codes: Codes) -> None:
        if self._at == self._codes.shape[1]:
            for array in (self._codes, self._sums):
                array[:, : self.span] = array[:, self.span :].copy()
            self._at = self.span
        self._codes[:, self._at] = codes
        self._at += 1
        self._sums[:, self._at - 1] = self._codes[:, self._at - POOL : self._at].sum(axis=1)
        self.count += 1

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the codes of the past and the count: the distances follow from them."""
        codes = self._codes[:, self._at - self.span : self._at].astype(np.int16)
        return {"codes": codes, "count": np.array([self.count])}

    def restore(self, state: State) -> None:
        """Continue from arrays: recompute the distances."""
        codes, count = state["codes"].astype(np.int32), int(state["count"][0])
        self._codes[:, : self.span] = codes
        self._at, self.count = self.span, count
        padded = np.concatenate([np.zeros((len(codes), POOL - 1), np.int32), codes], axis=1)
        sums = np.lib.stride_tricks.sliding_window_view(padded, POOL, axis=1).sum(axis=2)
        self._sums[:, : self.span] = sums
        self._short[:], self._long[:] = (self._distance(codes, 0, L, 1) for L in SCALES[:2])
        for phase in range(POOL):
            back = (count - phase) % POOL
            self._pooled[phase] = self._distance(self._sums[:, : self.span], back, LONGEST, POOL)

    def _distance(self, series: Codes, back: int, length: int, stride: int) -> Codes:
        """Return the squared distances of the window that ended `back` samples ago to those in
        memory at the same lags."""
        total = np.zeros_like(self._short)
        for place in range(back, back + length, stride):
            at = self.span - place
            start = at - LONGEST - self.windows
            terms = series[:, start : at - LONGEST] - series[:, at - 1 : at]
            total += terms * terms
        return total
