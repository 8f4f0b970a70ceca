"""NAB's windowed Gaussian detector, computed again: the stored scores are in single precision."""

from math import erfc
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WINDOW: Final = 6_400
"""Values of the window (NAB, `windowedGaussian_detector.py`)."""
STEP: Final = 100
"""Rows between two moves of a full window (same file)."""
DIGITS: Final = 12
"""Decimals of the scores in NAB's published files.  The board's figures follow from them: scores
that differ by less are equal there."""
CONSTANT_SD: Final = 1e-6
"""Standard deviation of a constant window (same file)."""


def windowed_gaussian(values: Floats) -> Floats:
    """Return one minus the tail probability of each value under the normal distribution of the
    values before it."""
    score = np.zeros(len(values))
    sums, squares = (np.append(0.0, np.cumsum((values - values[0]) ** power)) for power in (1, 2))
    for row in range(1, len(values)):
        last = row if row <= WINDOW else WINDOW + (row - WINDOW) // STEP * STEP
        first = max(0, last - WINDOW)
        count = last - first
        mean = (sums[last] - sums[first]) / count
        variance = (squares[last] - squares[first]) / count - mean * mean
        sd = max(variance, 0.0) ** 0.5 or CONSTANT_SD
        score[row] = 1.0 - 0.5 * erfc(abs(values[row] - values[0] - mean) / sd / 2**0.5)
    return score.round(DIGITS)
