"""Integer codes of values: the robust scale of each channel, from a thinned history."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .scorer import Floats

Codes = NDArray[np.int32]

CODES_PER_UNIT: Final = 8
"""Codes per standard deviation.  16 instead of 8 changes the score on NAB by less than 0.1."""
CODE_MAX: Final = 64 * CODES_PER_UNIT
"""Largest code: 64 standard deviations.  Below 16 the score on NAB falls by 1.2 points."""

KEPT_MAX: Final = 2_048
"""Values kept per channel to estimate its scale.  On NAB 1,024 cost 0.7 to 1.3 points."""
KEPT_TOTAL: Final = 65_536
"""Values kept over all channels: half a megabyte for a series of many channels."""
# With `KEPT_MAX` the scale describes the last 16,384 samples at most: older ones must not hold back
# the adaptation.  Chosen by hand; effect not measured.
_STRIDE_MAX: Final = 8

# Samples between two estimates of the scale: bounds its cost per sample.  Taken from the study of
# recipes on NAB; effect not measured.
_REFRESH_STEPS: Final = 25
# Samples before the first estimate.  Chosen by hand; effect not measured.
_FIRST_STEPS: Final = 20
# The median, and quantiles that outliers hardly move.  Chosen by hand; effect not measured.
_QUANTILES: Final = (0.05, 0.5, 0.95)
# Standard deviations between the 5 % and the 95 % quantile of a normal distribution.
_SPREAD_DEVIATIONS: Final = 3.3
# Least spread as a share of the standard deviation, for channels that rest most of the time.
# Chosen by hand; effect not measured.
_DEVIATION_SHARE: Final = 0.5
# Least spread as a share of the median: below it differences are rounding errors.
_RELATIVE_FLOOR: Final = 1e-9


def kept_values(channels: int) -> int:
    """Return how many values are kept per channel."""
    return max(128, min(KEPT_MAX, KEPT_TOTAL // channels))


class RobustScale:
    """Median and spread of each channel over a thinned history, and the codes of values.

    All values are kept at first.  A full history drops every second value and keeps every second
    new one from then on, up to one in eight.  Codes that were made with an earlier scale stay.
    """

    def __init__(self, channels: int) -> None:
        size = kept_values(channels)
        self.kept: Floats = np.zeros((channels, size))
        # Values kept, place of the oldest, samples between two kept ones, samples seen.
        self.counts: NDArray[np.int64] = np.array([0, 0, 1, 0])
        # Median of each channel, and codes per unit of its values.
        self.median, self.factor = np.zeros((2, channels))

    def encode(self, values: Floats) -> Codes:
        """Return the codes of a sample by the scale before it, then learn from it."""
        held, _, _, seen = self.counts.tolist()
        if seen >= _FIRST_STEPS and (seen % _REFRESH_STEPS == 0 or seen == _FIRST_STEPS):
            self._estimate(held)
        codes = np.zeros(len(values), np.int32)
        if seen >= _FIRST_STEPS:
            units = values - self.median
            units *= self.factor
            np.rint(units, units)
            np.minimum(units, CODE_MAX, out=units)
            codes[:] = np.maximum(units, -CODE_MAX, out=units)
        self._keep(values)
        return codes

    def begin(self, new: NDArray[np.bool_], values: Floats) -> None:
        """Start channels whose first value has arrived: it stands in for the missing ones."""
        self.kept[new] = values[new, None]
        self.median[new] = values[new]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that hold everything learned, themselves."""
        return {
            "kept": self.kept,
            "counts": self.counts,
            "median": self.median,
            "factor": self.factor,
        }

    def _estimate(self, held: int) -> None:
        ordered = np.sort(self.kept[:, :held], axis=1)
        low, middle, high = (_at(ordered, share) for share in _QUANTILES)
        floor = np.maximum(1.0, np.abs(middle)) * _RELATIVE_FLOOR
        deviation = np.std(ordered, axis=1) * _DEVIATION_SHARE
        self.median[:] = middle
        spread = np.maximum(np.maximum(high - low, deviation), floor)
        self.factor[:] = CODES_PER_UNIT * _SPREAD_DEVIATIONS / spread

    def _keep(self, values: Floats) -> None:
        held, oldest, stride, seen = self.counts.tolist()
        size = self.kept.shape[1]
        if seen % stride == 0:
            if held < size:
                self.kept[:, held] = values
                held += 1
            else:
                self.kept[:, oldest] = values
                oldest = (oldest + 1) % size
            if held == size and stride < _STRIDE_MAX:
                held = (size + 1) // 2
                self.kept[:, :held] = self.kept[:, ::2].copy()
                stride *= 2
        self.counts[:] = held, oldest, stride, seen + 1


def _at(ordered: Floats, share: float) -> Floats:
    """Return a quantile of each row of ordered values, interpolated."""
    place = share * (ordered.shape[1] - 1)
    below = int(place)
    above = min(below + 1, ordered.shape[1] - 1)
    found: Floats = ordered[:, below] + (ordered[:, above] - ordered[:, below]) * (place - below)
    return found
