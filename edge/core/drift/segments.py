"""Bayesian segmentation: two segments explain the recent past better than one."""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .detector import DetectedChange, Floats, StatefulDetector
from .evidence import SegmentSums
from .regimes import Regimes

WINDOW: Final = 256
"""Samples of the present segment that are compared.  On the development half of TCPD, 200 and 300
change F1 and cover by less than 0.01, 128 costs 0.02."""
WARM_STEPS: Final = 8
"""Samples before the first comparison.  6 to 12 change nothing on that half."""
SEGMENT_MIN: Final = 2
"""Samples of the first segment, at least."""
DELAY_STEPS: Final = 2
"""Samples after one that tell whether it belongs to a spike: bursts of one or two samples are no
change, and a change is reported two steps after it begins, at the earliest."""
SPIKE: Final = 2.5
"""Distance from the median of five samples in units of noise from which one is a spike and counts
as that median (Hampel filter).  2.5 to 4 change F1 and cover by less than 0.01 there."""
LOG_ODDS: Final = 1.0
"""Log of the odds for two segments at which a change is reported, plus the log of the number of
samples compared, which is how many places a change could have.  At 2.5 F1 on that half is 0.01
lower and cover 0.015."""
# Quantiles of a channel's absolute steps, and the same of a standard normal deviate's: the noise is
# the largest estimate, so that steps with a heavy tail do not look like changes.
_QUANTILES: Final = ((0.9, 1.645), (0.95, 1.96), (0.98, 2.326))
# Mean absolute value of a standard normal deviate.
_MEAN_SIZE: Final = math.sqrt(2.0 / math.pi)
# Least noise as a share of the level: rounding of floats.
_NOISE_MIN: Final = 1e-9
WANDERING_LOG_ODDS: Final = (-10.0, 0.0)
"""Log odds of a channel for a level that wanders: at first and at least, at most.  Such a level
explains a shift, too, so it needs a long past to be believed.  From -3 shifts in noise are missed;
without it a wandering sensor raises ten false alarms in 1,000 steps."""
# Places further back than this are compared at a share of their distance, and between them once a
# change is found: fewer places cost a third of the time.  Chosen by hand.
_DENSE: Final = 24
# That share.  Chosen by hand: the places between are compared later.
_COARSE: Final = 0.08
# Samples from the end to each place.
_DISTANCES: Final = np.unique(
    np.concatenate((np.arange(1, _DENSE), _DENSE * (1.0 + _COARSE) ** np.arange(40))).astype(
        np.int64
    )
)
# Places compared around one where none is left out.
_NEIGHBOURS: Final = 3
# Keeps divisors above 0 for channels at zero.
_TINY: Final = 1e-12
# Largest distance from the start of the segment in units of noise: its square stays exact.
_FAR: Final = 1e6
# Differences of larger values could overflow a float; such values count as missing.
_HUGE: Final = 1e150
# Samples on either side of a change that give its size.  Chosen by hand; effect not measured.
_LEVEL_STEPS: Final = 8
# Log odds of a channel from which it is reported with a change.  Chosen by hand.
_AFFECTED: Final = 2.0


class SegmentEvidence(StatefulDetector):
    """Compares in each step "one segment" with "two segments" for every place of a change.

    The evidence of a segment is the mean over three models: values around a level, a random walk
    with a drift, and a level that wanders (see `evidence`).  It is the retrospective form of
    Bayesian online change point detection (Adams and MacKay 2007, "Bayesian online changepoint
    detection", arXiv 0710.3742; Fearnhead 2006, "Exact and efficient Bayesian inference for
    multiple changepoint problems", section 2): the present segment is split once, at the most
    likely place, and the second part is the next segment.  A channel takes part in a change with
    probability 1/sqrt(C) (the mixture statistic of Xie and Siegmund 2013, "Sequential multi-sensor
    change-point detection", Annals of Statistics 41, section 3).  Spikes of
    one or two samples are removed.  A report may come long after a change, and names its start.
    Memory: 256 samples of each channel.  Cost: O(256 C), about 0.3 ms a step for one channel and
    0.5 ms for five.
    """

    def __init__(self, channels: int, regimes: Regimes | None = None) -> None:
        self._channels = channels
        self._regimes = regimes or Regimes(channels)
        # Filtered values, the newest last; the newest values before the filter.
        self._window = np.zeros((WINDOW, channels))
        self._raw = np.full((2 * DELAY_STEPS + 1, channels), np.nan)
        # Noise of each channel's steps, infinite until it is known.
        self._noise = np.full(channels, np.inf)
        # Log odds of each channel for a level that wanders, from its past segments.
        self._wandering = np.full(channels, WANDERING_LOG_ODDS[0])
        # Samples seen, and filtered samples of the present segment in the window.
        self._counts = np.zeros(2, np.int64)
        self._arrays: dict[str, NDArray[Any]] = {
            **self._regimes.arrays(),
            "window": self._window,
            "raw": self._raw,
            "noise": self._noise,
            "wandering": self._wandering,
            "counts": self._counts,
        }
        # Log probability of a channel to take part in a change, and not to.
        share = 1.0 / math.sqrt(channels)
        self._share = math.log(share)
        self._spared = math.log1p(-share) if channels > 1 else -math.inf

    def step(self, values: Floats) -> tuple[DetectedChange, ...]:
        """Update with one sample."""
        if values.shape != (self._channels,):
            raise ValueError(
                f"detecting changes: expected a sample [{self._channels}], found {values.shape}"
            )
        self._add(values)
        length = int(self._counts[1])
        if length < max(WARM_STEPS, 2 * SEGMENT_MIN):
            return ()
        known = self._known()
        noise = self._noise
        noise[:] = _noise_of(known)
        spread = np.maximum(np.ptp(known, axis=0) / noise / 2.0, 1.0)
        present = known[-length:]
        unit = np.clip((present - present[0]) / noise, -_FAR, _FAR)
        sums = SegmentSums(unit, spread, self._wandering)
        places = length - _DISTANCES[length - SEGMENT_MIN >= _DISTANCES]
        place, odds = self._most_likely(sums, places)
        if odds <= LOG_ODDS + math.log(length):
            return ()
        near = np.abs(places - place) <= 1
        if near.sum() < _NEIGHBOURS:
            gap = int(_COARSE * (length - place)) + 1
            first, last = max(SEGMENT_MIN, place - gap), min(length - 1, place + gap)
            place, _ = self._most_likely(sums, np.arange(first, last + 1))
        return (self._report(present, place, sums),)

    def _most_likely(self, sums: SegmentSums, places: NDArray[np.int64]) -> tuple[int, float]:
        """Return the place with the highest odds for two segments, and their log."""
        odds = np.logaddexp(self._spared, self._share + sums.gains(places)).sum(axis=1)
        best = int(np.argmax(odds))
        return int(places[best]), float(odds[best])

    def watch(self, values: Floats) -> None:
        """Update with one sample and compare nothing."""
        self._add(values)
        if self._counts[1] >= WARM_STEPS:
            self._noise[:] = _noise_of(self._known())

    def _known(self) -> Floats:
        return self._window[-min(int(self._counts[0]) - DELAY_STEPS, WINDOW) :]

    def _add(self, values: Floats) -> None:
        """Add a sample to the window; of a spike the median of its neighbourhood."""
        raw, window = self._raw, self._window
        missing = ~(np.abs(values) < _HUGE)
        now = np.where(missing, raw[-1], values)
        new = np.isnan(raw[-1]) & ~missing
        if new.any():
            # A channel that begins now has had this value all the time.
            raw[:, new] = now[new]
            window[:, new] = now[new]
        raw[:-1] = raw[1:]
        raw[-1] = now
        self._counts[0] += 1
        if self._counts[0] <= DELAY_STEPS:
            return
        middle = np.sort(raw, axis=0)[DELAY_STEPS]
        centre = raw[DELAY_STEPS]
        spike = np.abs(centre - middle) > SPIKE * self._noise
        window[:-1] = window[1:]
        window[-1] = np.nan_to_num(np.where(spike, middle, centre))
        self._counts[1] = min(int(self._counts[1]) + 1, WINDOW)

    def begin(self, start: int) -> None:
        """Let the present segment begin with the sample of this number, if it is in the window."""
        # Below 0 while the filter still holds samples from before the start back.
        length = int(self._counts[0]) - DELAY_STEPS - start
        self._counts[1] = min(int(self._counts[1]), length)

    def _report(self, present: Floats, place: int, sums: SegmentSums) -> DetectedChange:
        """Describe the change and begin the next segment with it."""
        length = len(present)
        gains = sums.gains(np.array([place]))[0]
        self._wandering += sums.wandering_odds(place)
        np.clip(self._wandering, *WANDERING_LOG_ODDS, out=self._wandering)
        self._counts[1] = length - place
        before = np.median(present[max(0, place - _LEVEL_STEPS) : place], axis=0)
        after = np.median(present[place : place + _LEVEL_STEPS], axis=0)
        affected = gains > min(_AFFECTED, float(gains.max()) / 2.0)
        larger = np.maximum(np.maximum(np.abs(before), np.abs(after)), _TINY)
        shares = np.where(affected, (after - before) / larger, 0.0)
        shares = np.clip(shares, -1.0, 1.0)
        step = int(self._counts[0]) - 1
        return DetectedChange(
            step=step,
            start=step + 1 - DELAY_STEPS - (length - place),
            severity=float(np.abs(shares[affected]).mean()),
            channels=tuple(np.flatnonzero(affected).tolist()),
            kind="level",
            regime=self._regimes.enter(shares),
        )


def _noise_of(known: Floats) -> Floats:
    """Return the noise [C] of values [n, C] from their steps; above 0."""
    sizes = np.abs(np.diff(known, axis=0))
    sizes.sort(axis=0)
    noise = sizes[: math.ceil(_QUANTILES[-1][0] * (len(sizes) - 1)) + 1].mean(axis=0) / _MEAN_SIZE
    for share, deviate in _QUANTILES:
        np.maximum(noise, sizes[math.ceil(share * (len(sizes) - 1))] / deviate, out=noise)
    np.maximum(noise, _NOISE_MIN * np.abs(known[-1]) + _TINY, out=noise)
    return np.asarray(noise)
