"""How held-out scores vary in time, in whole numbers, and the limits that follow.

Scores are deviations from the mean of samples nearest to the same concept, 1,024 a standard
deviation.  The level is their mean.  A later sample differs from it by the scatter within a block
and by how far blocks differ from each other; a window of samples by the variance of real windows,
which neighbours that are alike make larger than that of independent samples.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, isqrt, sqrt

import msgspec
import numpy as np

from .blocks import Packed
from .integers import ONE, Ints
from .normal import normal_quantile
from .time_blocks import TimeOrder

WINDOW = 16
"""Samples of the windows whose variance is measured: the runtime's default."""

CLIP_PER_MILLE = 10
"""Share of the scores that is clipped in windows, in thousandths, so that one outlier does not
outweigh the others: what exceeds the limit at the default rate."""

CLIP_ERRORS = 3
"""Scores count up to this many standard errors of the window in any case: more than any limit of a
window, which one of clipped scores would otherwise never exceed where enrolled blocks differ
much."""

CORRELATION_MAX = 973
"""Highest correlation of neighbours assumed, in 1,024ths: 0.95.  Beyond it the variance of a window
is that of a sample in any case."""

FLOOR_SHARE = 4
"""The level is never taken as known better than to one in this many within-block deviations: drift
goes on.  Chosen among 2, 4 and 10 on the development sets of benchmarks/trust/time_order.py: 2
loses up to 9 points of detection, 10 gains none."""

PART_SAMPLES_MIN = 4
"""Samples of a class in a block from which its own shift is estimated: with fewer its mean says
little.  Chosen by hand; effect not measured."""

T_QUANTILES = (31821, 6965, 4541, 3747, 3365, 3143, 2998, 2896, 2821, 2764)
"""Upper 1 % quantiles of Student's t for 1 to 10 degrees of freedom, in thousandths: a spread that
is estimated from few blocks may be larger."""

NORMAL_QUANTILE = 2326  # the same of the normal distribution

NANOSECONDS = 10**9  # in a second
DAY_S = 86_400  # seconds in a day
HOUR_S = 3600  # seconds in an hour
MINUTE_S = 60  # seconds in a minute

SOKAL_TIMES = 5
"""Autocorrelation times over which autocorrelations are summed: more adds noise, less leaves some
out.  Sokal (1989) recommends 4 to 10."""

TAIL_SHARE = 10
"""Scores among the highest tenth are what limits depend on: how alike they are in time decides how
many independent ones there are."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TimeStatistics:
    """How a domain's held-out scores vary in time; all numbers are whole, 1,024 a deviation.

    level: mean of the clipped scores.  clip: where they are clipped.  variance: within blocks.
    correlation: of neighbours in time, 1,024 for 1.  window_variance: of means of 16 consecutive
    scores within blocks.  between: deviation between blocks, widened for their small number.
    class_variance: of the shift of single classes in a block.  residuals: sorted scores less the
    mean of the others in their block.  blocks, block_samples: number and length of those held out.
    effective: independent samples that the scores amount to.  pace_ns: median time between
    samples, 0 if unknown.  interval_ns, sources: as in `TimeOrder`; they decide nothing.
    autocorrelation: integrated autocorrelation time of the scores within blocks, in samples.
    """

    level: int
    clip: int
    variance: int
    correlation: int
    window_variance: int
    between: int
    class_variance: int
    residuals: Ints
    blocks: int
    block_samples: int
    effective: int
    pace_ns: int
    interval_ns: int = 0
    sources: int = 0
    autocorrelation: float = 1.0
    _quantiles: dict[float, float] = field(default_factory=dict, repr=False)
    _variances: dict[int, float] = field(default_factory=dict, repr=False)

    def pack(self, name: str) -> Packed:
        """Return all numbers as arrays whose names start with `name`."""
        numbers = (
            *(self.level, self.clip, self.variance, self.correlation, self.window_variance),
            *(self.between, self.class_variance, self.blocks, self.block_samples, self.effective),
            self.pace_ns,
        )
        return {
            f"{name}.numbers": np.asarray(numbers, dtype=np.int64),
            f"{name}.residuals": self.residuals,
        }

    @cached_property
    def spread(self) -> float:
        """The deviation within blocks, in standard deviations."""
        return sqrt(self.variance) / ONE

    @cached_property
    def initial(self) -> "Level":
        """The level before a stream has shown its own."""
        floor = self.spread / FLOOR_SHARE
        wider = max(self.between / ONE, floor)
        return Level(self.level / ONE, wider * wider)

    def quantile(self, rate: float) -> float:
        """Return the conformal limit of a score above its level, in standard deviations."""
        found = self._quantiles.get(rate)
        if found is None:
            count = len(self.residuals)
            beyond = max(0, int((rate * (1 + self.effective) - 1) * count / self.effective))
            found = int(self.residuals[count - 1 - min(beyond, count - 1)]) / ONE
            self._quantiles[rate] = found
        return found

    def p_value(self, above: float) -> float:
        """Return the conformal p-value of a score above its level, among the independent samples
        that the residuals amount to."""
        count = len(self.residuals)
        # Residuals are whole: those from a number on are those from the next whole number on.
        at_least = count - bisect_left(self.residuals.data, ceil(above * ONE))
        return (1 + at_least * self.effective / count) / (1 + self.effective)

    def window_variance_of(self, size: int) -> float:
        """Return the variance of the mean of `size` consecutive scores, in squared deviations."""
        found = self._variances.get(size)
        if found is None:
            own = _mean_variance(self.variance, self.correlation, size)
            found = max(own, self.window_variance * WINDOW // size) / ONE**2
            self._variances[size] = found
        return found


def in_words(samples: int, interval_ns: int) -> str:
    """Return a number of samples, with the time that they take at this pace if it is known."""
    seconds = samples * interval_ns // NANOSECONDS
    for size, name in ((DAY_S, "days"), (HOUR_S, "hours"), (MINUTE_S, "minutes"), (1, "seconds")):
        if seconds >= 2 * size:
            return f"{samples} (about {-(-seconds // size)} {name})"
    return str(samples)


class Level(msgspec.Struct, frozen=True):
    """The level of a stream's scores, in standard deviations, and the variance of what is not known
    of it.

    window_variance: of means of 16 consecutive scores, measured on the stream, 0 if it was not.
    """

    centre: float
    variance: float
    window_variance: float = 0.0


def sample_p_value(
    statistics: TimeStatistics, deviation: float, level: Level, rate: float
) -> float:
    """Return the conformal p-value of a score: at most `rate` if it lies beyond the limit.

    The limit widens the quantile of held-out scores by the uncertainty of the level.
    """
    above = deviation - level.centre
    quantile = statistics.quantile(rate)
    if above > 0 and quantile > 0:
        wide = normal_quantile(rate)
        above *= quantile / sqrt(quantile * quantile + wide * wide * level.variance)
    return statistics.p_value(above)


def window_score(
    statistics: TimeStatistics, deviations: Sequence[float], shares: float, level: Level
) -> float:
    """Return a window's mean above the level, in standard errors.

    shares: sum of the squared shares of its concepts.
    """
    return window_scores(statistics, deviations, shares, level)[0]


def window_scores(
    statistics: TimeStatistics, deviations: Sequence[float], shares: float, level: Level
) -> tuple[float, float]:
    """Return `window_score` at a level, and as it is if the level is certain."""
    size = len(deviations)
    measured = level.window_variance * WINDOW / size
    own = max(statistics.window_variance_of(size), measured)
    between_classes = shares * statistics.class_variance / ONE**2
    error = sqrt(own + level.variance + between_classes)
    clip = level.centre + max((statistics.clip - statistics.level) / ONE, CLIP_ERRORS * error)
    total = 0.0
    for deviation in deviations:
        # A call of `min` would take three times as long.
        total += clip if clip < deviation else deviation  # noqa: FURB136 - see above
    above = total / size - level.centre
    return above / error, above / sqrt(own + 0.0 + between_classes)


def time_statistics(orders: Sequence[TimeOrder], deviations: Ints) -> TimeStatistics:
    """Return the statistics of a domain's held-out scores, in the order of its concepts' orders.

    deviations: int64 [n], 1,024 a standard deviation.  The result does not depend on the order of
    the samples.
    """
    place = np.concatenate([order.place for order in orders])
    in_time = np.argsort(place, kind="stable")
    block = np.concatenate([order.block for order in orders])[in_time]
    label = np.repeat(np.arange(len(orders)), [len(order.place) for order in orders])[in_time]
    scores = deviations[in_time]
    count = len(scores)
    clip = int(np.sort(scores)[min(count, -(-(1000 - CLIP_PER_MILLE) * count // 1000)) - 1])
    clipped = np.minimum(scores, clip)
    level = _mean(clipped)
    blocks, block = np.unique(block, return_inverse=True)
    means = np.asarray([_mean(clipped[block == at]) for at in range(len(blocks))], dtype=np.int64)
    rest, sizes = clipped - means[block], np.bincount(block)
    squares = max(1, int(np.square(rest).sum()))
    variance = max(1, squares // max(1, count - len(blocks)))
    products = int((rest[1:] * rest[:-1]).sum())
    correlation = min(CORRELATION_MAX, max(0, products * ONE // squares))
    window_variance = max(
        _measured_variance(rest), _mean_variance(variance, correlation, min(WINDOW, count))
    )
    return TimeStatistics(
        level=level,
        clip=clip,
        variance=variance,
        correlation=correlation,
        window_variance=window_variance,
        between=_between(means - level, window_variance, count),
        class_variance=_class_variance(rest, block, label),
        residuals=np.sort(scores - means[block] + rest // np.maximum(1, sizes[block] - 1)),
        blocks=len(blocks),
        block_samples=count // len(blocks),
        effective=_effective(scores),
        pace_ns=orders[0].pace_ns,
        interval_ns=orders[0].interval_ns,
        sources=orders[0].sources,
        autocorrelation=autocorrelation_time(rest),
    )


def autocorrelation_time(rest: Ints) -> float:
    """Return the integrated autocorrelation time of scores that are 0 in the mean, in samples, at
    least 1: 1 and twice the sum of the autocorrelations, over the first lags that amount to five
    such times (Sokal 1989)."""
    squares, total = int(np.square(rest).sum()), 0
    for lag in range(1, len(rest) // 2):
        total += int((rest[lag:] * rest[:-lag]).sum())
        if lag * squares >= SOKAL_TIMES * (squares + 2 * total):
            break
    return max(1.0, 1 + 2 * total / max(1, squares))


def _mean(values: Ints) -> int:
    return int(values.sum()) // max(1, len(values))


def variance_of_windows(scores: Ints) -> int:
    """Return the variance of the means of windows of 16 consecutive scores around their own mean,
    scores that exceed all but a hundredth counted as that: 0 if there are too few."""
    count = len(scores)
    clip = np.sort(scores)[count - 1 - CLIP_PER_MILLE * count // 1000]
    clipped = np.minimum(scores, clip)
    return _measured_variance(clipped - _mean(clipped))


def _mean_variance(variance: int, correlation: int, size: int) -> int:
    """Return the variance of the mean of consecutive samples of a first-order autoregression."""
    inflated = variance * (ONE + correlation) // (ONE - correlation) // size
    return min(variance, inflated)


def _measured_variance(rest: Ints) -> int:
    """Return the variance of the means of real windows; 0 if there are too few samples."""
    if len(rest) < 2 * WINDOW:
        return 0
    edges = np.concatenate([[0], np.cumsum(rest)])
    sums = edges[WINDOW:] - edges[:-WINDOW]
    return int(np.square(sums).sum()) // (len(sums) * WINDOW**2)


def _between(shifts: Ints, window_variance: int, count: int) -> int:
    """Return the deviation between blocks beyond what their length explains, widened by Student's
    t."""
    freedom = len(shifts) - 1
    if not freedom:
        return isqrt(window_variance)
    chance = window_variance * WINDOW * len(shifts) // count
    left = max(0, int(np.square(shifts).sum()) // freedom - chance)
    wider = T_QUANTILES[min(freedom, len(T_QUANTILES)) - 1]
    return isqrt(left) * wider // NORMAL_QUANTILE


def _class_variance(rest: Ints, block: Ints, label: Ints) -> int:
    """Return the variance of a class's shift in a block, beyond the block's own and chance."""
    numbers, total, found = int(block.max()) + 1, 0, 0
    labels = np.unique(label).tolist()
    if len(labels) < 2 or numbers < 2:
        return 0
    for name in labels:
        own = rest[label == name]
        where, centre = block[label == name], _mean(own)
        for at in range(numbers):
            part = own[where == at]
            if len(part) >= PART_SAMPLES_MIN:
                mean = _mean(part)
                apart = (mean - centre) ** 2 * numbers // (numbers - 1)
                scatter = int(np.square(part - mean).sum()) // (len(part) - 1)
                total += apart - scatter // len(part)
                found += 1
    return max(0, total // max(1, found))


def _effective(scores: Ints) -> int:
    """Return how many independent samples determine the highest scores (Bartlett 1946)."""
    count = len(scores)
    limit = int(np.sort(scores)[count - 1 - count // TAIL_SHARE])
    high = (scores > limit).astype(np.int64) * count
    high -= int(high.sum()) // count
    squares = max(1, int(np.square(high).sum()))
    alike = min(CORRELATION_MAX, max(0, int((high[1:] * high[:-1]).sum()) * ONE // squares))
    return max(1, count * (ONE - alike) // (ONE + alike))
