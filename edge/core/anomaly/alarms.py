"""From scores to limits and alarms at a chosen rate of false alarms per day."""

import math
from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .windows import LONGEST

# Scores at which peaks are counted: 6 % apart, up to 800.  Chosen by hand: finer ones change limits
# by less than their own uncertainty.
_EDGES: Final = 0.5 * 1.06 ** np.arange(128)
_LOG_EDGES: Final = np.log(_EDGES)
# Scores, and log10 of the rate of peaks of at least that score per sample: measured on the parts of
# half of NAB without an anomaly (141,600 samples).  On the other half it is the same within 0.1.
_PRIOR: Final = np.array(
    [
        [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 800.0],
        [-2.60, -2.81, -3.07, -3.33, -3.57, -3.82, -4.05, -4.20],
    ]
)
# Samples that the development series count for.  Fewer let a few peaks raise the limit of a young
# series: at a chosen 0.143 a day the five-minute series of half of NAB have 0.127 false alarms a
# day with 30,000, 0.104 with 10,000 and 0.081 with 3,000.
_PRIOR_STEPS: Final = 30_000
# One peak in so many samples is a rate that the development series attest: a week of five-minute
# samples.
_ATTESTED_STEPS: Final = 2_016
LIMIT_MIN: Final = 2.0
"""Lowest limit: the tail of a normal distribution at one in a hundred.  Slow series don't reach the
chosen rate then: below it they would be in alarm most of the time."""
CLEAR_SHARE: Final = 0.4
"""Share of the limit below which a score counts as quiet again.  On NAB 0.4 to 0.8 change the score
by less than 0.3."""
SAMPLES_PER_DAY: Final = 288
"""Samples in a day of a series without times, and before its times say otherwise: those of
five-minute samples."""
_DAY_NS: Final = 86_400 * 10**9  # nanoseconds in a day


class AlarmGate:
    """Calibrates scores by peaks of the past and raises alarms at a chosen rate.

    A day is 24 hours of measurement: a pause counts as 64 samples at most.

    The rate of peaks of at least a score per sample is that on development series, weighted as
    30,000 samples, joined with the series' own count.  The limit follows from it and the chosen
    rate, but demands no rate below one peak in 2,016 samples or, later, in
    as many samples as the series had: a shorter past can't attest a lower rate.  An alarm starts
    when a score reaches the limit.  It is over after as many quiet samples as the longest window
    holds: earlier, that window still shows what raised it.
    """

    def __init__(self, false_alarms_per_day: float) -> None:
        self._rate = false_alarms_per_day
        self._prior = 10.0 ** np.interp(_LOG_EDGES, np.log(_PRIOR[0]), _PRIOR[1])
        self.peaks = np.zeros(len(_EDGES))
        # Samples seen, quiet samples since the last alarm, samples since a score at an edge.
        self.counts: NDArray[np.int64] = np.array([0, LONGEST, LONGEST])
        # Latest time less the time that has passed, and the latest time; zeros before a known time.
        self.times: NDArray[np.int64] = np.zeros(2, np.int64)
        self.peak = np.zeros(1)
        # Rate of peaks by edge, log10; the limit of the score.  Both are updated now and then.
        self.log_rates, self.limits = np.zeros(len(_EDGES)), np.zeros(1)
        self._refresh()

    def step(self, score: float, at_ns: int) -> tuple[float, bool, bool]:
        """Return the limit of a score, whether it is in alarm, and whether one starts."""
        seen, quiet, low = self.counts.tolist()
        self._record_time(at_ns, seen)
        if seen % LONGEST == 0:
            self._refresh()
        alarm = score >= self.limit
        raised = alarm and quiet >= LONGEST
        quiet = _count_quiet(score, self.limit, quiet)
        low = self._record_peak(score, low)
        self.counts[:] = seen + 1, quiet, low
        return self.limit, alarm, raised

    @property
    def limit(self) -> float:
        """The score from which the series is in alarm."""
        return float(self.limits[0])

    def _record_time(self, at_ns: int, seen: int) -> None:
        """Let time pass until this sample: at most 64 mean intervals, and as much again as has
        passed so far, so that no wrong time decides how many samples a day has.

        A sample that is late by less than what has passed is out of order; a later one shows that
        the clock was put back.
        """
        if not at_ns:
            return
        start, latest = self.times.tolist()
        passed = latest - start if latest else _DAY_NS // SAMPLES_PER_DAY
        ahead = at_ns - latest if latest else 0
        if -passed <= ahead < 0:
            return
        counted = min(max(ahead, 0), passed, LONGEST * passed // max(seen, 1))
        self.times[:] = at_ns - passed - counted, at_ns

    def _record_peak(self, score: float, low: int) -> int:
        """Count a peak at every edge that it reaches, once; return the samples since a peak."""
        if score < _EDGES[0]:
            return min(low + 1, LONGEST)
        if low >= LONGEST:
            self.peak[0] = 0.0
        if score > self.peak[0]:
            first, last = np.searchsorted(_EDGES, (self.peak[0], score), "right")
            self.peaks[first:last] += 1.0
            self.peak[0] = score
        return 0

    def _refresh(self) -> None:
        seen = int(self.counts[0])
        rates = (_PRIOR_STEPS * self._prior + self.peaks) / (_PRIOR_STEPS + seen)
        self.log_rates[:] = np.log10(rates)
        attested = 1.0 / max(seen, _ATTESTED_STEPS)
        wanted = math.log10(min(1.0, max(self._rate / self._samples_per_day(), attested)))
        reached = np.flatnonzero(self.log_rates <= wanted)
        place = int(reached[0]) if len(reached) else len(_EDGES) - 1
        self.limits[0] = max(float(_EDGES[place]), LIMIT_MIN)

    def _samples_per_day(self) -> float:
        passed = int(self.times[1]) - int(self.times[0])
        return (int(self.counts[0]) + 1) * _DAY_NS / passed if passed > 0 else SAMPLES_PER_DAY

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that hold everything learned, themselves."""
        return {
            "peaks": self.peaks,
            "counts": self.counts,
            "times": self.times,
            "peak": self.peak,
            "log_rates": self.log_rates,
            "limits": self.limits,
        }


def _count_quiet(score: float, limit: float, quiet: int) -> int:
    """Return the quiet samples since the last alarm, `LONGEST` if it is over."""
    if quiet >= LONGEST:
        return 0 if score >= limit else LONGEST
    return 0 if score >= CLEAR_SHARE * limit else quiet + 1


def alarm_starts(scores: Iterable[float], limit: float) -> Iterator[int]:
    """Yield the places at which alarms start at a fixed limit of the score, as in `AlarmGate`."""
    quiet = LONGEST
    for place, score in enumerate(scores):
        if score >= limit and quiet >= LONGEST:
            yield place
        quiet = _count_quiet(score, limit, quiet)
