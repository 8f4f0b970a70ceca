"""A guard for the expert pool: not worse than the best simple expert while evidence is scarce."""

from math import log, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .experts import MANY_CHANNELS, DelayedTargets
from .forecaster import Floats, State
from .state_dict import load_state, state_dict

BASELINES: Final = 3
"""Simple experts that the guard compares with: last value, seasonal values, drift."""

# The effect of each number below: docs/explanation/forecast-guard.md, "Choice of constants".

# Weights of the three before any evidence: on a random walk nothing is better than the last value.
# 40 or 75 % for it make no difference.
_PRIOR: Final = np.log([[[0.6]], [[0.2]], [[0.2]]])
# Rate of their weights over the root of the variance: C sqrt(ln N) with C = sqrt(2 (sqrt 2 - 1) /
# (e - 2)), Cesa-Bianchi, Mansour and Stoltz 2007, section 4.
_HEDGE_RATE: Final = np.array(sqrt(2 * (sqrt(2) - 1) / (np.e - 2) * log(BASELINES)))
# Largest rate: 0.1 is too slow for a trend that is a hundred samples old, and costs four times the
# error on synthetic ones; from 0.3 on no difference above 0.2 %.
_HEDGE_RATE_MAX: Final = np.array(1.0)
# Rate of the pool's wealth, and its logarithm at the start, a share of 27 %.  Other rates lose on
# long series; other starts exchange long series for short ones.
_WEALTH_RATE, _LOG_WEALTH = 0.2, -1.0
# Bound of the log wealth, shares of 0.03 and 99.97 %: a bounded wealth can be lost again.  4 to 12
# make no difference above 0.2 %.
_LOG_WEALTH_MAX: Final = np.array(8.0)
# A horizon is trusted as far as the least trusted of those from this part of it on: their outcomes
# are known earlier.  2, 4 and 24 leave an excess over the best simple expert of 0.93, 0.88 and 0.94
# %, without it 1.14 %.
_EARLIER: Final = 4
# Largest difference of two errors, in mean errors: below 1 / _WEALTH_RATE, so that the wealth stays
# positive.  3 makes no difference.
_DIFFERENCE_MAX: Final = np.array(4.0)
# Lowest rate of the mean error, about 100 samples: a change of unit is followed.  A rate of 0 makes
# no difference.
_SCALE_RATE: Final = np.array(0.01)
# Targets after which a simple expert counts.  A season of 288 samples repeats the last value for a
# day, and its first forecasts are far off on a random walk.  Of 0 to 20 the last is best.
_TRIAL: Final = 20.0
# Of so many samples one is used, from `MANY_CHANNELS` channels on: 8 us a step less for 30
# channels, and no figure of the simulated backbones changes by 1 %.
_STRIDE: Final = 4
# Smallest mean error: the largest value over it is still a float.
_TINY: Final = np.array(1e-190)
_ONE, _ZERO = np.array(1.0), np.array(0.0)
_GUARD_STATE: Final = ("gains", "variance", "log_wealth", "scale", "counts", "trials", "pending")


class BaselineGuard:
    """Mixes the pool with three simple experts; the pool's share grows with the evidence for it.

    Two stages for each channel and horizon, on absolute errors of the values themselves, jumps
    included, as shares of the mean error:

    - The baseline mixes the simple experts by exponential weights whose rate follows the variance
      of the errors (Cesa-Bianchi, Mansour and Stoltz 2007, section 4).  An expert that repeated the
      last value so far counts after twenty targets: experts that sleep (Freund et al. 1997).
    - (A, B)-Prod (Sani, Neu and Lazaric 2014, section 2) mixes baseline and pool: the pool's wealth
      is multiplied by 1 + rate (baseline's error - pool's error), the baseline's is 1, and the
      share of each is its share of the wealth.  The wealth is a test martingale against "the pool
      is no better than the baseline".  A horizon's share follows the least wealth among the
      horizons from a quarter of it on: a pool that has lost its way shows it there first.

    A target h steps ahead tells less than h independent ones: both rates are divided by sqrt(h).
    Bounds of the regret: docs/explanation/forecast-guard.md.  From `MANY_CHANNELS` on, every fourth
    sample is used and counts four times.  Cost: O(H C) a step.

    gains: float64 [3, H, C], sums of the baseline's errors minus those of the simple experts.
    trials: float64 [3, H, C], targets for which they did not repeat the last value.
    pending: forecasts whose targets are pending, as values: the simple experts', the pool's, the
    baseline's.
    """

    def __init__(self, channels: int, targets: DelayedTargets) -> None:
        horizons = len(targets.horizons)
        self.gains, self.trials = np.zeros((2, BASELINES, horizons, channels))
        self.variance, self.scale, self.counts = np.zeros((3, horizons, channels))
        self.log_wealth = np.full((horizons, channels), _LOG_WEALTH)
        self.pending = np.zeros((BASELINES + 2, targets.size * horizons, channels))
        # Whether all mean errors have reached their lowest rate; whether all trials are over.
        self._settled = self._tried = False
        self._stride = _STRIDE if channels >= MANY_CHANNELS else 1
        slow = np.ones((1, channels)) / np.sqrt(targets.horizons)[:, None]
        self._hedge_rate, self._rate_max = slow * _HEDGE_RATE, slow * _HEDGE_RATE_MAX
        self._wealth_rate = slow * _WEALTH_RATE
        self._earlier = _earlier_rows(targets.horizons)
        self._errors = np.empty((BASELINES + 2, horizons, channels))
        self._weights, self._work = np.empty((2, *self.gains.shape))
        self._share, self._part = np.empty((2, horizons, channels))
        self._update_weights()

    def step(self, forecasts: Floats, last: Floats, targets: DelayedTargets) -> Floats:
        """Learn from the newest values [C]; return the mixture [H, C] of forecasts [4, H, C]: the
        simple experts' and the pool's, as values."""
        if targets.count % self._stride == 0:
            self._learn(last, targets)
            self._update_weights()
        pool, rows = forecasts[BASELINES], targets.flat_rows
        # Weighted movements from the first expert: equal forecasts give exactly their value.
        movements = np.subtract(forecasts[:BASELINES], forecasts[0], self._work)
        movements *= self._weights
        baseline = np.add.reduce(movements, 0)
        baseline += forecasts[0]
        self.pending[: BASELINES + 1, rows] = forecasts
        self.pending[BASELINES + 1, rows] = baseline
        mixture: Floats = pool - baseline
        mixture *= self._share
        mixture += baseline
        return mixture

    def _learn(self, last: Floats, targets: DelayedTargets) -> None:
        errors, part = self._errors, self._part
        self.pending.take(targets.flat_origin_rows, 1, errors, "clip")
        if not self._tried:
            self._update_trials(errors[:BASELINES], targets)
        part[:] = last
        errors -= part
        np.abs(errors, errors)
        if not targets.all_arrived:
            errors *= targets.arrived
        own, others = errors[-1], errors[:-1]
        self._update_scale(own, targets)
        gains = np.subtract(own, others, others)
        gains /= np.add(self.scale, _TINY, part)
        np.minimum(np.maximum(gains, -_DIFFERENCE_MAX, out=gains), _DIFFERENCE_MAX, out=gains)
        simple = gains[:BASELINES]
        np.multiply(self._weights, simple, self._work)
        np.subtract(simple, np.add.reduce(self._work, 0), self._work)
        self._work *= self._work
        self._work *= self._weights
        self.variance += np.multiply(np.add.reduce(self._work, 0), self._stride, part)
        simple *= self._stride
        self.gains += simple
        growth = np.log1p(np.multiply(gains[BASELINES], self._wealth_rate, part), part)
        growth *= self._stride
        wealth = self.log_wealth
        wealth += growth
        np.minimum(np.maximum(wealth, -_LOG_WEALTH_MAX, out=wealth), _LOG_WEALTH_MAX, out=wealth)

    def _update_trials(self, forecasts: Floats, targets: DelayedTargets) -> None:
        """Count the targets for which an expert did not repeat the last value."""
        own = (forecasts != forecasts[0]) & targets.arrived
        self.trials += np.multiply(own, self._stride)
        self._tried = bool((self.trials[1:] >= _TRIAL).all())

    def _update_scale(self, errors: Floats, targets: DelayedTargets) -> None:
        """Update the mean error: of all targets at first, then of about the last hundred."""
        part = np.subtract(errors, self.scale, self._part)
        if self._settled and targets.all_arrived:
            part *= _SCALE_RATE
        else:
            self.counts += targets.arrived
            part *= np.maximum(_SCALE_RATE, _ONE / np.maximum(self.counts, _ONE))
            part *= targets.arrived
            self._settled = bool((self.counts > 1 / _SCALE_RATE).all())
        self.scale += part

    def _update_weights(self) -> None:
        """Set the weights of the simple experts, and the pool's share."""
        weights, part = self._weights, self._part
        np.sqrt(np.add(self.variance, _TINY, part), part)
        np.minimum(np.divide(self._hedge_rate, part, part), self._rate_max, out=part)
        np.multiply(self.gains, part, weights)
        weights += _PRIOR
        weights -= np.maximum.reduce(weights, 0)
        np.exp(weights, weights)
        if not self._tried:
            weights[1:] *= self.trials[1:] >= _TRIAL
        weights /= np.add.reduce(weights, 0)
        np.minimum.reduce(self.log_wealth.take(self._earlier, 0), 0, out=part)
        np.exp(np.subtract(_ZERO, part, part), part)
        part += _ONE
        np.divide(_ONE, part, self._share)

    def state(self) -> State:
        """Return the evidence and the pending forecasts."""
        return state_dict(self, _GUARD_STATE)

    def restore(self, state: State) -> None:
        """Continue from a state."""
        load_state(self, _GUARD_STATE, state)
        self._settled = bool((self.counts > 1 / _SCALE_RATE).all())
        self._tried = bool((self.trials[1:] >= _TRIAL).all())
        self._update_weights()


def _earlier_rows(horizons: NDArray[np.int_]) -> NDArray[np.intp]:
    """Return, for each horizon, the places of those from a quarter of it to itself: [most, H], the
    horizon's own place repeated where there are fewer."""
    places = [np.flatnonzero((horizons <= one) & (horizons * _EARLIER >= one)) for one in horizons]
    rows = np.tile(np.arange(len(horizons)), (max(map(len, places)), 1))
    for column, found in enumerate(places):
        rows[: len(found), column] = found
    return rows
