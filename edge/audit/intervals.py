"""Areas under the curve of an attack, and bootstrap intervals."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESAMPLES: Final = 1_000
"""Bootstrap samples: the ends of a 95 % interval then rest on 25 samples each."""

LOW_PERCENT, HIGH_PERCENT = 2.5, 97.5
"""Ends of the usual 95 % interval."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    @property
    def holds_zero(self) -> bool:
        """Whether zero lies in the interval."""
        return self.low <= 0.0 <= self.high


@dataclass(frozen=True, slots=True)
class AreaComparison:
    """The areas of one attack on two models, and the first less the second."""

    served: Interval
    twin: Interval
    difference: Interval


def area(members: Floats, others: Floats) -> float:
    """Return the probability that a member scores above another, ties counted half: the area under
    the ROC curve (Mann & Whitney 1947)."""
    if not len(members) or not len(others):
        return float("nan")
    pooled = np.concatenate([members, others])
    _, places, counts = np.unique(pooled, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[places]
    total = ranks[: len(members)].sum() - len(members) * (len(members) + 1) / 2
    return float(total / (len(members) * len(others)))


def compare_areas(served: Floats, twin: Floats, others: Floats, seed: int) -> AreaComparison:
    """Compare an attack's scores of the same items under two models, against others' scores.

    served, twin: [n], in the same order.  others: [m].  Items and others are resampled (percentile
    bootstrap, Efron & Tibshirani 1993, section 13.3); the difference is paired.
    """
    random = np.random.default_rng(seed)
    drawn = np.empty((RESAMPLES, 3))
    for row in drawn:
        items = random.integers(0, len(served), len(served))
        rest = others[random.integers(0, len(others), len(others))]
        first, second = area(served[items], rest), area(twin[items], rest)
        row[:] = first, second, first - second
    values = area(served, others), area(twin, others)
    ends = np.percentile(drawn, (LOW_PERCENT, HIGH_PERCENT), axis=0)
    whole = (*values, values[0] - values[1])
    found = [
        Interval(value, float(low), float(high))
        for value, low, high in zip(whole, *ends, strict=True)
    ]
    return AreaComparison(*found)


def mean_interval(values: Floats, seed: int) -> Interval:
    """Return the mean of values [n], at least one, with its interval."""
    random = np.random.default_rng(seed)
    drawn = values[random.integers(0, len(values), (RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.percentile(drawn, (LOW_PERCENT, HIGH_PERCENT))
    return Interval(float(values.mean()), float(low), float(high))
