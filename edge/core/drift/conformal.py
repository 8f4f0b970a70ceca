"""A conformal test for drift of the whole stream, with a bounded false alarm rate."""

from math import log
from typing import Final

import numpy as np

from .detector import DetectedChange, Floats, StatefulDetector
from .regimes import Regimes
from .step_scale import StepScale

STEPS_PER_FALSE_ALARM: Final = 400
"""Lower bound of the mean steps to a false alarm while scores are exchangeable.  Chosen by hand;
tests/edge/core/drift/test_conformal.py holds it."""
REFERENCE_MAX: Final = 2_000
"""Scores in the reference; the oldest is replaced.  Chosen by hand; effect not measured."""
REFERENCE_MIN: Final = 100
"""Scores before the first bet: ranks among fewer are too coarse.  Chosen by hand; effect not
measured."""

# Rank of the move that is the score: three channels that move at once, as in `joint_jump`.
_RANK: Final = 3
# Share of the bet on a p-value below _RARE, where the factor reaches the alarm at once; the rest is
# on the mixture of powers.  Chosen by hand; effect not measured.
_SHARP: Final = 0.5
# p-value at which the sharp bet alone raises the alarm.
_RARE: Final = _SHARP / STEPS_PER_FALSE_ALARM
# Ratio to the largest score from which a score stays out of the reference.  Chosen by hand; effect
# not measured.
_OUTLYING: Final = 1.25
# Movement since the change began, in mean steps, from which a channel is reported with it.  Chosen
# by hand; effect not measured.
_AFFECTED: Final = 4.0


class ConformalCusum(StatefulDetector):
    """A conformal e-CUSUM: evidence against "this sample is like the ones before".

    The score is the third largest move of a channel, in mean steps of the channel.  Its rank among
    the previous scores gives a p-value, uniform while scores are exchangeable (Vovk et al. 2021,
    "Retrain or not retrain: conformal test martingales for change-point detection", COPA, section
    2); a hash of the step breaks ties.  A bet against p gives a factor e of mean 1: one half on p
    below half the chosen rate, one half on the mixture of p^(k - 1) k over all k.  The statistic M
    = e max(1, M) raises an alarm at M >= STEPS_PER_FALSE_ALARM and restarts; the mean time to a
    false alarm is at least that (Shin, Ramdas and Rinaldo 2024, "E-detectors: a nonparametric
    framework for sequential change detection", NEJSDS 2(2), Theorem 2.4).  The guarantee is exact
    while the reference holds every score since the start; later it is a sliding window.  A score a
    quarter above the largest one stays out of the reference, or one change would hide the next.
    With fewer than 800 scores no single sample is sufficient evidence.  Streams with a daily cycle
    are not exchangeable: `python -m benchmarks forecast` measures the rate there.  Cost: about 15
    µs a step for 30 channels."""

    def __init__(self, channels: int) -> None:
        self._movement = StepScale(channels)
        self._regimes = Regimes(channels)
        self._scores = np.full(REFERENCE_MAX, np.nan)
        self._sorted = np.full(REFERENCE_MAX, np.inf)
        # Scores kept so far, and steps since the evidence was last at 1.
        self._counts = np.zeros(2, np.int64)
        self._evidence = np.ones(1)
        self._origin = np.full(channels, np.nan)
        self._arrays = {
            **self._movement.arrays(),
            **self._regimes.arrays(),
            "scores": self._scores,
            "sorted": self._sorted,
            "counts": self._counts,
            "evidence": self._evidence,
            "origin": self._origin,
        }
        self._rank = min(_RANK, channels)

    def step(self, values: Floats) -> tuple[DetectedChange, ...]:
        """Update with one sample."""
        movement = self._movement
        if not movement.update(values):
            return ()
        units = movement.sizes / movement.scale
        units.partition(movement.channels - self._rank)
        score = float(units[movement.channels - self._rank])
        before = self._evidence[0]
        if before <= 1.0:
            np.subtract(movement.last, movement.moves, out=self._origin)
            self._counts[1] = 0
        self._evidence[0] = max(1.0, before) * self._bet(score)
        self._counts[1] += 1
        if self._evidence[0] < STEPS_PER_FALSE_ALARM:
            return ()
        return (self._report(),)

    def _bet(self, score: float) -> float:
        """Return the factor e for a score, and add the score to the reference."""
        count = min(int(self._counts[0]), REFERENCE_MAX)
        ordered = self._sorted[:count]
        place, above = int(ordered.searchsorted(score)), int(ordered.searchsorted(score, "right"))
        chance = _hashed(int(self._movement.steps[0])) * (above - place + 1)
        p = (count - above + chance) / (count + 1)
        if count < REFERENCE_MIN:
            self._keep(score, place, count)
            return 1.0
        if score <= _OUTLYING * self._sorted[count - 1]:
            self._keep(score, place, count)
        log_p = log(max(p, 1e-9))
        mixture = (1.0 - p + p * log_p) / (p * log_p * log_p) if p < 0.999 else 0.5
        return _SHARP / _RARE * (p <= _RARE) + (1.0 - _SHARP) * mixture

    def _keep(self, score: float, place: int, count: int) -> None:
        """Insert a score into the sorted reference; a full one loses its oldest score."""
        ordered = self._sorted
        slot = int(self._counts[0]) % REFERENCE_MAX
        if count == REFERENCE_MAX:
            oldest = int(ordered.searchsorted(self._scores[slot]))
            ordered[oldest:-1] = ordered[oldest + 1 :]
            count -= 1
            place -= oldest < place
        ordered[place + 1 : count + 1] = ordered[place:count]
        ordered[place] = self._scores[slot] = score
        self._counts[0] += 1

    def _report(self) -> DetectedChange:
        """Describe the change since the evidence was last at 1, and restart."""
        movement = self._movement
        self._evidence[0] = 1.0
        shares = movement.relative(self._origin, movement.last)
        affected = np.abs(movement.last - self._origin) > _AFFECTED * movement.scale
        shares[~affected] = 0.0
        movement.rescale(affected)
        step = int(movement.steps[0]) - 1
        severity = float(np.abs(shares[affected]).mean()) if affected.any() else 0.0
        channels = tuple(np.flatnonzero(affected).tolist())
        start = step + 1 - int(self._counts[1])
        return DetectedChange(
            step=step,
            start=start,
            severity=severity,
            channels=channels,
            kind="drift",
            regime=self._regimes.enter(shares),
        )


def _hashed(step: int) -> float:
    """Return a pseudo-random number between 0 and 1 for a step: Knuth's multiplicative hash."""
    return ((step * 2_654_435_761) % 2**32 + 0.5) / 2**32
