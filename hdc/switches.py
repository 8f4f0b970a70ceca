"""Whether a stream has switched: its newest window against the observations just before it.

Drift is slow and a switch to something new is abrupt.  So the mean displacement of a window from
its concepts, in the coordinates of the plane, is compared with that of the two windows before it;
what a stream has drifted since enrolment cancels out.  It is a two-sample Hotelling test (Hotelling
1931) with one variance per coordinate, calibrated on held-out samples in time order, so that daily
cycles and the like count as usual.
"""

from math import isqrt, sqrt

import msgspec
import numpy as np

from .blocks import Packed
from .geometry import Codes
from .integers import ONE, Ints, log2, mean
from .memory import Memory
from .normal import normal_quantile
from .prototypes import Key
from .time_blocks import TimeOrder
from .time_statistics import WINDOW, TimeStatistics

LEAD = 2 * WINDOW
"""Samples before the window that it is compared with: the runtime keeps three windows of a stream.
Chosen by hand to fit them."""

SPAN = WINDOW + LEAD  # the runtime keeps as many observations of a stream

WINDOWS_MIN = 4 * WINDOW
"""Fewest windows that calibrate the test; with fewer it is left out.  Chosen by hand."""

DISPLACEMENT_MAX = 1 << 16
"""Farthest displacement of a sample along an axis that counts, 1,024 deviations: sums over 128 axes
of squared changes, times 1,024, then stay below 2^63.  Novelty is long certain."""

RAISED_SCORE = 1.0
"""A switch counts only if the window's own score is this many standard errors above the level: a
switch to another known thing is no novelty.  On the development sets of
benchmarks/trust/time_order.py, 1.64 finds up to 3 points fewer, 0 raises false alarms."""

ALONE = 1.5
"""A test that is significant alone counts at the rate divided by this: two tests share it.  On
SKAB, ELEC2 and ETTh1 in benchmarks/trust/time_order.py, 1 has more windows outside (ELEC2's that
stay within what enrolment showed 2.1 instead of 1.8 %) and finds no more, 2 finds a point less."""

TOGETHER = 3
"""Two tests that are both significant at this many times the rate count as one at the rate: of
independent ones 9 in 10,000 are, at a rate of 1 %.  On the same sets this finds half a point more
than tests alone; 4 and 5 find no more."""


class SwitchStatistics(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """How much displacements change within the known, in whole numbers.

    variances: int64 [r], of the change per coordinate.  centre, between: mean over blocks of the
    logarithm of the squared change, 4,096 for a factor of two, and its deviation between them.
    residuals: sorted logarithms less the mean of their block.
    """

    variances: Ints
    centre: int
    between: int
    residuals: Ints

    def pack(self, name: str) -> Packed:
        """Return all numbers as arrays whose names start with `name`."""
        return {
            f"{name}.variances": self.variances,
            f"{name}.numbers": np.asarray([self.centre, self.between], dtype=np.int64),
            f"{name}.residuals": self.residuals,
        }

    def p_value(self, change: Ints, rate: float) -> float:
        """Return the p-value of a change int64 [r] as `changes` computes it."""
        above = float(_logarithms(change[None], self.variances)[0] - self.centre)
        found = self.residuals
        place = min(len(found) - 1, int((1 - rate) * (len(found) + 1)))
        limit = float(found[place])
        if above > 0 and limit > 0:
            wide = normal_quantile(rate) * self.between
            above *= limit / sqrt(limit * limit + wide * wide)
        at_least = len(found) - int(found.searchsorted(above, side="left"))
        return (1 + at_least) / (1 + len(found))


def window_limit(statistics: TimeStatistics, rate: float) -> float:
    """Return how far above the enrolled level a window of one class lies at least when its score
    alone is outside, in within-block deviations; of a stream that has shown no level yet."""
    variance = statistics.window_variance_of(WINDOW) + statistics.initial.variance
    return normal_quantile(rate / ALONE) * sqrt(variance) / statistics.spread


def share_rate(score: float, change: float | None, *, consecutive: bool = True) -> float:
    """Return the p-value of a window from those of its score and of its change: each counts alone
    at less than the rate, or both together at more.

    change: None if it was not judged.  consecutive: False if the samples that calibrate it lie
    farther apart in time than those of the stream.  They do not show how much windows of the stream
    change, so that a change only supports the score: with one fact in four on ELEC2, 7.1 instead of
    8.8 % of windows are outside, and as many switches are found.
    """
    if change is None:
        return min(1.0, ALONE * score)
    alone = min(score, change) if consecutive else score
    return min(1.0, ALONE * alone, max(score, change) / TOGETHER)


def displacements(memory: Memory, key: Key, codes: Codes, order: TimeOrder) -> Ints:
    """Return samples' displacements int64 [n, r] from their concept without their block."""
    made = np.empty((len(codes), memory.plane_width), dtype=np.int64)
    for scored, left_out in order.folds():
        made[scored] = memory.displacement(key, codes[scored], codes[left_out])
    return made


def changes(displaced: Ints) -> Ints:
    """Return, for each window that has a lead, how its mean displacement differs from that of the
    lead: int64 [n - 47, r], 32 a unit.  displaced: int64 [n, r], in the order of time."""
    within = np.clip(displaced, -DISPLACEMENT_MAX, DISPLACEMENT_MAX)
    edges = np.concatenate([np.zeros((1, within.shape[1]), np.int64), within.cumsum(axis=0)])
    whole = edges[SPAN:] - edges[:-SPAN]
    window = edges[SPAN:] - edges[LEAD:-WINDOW]
    return np.asarray(window * (LEAD // WINDOW + 1) - whole)


def switch_statistics(displaced: Ints, orders: list[TimeOrder]) -> SwitchStatistics | None:
    """Return the statistics of a domain's held-out samples; None if there are too few.

    displaced: int64 [n, r], in the order of the concepts' orders.  A block is judged with the
    variances of the others.
    """
    place = np.concatenate([order.place for order in orders])
    in_time = np.argsort(place, kind="stable")
    block = np.concatenate([order.block for order in orders])[in_time][SPAN - 1 :]
    if len(block) < WINDOWS_MIN or not displaced.shape[1]:
        return None
    moved = changes(displaced[in_time])
    squares = np.square(moved)
    found = np.empty(len(moved), dtype=np.int64)
    names, block = np.unique(block, return_inverse=True)
    if len(names) < 2:
        return None
    for at in range(len(names)):
        own = block == at
        found[own] = _logarithms(moved[own], _variances(squares[~own]))
    sums = np.zeros(len(names), dtype=np.int64)
    np.add.at(sums, block, found)
    means = sums // np.bincount(block)
    centre = int(means.sum()) // len(means)
    apart = int(np.square(means - centre).sum()) // (len(means) - 1)
    return SwitchStatistics(
        variances=_variances(squares),
        centre=centre,
        between=isqrt(apart),
        residuals=np.sort(found - means[block]),
    )


def _variances(squares: Ints) -> Ints:
    """Return variances int64 [r], shrunk towards their mean: overlapping windows are few."""
    count, width = squares.shape
    own = mean(squares.sum(axis=0), count)
    independent = max(1, count // SPAN)
    together = int(own.sum()) // width
    shrunk = (independent * own + width * together) // (independent + width)
    return np.asarray(np.maximum(shrunk, 1))


def _logarithms(moved: Ints, variances: Ints) -> Ints:
    """Return 4,096 x the binary logarithm of the sum of squared changes over their variances."""
    ratios = np.square(moved) * ONE // variances
    return log2(np.maximum(ratios.sum(axis=1), 1))
