"""The false-alarm rate observed on a stream, from counts of its observations."""

from math import sqrt
from typing import Final

import msgspec

from ..recalibration import ObservedRate

NORMAL_95: Final = 1.96
"""Half of a 95 % interval, in standard deviations of the normal distribution."""

NOTHING_OBSERVED: Final = (None, None, None)
"""Rate and interval where nothing was observed."""


class AlarmCounts(msgspec.Struct):
    """Counts of observations, of those reported as novel, and of changes between the two."""

    samples: int = 0
    alarms: int = 0
    changes: int = 0
    last: bool = False

    def add(self, *, novel: bool) -> None:
        """Count one observation."""
        self.changes += self.samples > 0 and novel != self.last
        self.samples += 1
        self.alarms += novel
        self.last = novel

    def merge(self, other: "AlarmCounts") -> None:
        """Add the counts of later observations."""
        self.samples += other.samples
        self.alarms += other.alarms
        self.changes += other.changes

    def subtract(self, counts: tuple[int, int, int]) -> None:
        """Subtract samples, alarms and changes, as far as they are still counted."""
        samples, alarms, changes = counts
        self.samples = max(0, self.samples - samples)
        self.alarms = min(self.samples, max(0, self.alarms - alarms))
        self.changes = min(self.samples, max(0, self.changes - changes))


def observed_rate(
    counts: AlarmCounts, rate: float
) -> tuple[tuple[int, int, int, float], ObservedRate]:
    """Return the rate that counts show, and what it follows from."""
    share, low, high = observed_interval(counts)
    made = ObservedRate(
        chosen=rate,
        samples=counts.samples,
        alarms=counts.alarms,
        rate=share,
        low=low,
        high=high,
    )
    return (counts.samples, counts.alarms, counts.changes, rate), made


def observed_interval(counts: AlarmCounts) -> tuple[float, float, float]:
    """Return the rate that counts show, and the ends of its interval."""
    share = counts.alarms / counts.samples
    low, high = wilson_interval(share, effective_count(counts))
    return share, low, high


def effective_count(counts: AlarmCounts) -> float:
    """Return how many independent observations the counts amount to: those of a two-state Markov
    chain with as many changes (Bartlett 1946)."""
    share = counts.alarms / counts.samples
    expected = 2 * counts.samples * share * (1 - share)
    alike = min(max(1 - counts.changes / expected, 0.0), 0.99) if expected else 0.0
    return max(1.0, counts.samples * (1 - alike) / (1 + alike))


def wilson_interval(share: float, count: float) -> tuple[float, float]:
    """Return the 95 % interval of a share that was observed on `count` observations (Wilson
    1927)."""
    square = NORMAL_95**2
    centre = share + square / (2 * count)
    half = NORMAL_95 * sqrt(share * (1 - share) / count + square / (4 * count**2))
    whole = 1 + square / count
    return max(0.0, (centre - half) / whole), min(1.0, (centre + half) / whole)
