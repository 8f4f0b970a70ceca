"""The interface of experts and their shared input: history, regression columns, delayed targets."""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from ..forecaster import Floats, ForecastTask, State
from ..history import JumpCorrectedHistory
from ..state_dict import load_state, state_dict

LAGS: Final = (1, 2, 3)
"""Steps back of the short lags: three increments, as the networks see.  Chosen by hand; effect not
measured."""
MEANS: Final = 4
"""The running means of the history: over about 2, 5, 20 and 100 samples."""
SHORT: Final = 1 + len(LAGS) + MEANS
"""Columns that need no season: a one, the lags, the means."""
MANY_CHANNELS: Final = 16
"""Channels from which experts learn from every second sample only.  No figure changes, and a step
takes a fifth less time: docs/decisions/0010."""
TARGET_MAX: Final = 300.0
"""Largest movement, in scales, that anything learns from: far above a jump of 6, and small enough
for the squares of regressions.  Chosen by hand; effect not measured."""

# Lowest rate of the seasonal profile: a mean over about ten seasons.  Chosen by hand; effect not
# measured.
_PROFILE_RATE = 0.1
_TARGET_HIGH, _TARGET_LOW = np.array(TARGET_MAX), np.array(-TARGET_MAX)
_BASIS_STATE: Final = ("profile", "visits")
_TARGETS_STATE: Final = ("count", "steps_since_gap", "origins")
_TARGETS_STORED_AS: Final = {"steps_since_gap": "since"}


class DelayedTargets:
    """The targets of earlier forecasts: the outcome for horizon h is known h samples later.

    values: float64 [H, C], movement of the jump-corrected sum since the origin of the forecast, in
    scales at the origin.  arrived: bool [H, C], there is an outcome; all_arrived: for every
    channel and horizon.  valid: bool [H, C], experts may learn from it, since no jump, gap or
    missing value lies between; all_valid: for every channel and horizon.
    Experts keep inputs in ring buffers of `size` rows.  row: the row of this sample;
    origin_rows: int [H], the rows of the origins.  flat_rows, flat_origin_rows: the same for ring
    buffers with one row for each sample and horizon.
    """

    def __init__(self, channels: int, horizons: tuple[int, ...]) -> None:
        self.horizons = np.array(horizons)
        self.size = horizons[-1] + 1
        self._index = np.arange(len(horizons))
        self.count = 0
        self.steps_since_gap = 0
        self.row = 0
        # Jump-corrected sums and inverse scales of the samples whose targets are pending.
        self.origins = np.zeros((2, self.size, channels))
        self.values = np.zeros((len(horizons), channels))
        self.valid = np.zeros((len(horizons), channels), bool)
        self.arrived = np.zeros((len(horizons), channels), bool)
        self._column, self._longest = self.horizons[:, None], horizons[-1]
        self.all_arrived = self.all_valid = False
        rows = (np.arange(self.size)[:, None] - self.horizons) % self.size
        self._rows, self._flat = list(rows), list(rows * len(horizons) + self._index)

    def step(self, history: JumpCorrectedHistory) -> None:
        """Compute the targets that the newest sample completes."""
        self.steps_since_gap = 0 if history.after_gap else self.steps_since_gap + 1
        self.count += 1
        self.row = self.count % self.size
        self.origin_rows, self.flat_origin_rows = self._rows[self.row], self._flat[self.row]
        self.flat_rows = slice(self.row * len(self._index), (self.row + 1) * len(self._index))
        origins, values = self.origins.take(self.origin_rows, 1), self.values
        values[:] = history.jump_corrected_sum
        values -= origins[0]
        values *= origins[1]
        np.minimum(np.maximum(values, _TARGET_LOW, out=values), _TARGET_HIGH, out=values)
        self._validate(history)
        self.origins[0, self.row] = history.jump_corrected_sum
        self.origins[1, self.row] = history.target_inverse_scale

    def _validate(self, history: JumpCorrectedHistory) -> None:
        """Set which targets have arrived, and which are valid."""
        all_arrived, all_valid = self.all_arrived, self.all_valid
        self.all_arrived = history.all_present and self.steps_since_gap > self._longest
        self.all_valid = self.all_arrived and history.jump_free_steps >= self._longest
        if not (all_arrived and self.all_arrived):
            self.arrived[:] = history.present
            self.arrived &= self.steps_since_gap > self._column
        if not (all_valid and self.all_valid):
            np.greater_equal(history.age, self._column, out=self.valid)
            self.valid &= self.arrived

    def state(self) -> State:
        """Return the counters and the pending origins."""
        return state_dict(self, _TARGETS_STATE, _TARGETS_STORED_AS)

    def restore(self, state: State) -> None:
        """Continue from a state."""
        load_state(self, _TARGETS_STATE, state, _TARGETS_STORED_AS)


class RegressionBasis:
    """The columns of the regressions: lags, means, seasons and the profile of the season.

    columns: float64 [C, width], differences from the newest value in scales.  Each season has a
    column for now and for each horizon; so has the profile, the mean course of a season.
    seasonal, level: float64 [H, C], the previous season and the profile at each horizon; slope: the
    change of the profile from now to each horizon.  All three are zero without a season.
    mean_of_5: [1, H, C], the same mean for each horizon.
    """

    def __init__(self, history: JumpCorrectedHistory, horizons: tuple[int, ...]) -> None:
        channels, seasons = history.channels, history.seasons
        points = np.array([0, *horizons])
        self.season = seasons[0] if seasons else 0
        lags = np.concatenate([np.array(LAGS), *(one - points % one for one in seasons)])
        self._lags = lags.astype(np.int64)
        self._slots = (np.arange(self.season)[:, None] + points) % max(self.season, 1)
        count = len(LAGS)
        start, end = SHORT - 1, SHORT - 1 + len(lags) - count
        self.width = 1 + end + (len(points) if seasons else 0)
        self.columns = np.ones((channels, self.width))
        self._transposed = self.columns[:, 1:].T
        self._rows, self._tiled = np.empty((2, self.width - 1, channels))
        self._recent, self._means = self._rows[:count], self._rows[count:start]
        self._ago, self._ahead = self._rows[start:end], self._rows[end:]
        self.mean_of_5 = np.broadcast_to(self._means[1], (1, len(horizons), channels))
        zeros = np.zeros((len(horizons), channels))
        self.seasonal = self._ago[1 : len(points)] if seasons else zeros
        self.level = self._ahead[1:] if seasons else zeros
        self.slope = zeros.copy()
        self.profile = np.zeros((max(self.season, 1), channels))
        self.visits = np.zeros(max(self.season, 1))

    def step(self, history: JumpCorrectedHistory) -> None:
        """Update the columns with the newest sample.  Cost: O(width C)."""
        rows, count = self._rows, len(LAGS)
        ago = history.lags(self._lags)
        self._recent[:] = ago[:count]
        self._means[:] = history.means
        if self.season:
            self._ago[:] = ago[count:]
            self._update_profile(history)
        tiled = self._tiled
        tiled[:] = history.jump_corrected_sum
        rows -= tiled
        tiled[:] = history.inverse_scale
        rows *= tiled
        if self.season:
            self.slope[:] = self._ahead[0]
            np.subtract(self.level, self.slope, self.slope)
        self._transposed[:] = rows

    def _update_profile(self, history: JumpCorrectedHistory) -> None:
        """Update the profile at this slot and read it at the horizons; the newest value stands in
        for slots without a sample so far."""
        slot, base = history.steps % self.season, history.jump_corrected_sum
        if history.jump_ratio is not None:
            self.profile = base + (self.profile - base) * history.jump_ratio
        current, visits = self.profile[slot], float(self.visits[slot]) + 1
        self.visits[slot] = visits
        change = base - current
        change *= max(_PROFILE_RATE, 1.0 / visits)
        current += change
        slots = self._slots[slot]
        self.profile.take(slots, 0, self._ahead, "clip")
        if visits == 1:
            self._ahead[self.visits[slots] == 0] = base

    def state(self) -> State:
        """Return the profile."""
        return state_dict(self, _BASIS_STATE)

    def restore(self, state: State) -> None:
        """Continue from a state."""
        load_state(self, _BASIS_STATE, state)


@dataclass(slots=True)
class ExpertInput:
    """The shared input of all experts at a step."""

    task: ForecastTask
    history: JumpCorrectedHistory
    basis: RegressionBasis
    targets: DelayedTargets


class Expert(Protocol):
    """Learns from the targets that arrive, then forecasts.  Constructed with the `ExpertInput` that
    each step passes."""

    outputs: int
    """Forecasts per step, each weighted on its own by the pool."""

    def step(self, view: ExpertInput) -> Floats:
        """Return movements from the newest value, in scales: float64 [outputs, H, C], finite."""

    def state(self) -> State:
        """Return everything learned."""

    def restore(self, state: State) -> None:
        """Continue from a state."""


def huber_influence(errors: Floats, bounds: Floats) -> Floats:
    """Return errors clipped to +-bounds: Huber's influence function (Huber 1964)."""
    return np.minimum(np.maximum(errors, -bounds), bounds)
