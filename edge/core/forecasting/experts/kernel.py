"""An expert by kernel regression: a forecast from the outcomes of similar earlier samples.

The sparse kernel recursive least squares of Engel, Mannor and Meir (2004, IEEE Transactions on
Signal Processing 52(8)): a dictionary keeps the samples that differ most, and a linear regression
runs on the similarities to them.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..forecaster import Floats, State
from ..state_dict import load_state, nest_state, state_dict, unnest_state
from .expert import ExpertInput
from .linear import RecursiveLeastSquares

LAGS: Final = 24
"""A day of hourly samples.  With 4 to 8 lags ELEC2 is 0.4 to 0.7 % better, NAB 0.7 % worse:
docs/decisions/0010."""
ROOM: Final = 256
"""Samples kept of one channel; of more channels, in proportion to the root of their number.  512
gain 0.2 to 0.7 % for half as much time again: docs/decisions/0010."""

# Fewest samples kept of a channel.  Chosen by hand; effect not measured.
_ROOM_MIN = 16
# Initial penalty: similarities are smaller than the columns of the other regressions.  Chosen by
# hand; effect not measured.
_RIDGE: Final = 0.05
# Lowest rate of mean and variance, about 500 samples.  Chosen by hand; effect not measured.
_MOMENT_RATE: Final = 0.002
# Standard deviations at which inputs are clipped: an outlier must not be far from everything.
# Chosen by hand; effect not measured.
_DEVIATIONS_MAX: Final = 6.0
# Samples before the dictionary grows: mean and variance are unknown before.  Chosen by hand; effect
# not measured.
_START_STEPS: Final = 30
# Novelty, as a share of a sample's squared length, from which it is kept.  Chosen by hand; effect
# not measured.
_NOVELTY_MIN: Final = 0.02
# Beyond 61 % of the room the threshold is the used share to this power.  Chosen by hand; effect not
# measured.
_ROOM_POWER: Final = 8
# Half the squared length of an unused atom: its similarity to every sample is zero.
_UNUSED_NORM: Final = 1e300
_EXPERT_STATE: Final = ("mean", "variance", "steps")
_DICTIONARY_STATE: Final = ("atoms", "counts")


class KernelExpert:
    """Kernel regression on the last 24 samples, the seasonal lags for now and for each horizon, and
    the phase of each season.

    It follows curves that the linear experts cannot: a peak that comes after a cool night only, a
    weekday that starts like a Sunday.  mean, variance: float64 [C], of the jump-corrected sum over
    some 500 samples, which standardise the inputs.
    """

    outputs = 2

    def __init__(self, view: ExpertInput) -> None:
        task, seasons = view.task, view.history.seasons
        points = np.array([0, *task.horizons])
        lags = [np.arange(LAGS + 1), *(one - points % one for one in seasons)]
        self._lags = np.concatenate(lags).astype(np.int64)
        width = len(self._lags) + 2 * len(seasons)
        self._rows = np.zeros((width, task.channels))
        self._inverse_root = 1.0 / np.sqrt(width)
        self._room = max(_ROOM_MIN, int(ROOM / np.sqrt(task.channels)))
        self.mean, self.variance = np.zeros((2, task.channels))
        self.steps = 0
        self._dictionary = SampleDictionary(task.channels, self._room, width)
        self._regression = RecursiveLeastSquares(
            task.channels, self._room, view.targets, (3.0, 1.0), ridge=_RIDGE
        )

    def step(self, view: ExpertInput) -> Floats:
        """Learn and forecast."""
        samples = self._standardised(view)
        features = self._dictionary.features(samples)
        if self.steps > _START_STEPS:
            self._dictionary.extend(samples, features, view.history.present)
        return self._regression.step(features, view.targets)

    def _standardised(self, view: ExpertInput) -> Floats:
        """Return the standardised inputs of each channel: float64 [C, width]."""
        history, rows, count = view.history, self._rows, len(self._lags)
        self._update_moments(view)
        lagged = rows[:count]
        np.subtract(history.lags(self._lags), self.mean, out=lagged)
        lagged /= np.sqrt(self.variance) + 1e-9 * history.level + 1e-190
        np.minimum(np.maximum(lagged, -_DEVIATIONS_MAX, out=lagged), _DEVIATIONS_MAX, out=lagged)
        for place, season in enumerate(history.seasons):
            angle = 2 * np.pi * (history.steps % season) / season
            rows[count + 2 * place], rows[count + 2 * place + 1] = np.sin(angle), np.cos(angle)
        # Always in the same memory order: a restored dictionary recomputes its factor from these
        # numbers bit for bit.
        samples: Floats = np.multiply(rows.T, self._inverse_root, order="C")
        return samples

    def _update_moments(self, view: ExpertInput) -> None:
        """Update mean and variance; a spike counts as ten standard deviations at most."""
        history = view.history
        base = history.jump_corrected_sum
        if history.jump_ratio is not None:
            self.mean = base + (self.mean - base) * history.jump_ratio
            self.variance *= history.jump_ratio**2
        self.steps += 1
        rate = max(_MOMENT_RATE, 1.0 / self.steps)
        deviation = base - self.mean
        if self.steps > _START_STEPS:
            bound = 10.0 * (np.sqrt(self.variance) + history.scale)
            deviation = np.minimum(np.maximum(deviation, -bound), bound)
        self.mean += rate * deviation
        self.variance += rate * (deviation * deviation - self.variance)

    def state(self) -> State:
        """Return the dictionary, the regression, mean and variance."""
        return {
            **state_dict(self, _EXPERT_STATE),
            **nest_state("dictionary", self._dictionary.state()),
            **nest_state("regression", self._regression.state()),
        }

    def restore(self, state: State) -> None:
        """Continue from a state."""
        load_state(self, _EXPERT_STATE, state)
        self._dictionary.restore(unnest_state("dictionary", state))
        self._regression.restore(unnest_state("regression", state))


class SampleDictionary:
    """Up to `room` samples of each channel, and features by similarity to them.

    Features are expressed in the basis of the Cholesky factor of the kept samples' similarities
    exp(-|a - b|^2 / 2): each tells what its sample adds to those kept before.  They do not
    change when others join, start at zero, and have the same prior, so that any regression may grow
    with them.  atoms: float64 [C, room, width], the kept samples.  inverse: [C, room, room], of the
    Cholesky factor.  counts: samples kept.  A sample is kept if more than 2 % of it is new; the
    threshold rises as the room fills.  Cost: O(C room (room + width)) a step.
    """

    def __init__(self, channels: int, room: int, width: int) -> None:
        self.atoms = np.zeros((channels, room, width))
        self.norms = np.full((channels, room), _UNUSED_NORM)
        self.inverse = np.zeros((channels, room, room))
        self.counts = np.zeros(channels, np.int64)
        self._room = room

    def features(self, samples: Floats) -> Floats:
        """Return the features of samples float64 [C, width]: [C, room], of length 1 at most."""
        similarity = np.matvec(self.atoms, samples)
        similarity -= self.norms
        similarity -= 0.5 * np.vecdot(samples, samples)[:, None]
        found: Floats = np.matvec(self.inverse, np.exp(similarity, out=similarity))
        return found

    def extend(self, samples: Floats, features: Floats, allowed: NDArray[np.bool_]) -> None:
        """Keep the samples of the allowed channels that are new enough, and complete their features
        in place."""
        novelty = 1.0 - np.vecdot(features, features)
        used = self.counts / self._room
        threshold = np.maximum(_NOVELTY_MIN, used**_ROOM_POWER)
        for channel in np.flatnonzero(allowed & (used < 1.0) & (novelty > threshold)):
            self._keep(channel, samples[channel], features[channel], np.sqrt(novelty[channel]))

    def _keep(self, channel: np.int64, sample: Floats, features: Floats, size: np.float64) -> None:
        place, inverse = int(self.counts[channel]), self.inverse[channel]
        inverse[place] = (features @ inverse) / -size
        inverse[place, place] = 1.0 / size
        self.atoms[channel, place] = sample
        self.norms[channel, place] = 0.5 * (sample @ sample)
        features[place] = size
        self.counts[channel] += 1

    def state(self) -> State:
        """Return the kept samples: the factor follows from them."""
        return state_dict(self, _DICTIONARY_STATE)

    def restore(self, state: State) -> None:
        """Continue from a state: keep its samples again, one after another."""
        load_state(self, _DICTIONARY_STATE, state)
        counts = np.minimum(self.counts, self._room)
        self.counts[:], self.norms[:], self.inverse[:] = 0, _UNUSED_NORM, 0.0
        for place in range(int(counts.max(initial=0))):
            samples = self.atoms[:, place].copy()
            features = self.features(samples)
            novelty = np.maximum(1.0 - np.vecdot(features, features), _NOVELTY_MIN / 2)
            sizes = np.sqrt(novelty)
            for channel in np.flatnonzero(counts > place):
                self._keep(channel, samples[channel], features[channel], sizes[channel])
