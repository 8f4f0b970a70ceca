"""Preprocessing of samples: the sampling clock, the jump-corrected history and the outlier gate.

A re-routing moves many channels at once.  The lags of a forecaster from before such a jump say
nothing about the time after it.  The history therefore leaves these increments out of the
jump-corrected sum, from which all features derive, and expresses movements in units of each
channel's scale, its mean movement in a step.
"""

import math
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..errors import StateError
from .forecaster import PERIOD_MAX, Floats, State
from .state_dict import load_state, state_dict

INPUTS: Final = (
    "increment",
    "previous increment",
    "increment before the previous one",
    "distance from the mean of 2",
    "distance from the mean of 5",
    "distance from the mean of 20",
    "distance from the mean of 100",
    "one season ago, change over 1 step",
    "one season ago, change over 6 steps",
    "one season ago, change over 12 steps",
    "all channels, increment",
    "all channels, distance from the mean of 5",
    "all channels, distance from the mean of 20",
    "recency of the last jump",
    "relative movement",
    "recent movement over mean movement",
)
"""The features per channel in `JumpCorrectedHistory.inputs`, in this order.  Trained networks
depend on it."""

SEASON_STEPS: Final = (1, 6, 12)
"""Steps ahead at which the inputs show the season: the default horizons."""

JOINT_CHANNELS: Final = 3
"""Channels that must jump in one sample for a joint jump, a change of what carries them.  Two
often move together by chance.  Chosen by hand; effect not measured."""
JOINT_SCALES: Final = 6.0
"""A channel takes part in a joint jump when it moves by more scales than this in one sample.
Chosen by hand; effect not measured."""
DETECTED_SEASON_MAX: Final = 1_500
"""Longest season in steps that is found without configuration: a day of one-minute samples fits."""

# Movement of a channel, in scales, that counts as part of a joint jump once there is one.  Chosen
# by hand; effect not measured.
_ALONG_SCALES = np.array(4.0)
# A channel is dead at a thousandth of its level: far below any load of a live channel.
_DEAD = 1e-3
# Rates of running means, about 10 samples for the level and recent movement, 100 for the scale.
# Chosen by hand; effect not measured.
_LEVEL_RATE, _SLOW, _FAST = np.array(0.1), 0.01, 0.1
_MOVEMENT_RATES: Final = np.array([[_SLOW], [_SLOW], [_FAST]])
_MEAN_RATES: Final = np.array([[0.5], [0.2], [0.05], [0.01]])
# Constants of every step as arrays: numpy takes an array without dimensions in half the time of a
# float.
_ONE, _LEVEL_SHARE_MIN, _RECENCY_RATE = np.array(1.0), np.array(1e-9), np.array(-0.1)
# Smallest divisor: the largest value over it is still a float.
_TINY: Final = np.array(1e-190)
# Missing samples after which the next value counts as a jump.  Chosen by hand; effect not measured.
_GAP_SAMPLES_MAX = 3
# A channel that falls to zero in more than 5 % of samples does so normally; a rescaling by more
# than 20 says that the level before was noise.  Chosen by hand; effect not measured.
_REVIVALS_MAX, _RESCALE_MAX = 0.05, 20.0
# Fewest steps in the ring: room for the 48 lags of DLinear.
_RING_STEPS_MIN = 64
# Movements after which jumps are detected, after which targets are scaled, and that a channel keeps
# when its scale is learned again.  Chosen by hand; effect not measured.
_CALIBRATED_MOVEMENTS, _SCALED_MOVEMENTS, _RESET_MOVEMENTS = 20, 5, 3
# Bounds of the scale relative to the plain mean movement: a level near zero must not distort it.
# Chosen by hand; effect not measured.
_SCALE_MIN, _SCALE_MAX = np.array(1 / 4.0), np.array(4.0)
_RELATIVE_MIN, _QUARTER = np.array(-2.5), np.array(0.25)
_VALUE_MAX, _RATIO_MAX = np.array(1e100), np.array(1e6)

# Intervals from which the median sampling interval is learned: robust to a few odd ones.  Chosen by
# hand; effect not measured.
_CLOCK_INTERVALS = 15
# Numbers at the start of a stored clock, before the first intervals: interval and count.
_CLOCK_NUMBERS_MIN: Final = 2
# Consecutive odd intervals after which the sampling interval is learned again.  Chosen by hand;
# effect not measured.
_ODD_INTERVALS_MAX = 64
# Sampling intervals from which a pause is a gap: one missing sample, whose place in the season is
# skipped.  From more than three, an hour forgotten from half-hourly demand shifted the season by an
# hour, and the error of the next day was 1.9 times as large; from 1.75 it is 0.85 times.
_GAP_INTERVALS_MIN = 1.75
# Seconds in a day.
_DAY_S = 86_400.0

# Distance of an outlier from the last value, in scales.  Chosen by hand; docs/decisions/0010 has
# the effect of the gate as a whole.
_OUTLIER_SCALES: Final = 20.0
# Distance of an outlier from the recent range, in ranges.  Chosen by hand; see docs/decisions/0010.
_OUTLIER_RANGES: Final = 10.0
# Steps within which a second outlier confirms the first: longer than a burst.  Chosen by hand;
# effect not measured.
_CONFIRM_STEPS: Final = 50

_ATTRIBUTES: Final = (
    *("known", "dead", "last", "jump_corrected_sum", "scale", "level", "age", "means", "ring"),
    *("steps", "scale_floored", "inverse_scale", "any_dead", "complete", "_all_calibrated"),
    *("_movements", "_silent", "_movement", "_revivals", "_previous", "_joint"),
)
_STORED_AS: Final = {
    "jump_corrected_sum": "course",
    "scale": "unit",
    "scale_floored": "safe_unit",
    "inverse_scale": "per_unit",
    "complete": "whole",
    "_all_calibrated": "_settled",
    "_movements": "_count",
    "_previous": "_before",
}


class JumpCorrectedHistory:
    """The features of C channels, updated with each sample; float64 [C] unless stated otherwise.

    last: newest finite value (0 before the first, where `known` is False).  present: bool, this
    sample has a value.  jumped: bool, it jumped.  jump_corrected_sum: sum of all increments that
    are no jumps.  scale: mean movement in a step.  scale_floored, inverse_scale: the same kept
    above 0, and its inverse; target_inverse_scale: 0 while a channel has moved too rarely to scale
    targets.  level: mean absolute value.  age: samples since the last jump.  dead: bool, it
    jumped to zero.  jump_ratio: factor by which a joint jump rescaled the past, or None.  inputs:
    [C, len(INPUTS)], the features of networks.  after_gap: a gap in time lies before this sample.
    complete: every channel was known before and has a value now.  jump_free_steps: samples, up to
    this one, without any jump.  Cost: O(C) a step; memory: one season.
    """

    def __init__(self, channels: int, period: int | None = None, lag_steps_max: int = 12) -> None:
        self.channels = channels
        self.clock = SamplingClock()
        self.after_gap = False
        self.steps = self.jump_free_steps = 0
        self.known = np.zeros(channels, bool)
        self.present = np.zeros(channels, bool)
        self.jumped = np.zeros(channels, bool)
        self.last, self.jump_corrected_sum, self.scale = np.zeros((3, channels))
        self.level, self.increment = np.zeros((2, channels))
        self.dead = np.zeros(channels, bool)
        self.any_dead = self.all_present = self.complete = self._all_calibrated = False
        self._none_jumped = np.zeros(channels, bool)
        self.jump_ratio: Floats | None = None
        self.age = np.full(channels, 1e6)
        self._raw, self._rows = np.zeros((13, channels)), np.zeros((len(INPUTS), channels))
        self.inputs = self._rows.T
        self._scaled, self._distances = self._raw[:10], self._raw[3:7]
        self._tiled = np.empty_like(self._scaled)
        self._signed, self._seasonal = self._rows[:13], self._raw[7:10]
        self.scale_floored, self.inverse_scale = np.ones((2, channels))
        self.target_inverse_scale = np.ones(channels)
        self._period = period
        self._lag_steps_max = lag_steps_max
        self._movements, self._silent, self._revivals = np.zeros((3, channels))
        # Rows: mean movement, mean relative movement, recent mean relative movement.
        self._movement, self._update = np.zeros((2, 3, channels))
        self._movement_rows, self._update_rows = tuple(self._movement), tuple(self._update)
        self._size, self._work = np.zeros((2, channels))
        self._far = np.zeros(channels, bool)
        # Operands of every step, tiled once: broadcasting costs more than the arithmetic.
        self._movement_rates = np.tile(_MOVEMENT_RATES, channels)
        self._mean_rates, self._mean_updates = np.tile(_MEAN_RATES, (2, 1, channels))
        self._mean_decays = 1.0 - self._mean_rates
        self._previous = np.zeros((2, channels))
        self.means = np.zeros((4, channels))
        self._joint = np.zeros(4)
        self.seasons: tuple[int, ...] = ()
        self.ring: Floats = np.zeros((1, channels))
        self._resize(self.clock.seasons(period))

    # --- one sample -----------------------------------------------------------------------------

    def step(self, values: Floats, elapsed_s: float) -> None:
        """Update with a sample: float64 [C]; NaN and sizes from 1e100 on count as missing."""
        if self.clock.step(elapsed_s):
            self._resize(self.clock.seasons(self._period))
        self._advance(self.clock.gap)
        measurable = self._read(values)
        size = np.abs(self.increment, self._size)
        self.jump_ratio = None
        self._mark_jumps(size)
        self._update_scale(size, measurable)
        self.jump_corrected_sum += self.increment
        self.steps += 1
        self.ring[self.steps % len(self.ring)] = self.jump_corrected_sum
        self._make_inputs()

    def _read(self, values: Floats) -> NDArray[np.bool_] | None:
        """Set last, present, increment and the jumps of channels without a usable past; return
        which channels can be measured, None for all."""
        present = np.less(np.abs(values, self._work), _VALUE_MAX, self.present)
        self.all_present = np.count_nonzero(present) == self.channels
        if self.all_present and self.complete:
            np.subtract(values, self.last, self.increment)
            self.last[:] = values
            self.jumped = self._none_jumped
            return None
        first = present & ~self.known
        current = np.where(present, values, self.last)
        self.increment = np.where(first, 0.0, current - self.last)
        self.last, self.known = current, self.known | present
        self.jumped = first | (present & (self._silent > _GAP_SAMPLES_MAX))
        measurable: NDArray[np.bool_] = present & ~self.jumped & (self._silent == 0)
        self._silent = np.where(present, 0.0, self._silent + 1.0)
        self.complete = self.all_present
        return measurable

    def lags(self, steps: NDArray[np.int64]) -> Floats:
        """Return jump-corrected sums so many steps ago: float64 [..., C]."""
        # Up to one round back: a negative index counts from the end.
        return self.ring.take(self.steps % len(self.ring) - steps, 0)

    def calibrated(self) -> NDArray[np.bool_]:
        """Return which channels have moved often enough to detect jumps."""
        return self._movements > _CALIBRATED_MOVEMENTS

    def expect_jump(self, channels: NDArray[np.bool_]) -> None:
        """Treat the next value of some channels as a jump and learn their scale again, within a few
        samples."""
        self._silent[channels] = _GAP_SAMPLES_MAX + 1
        self._movements[channels] = _RESET_MOVEMENTS
        self.complete = self._all_calibrated = False

    def _mark_jumps(self, size: Floats) -> None:
        """Mark joint jumps and jumps from or to zero, and leave jumps out of the increments."""
        self.age += _ONE
        self.jump_free_steps += 1
        far = np.greater(size, np.multiply(self.scale, _ALONG_SCALES, self._work), self._far)
        if np.count_nonzero(far):
            self.jumped = self.jumped | self._find_jumps(size)
        if self.jumped is not self._none_jumped:
            self.jump_free_steps = 0
            self.age[self.jumped] = 0.0
            self.increment[self.jumped] = 0.0

    def _find_jumps(self, size: Floats) -> NDArray[np.bool_]:
        far = self._far & self.calibrated()
        at_zero = np.abs(self.last) <= _DEAD * self.level
        revived = (at_zero != self.dead) & far
        self._revivals += _SLOW * (revived - self._revivals)
        revived &= self._revivals < _REVIVALS_MAX
        joint = np.count_nonzero(far & (size > JOINT_SCALES * self.scale)) >= JOINT_CHANNELS
        if not (joint or revived.any()):
            return self._none_jumped
        self.dead = np.where(revived, at_zero, self.dead)
        self.any_dead = bool(self.dead.any())
        self._rescale(far & ~self.dead)
        return far

    def _rescale(self, jumped: NDArray[np.bool_]) -> None:
        """Rescale the past of channels in proportion to the load that they carry now."""
        ratio = np.where(jumped, np.abs(self.last) / np.maximum(self.level, _TINY), 1.0)
        ratio = np.clip(ratio, 1 / _RESCALE_MAX, _RESCALE_MAX)
        self.level = self.level * ratio
        self.scale = self.scale * ratio
        self._movement[0] *= ratio
        self.jump_ratio = ratio
        self._previous *= ratio
        base = self.jump_corrected_sum
        self.means = base + (self.means - base) * ratio
        self.ring = base + (self.ring - base) * ratio

    def _update_scale(self, size: Floats, measurable: NDArray[np.bool_] | None) -> None:
        """Update level and scale of the channels that have a value and are not dead."""
        level = np.abs(self.last, self._work)
        level -= self.level
        quiet = measurable is None and self.jumped is self._none_jumped
        if quiet and self._all_calibrated and not self.any_dead:
            level *= _LEVEL_RATE
            self.level += level
            self._update_movement(size, self._movement_rates)
            return
        if self.any_dead:
            self.dead &= np.abs(self.last) <= _DEAD * self.level
            self.any_dead = bool(self.dead.any())
        alive = self.present & ~self.dead
        self.level += np.maximum(_LEVEL_RATE, 1.0 / (self._movements + 1.0)) * alive * level
        moving = (alive if measurable is None else measurable & alive) & ~self.jumped
        moving &= (self._movements > 0) | (size > 0)
        self._movements += moving
        self._all_calibrated = bool((self._movements > 1 / _SLOW).all())
        rate = np.maximum(_SLOW, 1.0 / np.maximum(self._movements, 1.0)) * moving
        self._update_movement(size, np.stack((rate, rate, np.maximum(_FAST * moving, rate))))

    def _update_movement(self, size: Floats, rates: Floats) -> None:
        """Update the mean movements, and from them the scale."""
        update = self._update
        plain, relative, recent = self._update_rows
        plain[:] = size
        np.divide(size, np.add(self.level, _TINY, relative), relative)
        np.minimum(relative, _RATIO_MAX, out=relative)
        recent[:] = relative
        update -= self._movement
        update *= rates
        self._movement += update
        mean, mean_relative, _ = self._movement_rows
        scale = np.multiply(mean_relative, self.level, self.scale)
        np.maximum(scale, np.multiply(mean, _SCALE_MIN, self._work), out=scale)
        np.minimum(scale, np.multiply(mean, _SCALE_MAX, self._work), out=scale)

    def _make_inputs(self) -> None:
        """Compute the inputs of networks."""
        least = np.multiply(self.level, _LEVEL_SHARE_MIN, self._work)
        least += _TINY
        np.maximum(self.scale, least, out=self.scale_floored)
        np.divide(_ONE, self.scale_floored, self.inverse_scale)
        self.target_inverse_scale = self.inverse_scale
        if not self._all_calibrated:
            unscaled = self._movements < _SCALED_MOVEMENTS
            self.target_inverse_scale = np.where(unscaled, 0.0, self.inverse_scale)
        raw, distances = self._raw, self._distances
        raw[1:3] = self._previous
        raw[0] = self.increment
        self._previous[:] = raw[:2]
        np.subtract(self.jump_corrected_sum, self.means, distances)
        self.means += np.multiply(distances, self._mean_rates, self._mean_updates)
        distances *= self._mean_decays
        if self.seasons:
            ago = self.lags(self._season_lags)
            self._seasonal[:] = ago[0]
            np.subtract(ago[1:], self._seasonal, self._seasonal)
        self._tiled[:] = self.inverse_scale
        self._scaled *= self._tiled
        self._add_joint_inputs(raw)
        inputs, signed = self._rows, self._signed
        np.abs(raw, signed)
        np.log1p(signed, signed)
        np.copysign(signed, raw, signed)
        np.exp(np.multiply(self.age, _RECENCY_RATE, self._work), inputs[13])
        np.log(np.add(self._movement, _LEVEL_SHARE_MIN, self._update), self._update)
        _, relative, recent = self._update_rows
        np.subtract(recent, relative, inputs[15])
        relative *= _QUARTER
        relative += _ONE
        np.maximum(relative, _RELATIVE_MIN, out=inputs[14])

    def _add_joint_inputs(self, raw: Floats) -> None:
        """Add the mean movement of all channels, in scales."""
        known = self.channels if self.complete else max(int(np.count_nonzero(self.known)), 1)
        mean = float(np.add.reduce(raw[0])) / known
        total, short, long, _ = self._joint.tolist()
        total += mean
        short += 0.2 * (total - short)
        long += 0.05 * (total - long)
        self._joint[:] = total, short, long, 0.0
        raw[10], raw[11], raw[12] = mean, total - short, total - long

    # --- time -----------------------------------------------------------------------------------

    def _advance(self, gap: int) -> None:
        """Skip the samples of a gap: the jump-corrected sum stays, the season goes on."""
        self.after_gap = gap > 0
        if not gap:
            return
        self._silent += min(gap, 10 * len(self.ring))
        rows = self.steps + 1 + np.arange(min(gap, len(self.ring)))
        self.ring[rows % len(self.ring)] = self.jump_corrected_sum
        self.steps += gap

    def _resize(self, seasons: tuple[int, ...]) -> None:
        """Resize the ring for other seasons and keep as much of the past as fits."""
        old = self.ring
        size = max(_RING_STEPS_MIN, 2 * self._lag_steps_max, *(one + 2 for one in seasons or (0,)))
        ring = np.tile(self.jump_corrected_sum, (size, 1))
        back = np.arange(min(size, len(old)))
        ring[(self.steps - back) % size] = old[(self.steps - back) % len(old)]
        self.ring, self.seasons = ring, seasons
        if seasons:
            self._season_lags = seasons[0] - np.array((0, *SEASON_STEPS), np.int64) % seasons[0]

    # --- state ----------------------------------------------------------------------------------

    def state(self) -> State:
        """Return everything, the ring included."""
        clock = {"clock": np.array(self.clock.state())}
        return {**state_dict(self, _ATTRIBUTES, _STORED_AS), **clock}

    def restore(self, state: State) -> None:
        """Continue from a state; raises StateError for one that does not fit."""
        clock = state.get("clock", np.zeros(0))
        if clock.dtype != float or clock.ndim != 1 or len(clock) < _CLOCK_NUMBERS_MIN:
            raise StateError(
                f"restoring a forecaster: expected a clock of {_CLOCK_NUMBERS_MIN} numbers or more,"
                f" found {clock.dtype} {clock.shape}",
                "start the series again: it is learned again from new samples",
            )
        self.clock.restore(clock.tolist())
        self._resize(self.clock.seasons(self._period))
        load_state(self, _ATTRIBUTES, state, _STORED_AS)


class SamplingClock:
    """Learns the sampling interval from the first samples, and again when it no longer fits.

    interval_s: median seconds between samples, 0 while unknown.  ratio: the latest interval over
    it, 0.1 to 10.  gap: samples left out before this one.
    """

    def __init__(self) -> None:
        self.interval_s = 0.0
        self.ratio = 1.0
        self.gap = 0
        self._first: list[float] = []
        self._odd = 0

    def step(self, elapsed_s: float) -> bool:
        """Update with the seconds since the previous sample; return whether the interval was
        learned just now.  Intervals that are not positive and finite, such as after a clock is set
        back, count as the sampling interval."""
        self.ratio, self.gap = 1.0, 0
        if not 0.0 < elapsed_s < math.inf:
            return False
        if not self.interval_s:
            return self._learn(elapsed_s)
        ratio = elapsed_s / self.interval_s
        self.ratio = min(max(ratio, 0.1), 10.0)
        if ratio >= _GAP_INTERVALS_MIN:
            self.gap = int(min(ratio, 1e9) + 0.5) - 1
        if 0.5 < ratio < 2.0:
            self._odd = 0
            return False
        self._odd += 1
        if self._odd > _ODD_INTERVALS_MAX:
            self.interval_s, self._odd = 0.0, 0
        return False

    def _learn(self, elapsed_s: float) -> bool:
        self._first.append(elapsed_s)
        if len(self._first) < _CLOCK_INTERVALS:
            return False
        self.interval_s = median(self._first)
        self._first = []
        return True

    def seasons(self, period: int | None) -> tuple[int, ...]:
        """Return the seasons in steps, shortest first: the given period or else the day, and seven
        of them where they fit."""
        if period is None:
            if not self.interval_s:
                return ()
            day = _DAY_S / self.interval_s
            if day < 2.5 or day > DETECTED_SEASON_MAX or abs(day - round(day)) > 0.05:
                return ()
            period = round(day)
        week = 7 * period
        return (period, week) if week <= DETECTED_SEASON_MAX // 2 else (period,)

    def state(self) -> list[float]:
        """Return the interval, the count of odd intervals, and the first intervals."""
        return [self.interval_s, float(self._odd), *self._first]

    def restore(self, state: list[float]) -> None:
        """Continue from a state."""
        self.interval_s, odd, *self._first = state
        self._odd = int(odd)


class OutlierGate:
    """Withholds a single value that lies more than ten times the recent range outside of it.

    A sensor's mark for "no reading" (-999, 65535) or a flipped bit would otherwise stay in means,
    seasons and scales for hundreds of samples.  A second such value within fifty samples confirms
    the first: the channel has changed its unit, or such values are normal for it.  A sample in
    which three channels jump is no sensor fault: all its values count.
    withheld_at: int64 [C], the step of the last withheld value.  Cost: about 1 µs for 30 channels.
    """

    def __init__(self, channels: int) -> None:
        self.withheld_at = np.full(channels, -_CONFIRM_STEPS)
        self._inside = np.empty(channels, bool)

    def filter(
        self, values: Floats, history: JumpCorrectedHistory, limits: Floats, inner: Floats
    ) -> Floats:
        """Return the values [C] that follow the history's newest, NaN where withheld; announce
        confirmed jumps to the history.

        limits: [2, C], the recent minimum and maximum; inner: [2, C], bounds within which no value
        needs a closer look.
        """
        inside, count = self._inside, len(values)
        if (
            np.count_nonzero(np.less_equal(inner[0], values, inside)) == count
            and np.count_nonzero(np.less_equal(values, inner[1], inside)) == count
        ):
            return values
        return self._examine(values, history, limits)

    def _examine(self, values: Floats, history: JumpCorrectedHistory, limits: Floats) -> Floats:
        low, high = limits
        beyond = np.maximum(values - high, low - values)
        allowed = _OUTLIER_RANGES * (high - low)
        size = np.abs(values - history.last)
        usable = np.isfinite(values) & history.calibrated()
        outlying = usable & (size > _OUTLIER_SCALES * history.scale)
        outlying &= (allowed > 0) & (beyond > allowed)
        # As in the history: when a load takes another route, one link may rise to ten times its
        # range while others only double.
        joint = np.count_nonzero(usable & (size > JOINT_SCALES * history.scale))
        if not outlying.any() or joint >= JOINT_CHANNELS:
            return values
        single = outlying & (history.steps - self.withheld_at >= _CONFIRM_STEPS)
        self.withheld_at[single] = history.steps
        history.expect_jump(outlying & ~single)
        return np.where(single, np.nan, values)

    def state(self) -> State:
        """Return the steps of the withheld values."""
        return state_dict(self, ("withheld_at",), {"withheld_at": "seen"})

    def restore(self, state: State) -> None:
        """Continue from a state."""
        load_state(self, ("withheld_at",), state, {"withheld_at": "seen"})


assert DETECTED_SEASON_MAX <= PERIOD_MAX
