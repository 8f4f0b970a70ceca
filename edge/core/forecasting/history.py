"""The history of all channels, corrected for jumps, in units of each channel's usual movement.

A re-routing moves many links at once.  What the lags of a forecaster remember from before has then
nothing to say: such increments are left out of the corrected course, of which all else is made.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..errors import StateError
from .forecaster import Floats, State
from .sampling_clock import CLOCK_NUMBERS_MIN, SamplingClock
from .state_dict import load_state, state_dict

INPUTS: Final = (
    "increment",
    "increment before",
    "increment before that",
    "course over mean of 2",
    "course over mean of 5",
    "course over mean of 20",
    "course over mean of 100",
    "a season ago, 1 step on",
    "a season ago, 6 steps on",
    "a season ago, 12 steps on",
    "all channels, increment",
    "all channels, course over mean of 5",
    "all channels, course over mean of 20",
    "jumped lately",
    "relative movement",
    "movement of late",
)
"""What `History.inputs` holds a channel, in this order."""

SEASON_STEPS: Final = (1, 6, 12)
"""Steps ahead at which the inputs show the season."""

_MEANS: Final = np.array([[0.5], [0.2], [0.05], [0.01]])
JOINT_CHANNELS: Final = 3
"""So many channels that jump in one sample jump together: what carries them has changed."""

JOINT_UNITS: Final = 6.0
"""A channel jumps with others where it moves more than this many usual movements in one sample.
Chosen by hand; effect not measured."""

_MOVED_UNITS = np.array(4.0)
_DEAD, _LEVEL, _SLOW, _FAST = 1e-3, np.array(0.1), 0.01, 0.1
_PACES: Final = np.array([[_SLOW], [_SLOW], [_FAST]])
# Numbers of every step as arrays: numpy takes one without dimensions in half the time of a float.
_ONE, _SAFE, _FADE = np.array(1.0), np.array(1e-9), np.array(-0.1)
# The least that anything is divided by: the largest value over it is still a float.
_TINY: Final = np.array(1e-190)
_GAP_SAMPLES_MAX = 3
_REVIVALS_MAX, _SCALE_MAX = 0.05, 20.0
_RING_STEPS_MIN = 64
_SETTLED, _RIPE, _LEAPT = 20, 5, 3
_LEAST, _MOST = np.array(1 / 4.0), np.array(4.0)
_RELATIVE_MIN, _QUARTER = np.array(-2.5), np.array(0.25)
_VALUE_MAX, _RATIO_MAX = np.array(1e100), np.array(1e6)

_KEPT: Final = (
    *("known", "dead", "last", "course", "unit", "level", "age", "means", "ring", "steps"),
    *("safe_unit", "per_unit", "any_dead", "whole", "_settled", "_count", "_silent", "_movement"),
    *("_revivals", "_before", "_joint"),
)


class JumpCorrectedHistory:
    """Takes samples and keeps what is known of C channels, float64 [C] unless said otherwise.

    last: newest finite value (0 before the first, where `known` is False).  fresh: whether this
    sample had a value.  moved: whether it jumped.  course: sum of all increments without jumps.
    unit: usual movement a step.  per_ripe_unit: one over it, 0 where a channel has hardly moved
    yet, so that what comes is no movement.  level: usual size.  age: samples since the last jump.
    dead: whether it jumped to nothing.  scale: what a joint jump multiplied the past by, or None.
    inputs: [C, len(INPUTS)], what networks see.  broken: whether a gap in time lies before it.
    whole: whether every channel was known before and has a value now.  calm: samples in which no
    channel can have jumped, up to this one.
    Cost: O(C) a step; memory: one season of courses.
    """

    def __init__(self, channels: int, period: int | None = None, reach: int = 12) -> None:
        self.channels = channels
        self.clock = SamplingClock()
        self.broken = False
        self.steps = self.calm = 0
        self.known = np.zeros(channels, bool)
        self.fresh = np.zeros(channels, bool)
        self.moved = np.zeros(channels, bool)
        self.last, self.course, self.unit, self.level, self.increment = np.zeros((5, channels))
        self.dead = np.zeros(channels, bool)
        self.any_dead, self.all_fresh, self.whole, self._settled = False, False, False, False
        self._still = np.zeros(channels, bool)
        self.scale: Floats | None = None
        self.age = np.full(channels, 1e6)
        self._raw, self._rows = np.zeros((13, channels)), np.zeros((len(INPUTS), channels))
        self.inputs = self._rows.T
        self._scaled, self._courses = self._raw[:10], self._raw[3:7]
        self._spread = np.empty_like(self._scaled)
        self._signed, self._seasonal = self._rows[:13], self._raw[7:10]
        self.safe_unit, self.per_unit, self.per_ripe_unit = np.ones((3, channels))
        self._period = period
        self._reach = reach
        self._count, self._silent, self._revivals = np.zeros((3, channels))
        self._movement, self._seen = np.zeros((2, 3, channels))
        self._movements, self._seens = tuple(self._movement), tuple(self._seen)
        self._size, self._work = np.zeros((2, channels))
        self._far = np.zeros(channels, bool)
        # What broadcasts in every step, spread out once: that costs less than the arithmetic.
        self._paces = np.tile(_PACES, channels)
        self._mean_paces, self._moved_means = np.tile(_MEANS, (2, 1, channels))
        self._kept_of_means = 1.0 - self._mean_paces
        self._before = np.zeros((2, channels))
        self.means = np.zeros((4, channels))
        self._joint = np.zeros(4)
        self.seasons: tuple[int, ...] = ()
        self.ring: Floats = np.zeros((1, channels))
        self._resize(self.clock.seasons(period))

    # --- one sample -----------------------------------------------------------------------------

    def step(self, values: Floats, elapsed_s: float) -> None:
        """Take a sample: float64 [C]; what is not a number below 1e100 is missing."""
        if self.clock.step(elapsed_s):
            self._resize(self.clock.seasons(self._period))
        self._skip(self.clock.gap)
        usable = self._take(values)
        size = np.abs(self.increment, self._size)
        self.scale = None
        self._note_jumps(size)
        self._measure(size, usable)
        self.course += self.increment
        self.steps += 1
        self.ring[self.steps % len(self.ring)] = self.course
        self._look()

    def _take(self, values: Floats) -> NDArray[np.bool_] | None:
        """Set last, fresh, increment and the jumps of what was unseen; return which channels can be
        measured, None for all."""
        fresh = np.less(np.abs(values, self._work), _VALUE_MAX, self.fresh)
        self.all_fresh = np.count_nonzero(fresh) == self.channels
        if self.all_fresh and self.whole:
            np.subtract(values, self.last, self.increment)
            self.last[:] = values
            self.moved = self._still
            return None
        born = fresh & ~self.known
        current = np.where(fresh, values, self.last)
        self.increment = np.where(born, 0.0, current - self.last)
        self.last, self.known = current, self.known | fresh
        self.moved = born | (fresh & (self._silent > _GAP_SAMPLES_MAX))
        usable: NDArray[np.bool_] = fresh & ~self.moved & (self._silent == 0)
        self._silent = np.where(fresh, 0.0, self._silent + 1.0)
        self.whole = self.all_fresh
        return usable

    def lags(self, steps: NDArray[np.int64]) -> Floats:
        """Return courses so many steps ago: float64 [..., C]."""
        # Up to one round back: a negative place counts from the end.
        return self.ring.take(self.steps % len(self.ring) - steps, 0)

    def settled(self) -> NDArray[np.bool_]:
        """Which channels have moved often enough to know what is usual for them."""
        return self._count > _SETTLED

    def leap(self, channels: NDArray[np.bool_]) -> None:
        """Let the next value of some channels count as a jump, after which their usual movement is
        learned within a few samples."""
        self._silent[channels] = _GAP_SAMPLES_MAX + 1
        self._count[channels] = _LEAPT
        self.whole = self._settled = False

    def _note_jumps(self, size: Floats) -> None:
        """Mark channels that jumped: with others, or from or to nothing; others were unseen."""
        self.age += _ONE
        self.calm += 1
        far = np.greater(size, np.multiply(self.unit, _MOVED_UNITS, self._work), self._far)
        if np.count_nonzero(far):
            self.moved = self.moved | self._jumped(size)
        if self.moved is not self._still:
            self.calm = 0
            self.age[self.moved] = 0.0
            self.increment[self.moved] = 0.0

    def _jumped(self, size: Floats) -> NDArray[np.bool_]:
        far = self._far & self.settled()
        nothing = np.abs(self.last) <= _DEAD * self.level
        revived = (nothing != self.dead) & far
        self._revivals += _SLOW * (revived - self._revivals)
        revived &= self._revivals < _REVIVALS_MAX
        joint = np.count_nonzero(far & (size > JOINT_UNITS * self.unit)) >= JOINT_CHANNELS
        if not (joint or revived.any()):
            return self._still
        self.dead = np.where(revived, nothing, self.dead)
        self.any_dead = bool(self.dead.any())
        self._rescale(far & ~self.dead)
        return far

    def _rescale(self, moved: NDArray[np.bool_]) -> None:
        """Let the past of channels that carry another load now count in proportion to it."""
        scale = np.where(moved, np.abs(self.last) / np.maximum(self.level, _TINY), 1.0)
        scale = np.clip(scale, 1 / _SCALE_MAX, _SCALE_MAX)
        self.level = self.level * scale
        self.unit = self.unit * scale
        self._movement[0] *= scale
        self.scale = scale
        self._before *= scale
        self.means = self.course + (self.means - self.course) * scale
        self.ring = self.course + (self.ring - self.course) * scale

    def _measure(self, size: Floats, usable: NDArray[np.bool_] | None) -> None:
        """Follow level and usual movement of the channels that have a value and are not dead."""
        level = np.abs(self.last, self._work)
        level -= self.level
        if usable is None and self._settled and self.moved is self._still and not self.any_dead:
            level *= _LEVEL
            self.level += level
            self._follow_size(size, self._paces)
            return
        if self.any_dead:
            self.dead &= np.abs(self.last) <= _DEAD * self.level
            self.any_dead = bool(self.dead.any())
        alive = self.fresh & ~self.dead
        self.level += np.maximum(_LEVEL, 1.0 / (self._count + 1.0)) * alive * level
        stirred = (alive if usable is None else usable & alive) & ~self.moved
        stirred &= (self._count > 0) | (size > 0)
        self._count += stirred
        self._settled = bool((self._count > 1 / _SLOW).all())
        pace = np.maximum(_SLOW, 1.0 / np.maximum(self._count, 1.0)) * stirred
        self._follow_size(size, np.stack((pace, pace, np.maximum(_FAST * stirred, pace))))

    def _follow_size(self, size: Floats, paces: Floats) -> None:
        """Follow the mean movement: plain, in levels, and in levels of late."""
        seen = self._seen
        plain, usual, late = self._seens
        plain[:] = size
        np.divide(size, np.add(self.level, _TINY, usual), usual)
        np.minimum(usual, _RATIO_MAX, out=usual)
        late[:] = usual
        seen -= self._movement
        seen *= paces
        self._movement += seen
        spread, usual, _ = self._movements
        unit = np.multiply(usual, self.level, self.unit)
        np.maximum(unit, np.multiply(spread, _LEAST, self._work), out=unit)
        np.minimum(unit, np.multiply(spread, _MOST, self._work), out=unit)

    def _look(self) -> None:
        """Make the inputs of networks."""
        least = np.multiply(self.level, _SAFE, self._work)
        least += _TINY
        np.maximum(self.unit, least, out=self.safe_unit)
        np.divide(_ONE, self.safe_unit, self.per_unit)
        self.per_ripe_unit = self.per_unit
        if not self._settled:
            self.per_ripe_unit = np.where(self._count < _RIPE, 0.0, self.per_unit)
        raw, courses = self._raw, self._courses
        raw[1:3] = self._before
        raw[0] = self.increment
        self._before[:] = raw[:2]
        np.subtract(self.course, self.means, courses)
        self.means += np.multiply(courses, self._mean_paces, self._moved_means)
        courses *= self._kept_of_means
        if self.seasons:
            ago = self.lags(self._season_lags)
            self._seasonal[:] = ago[0]
            np.subtract(ago[1:], self._seasonal, self._seasonal)
        self._spread[:] = self.per_unit
        self._scaled *= self._spread
        self._follow_all(raw)
        inputs, signed = self._rows, self._signed
        np.abs(raw, signed)
        np.log1p(signed, signed)
        np.copysign(signed, raw, signed)
        np.exp(np.multiply(self.age, _FADE, self._work), inputs[13])
        np.log(np.add(self._movement, _SAFE, self._seen), self._seen)
        _, relative, lively = self._seens
        np.subtract(lively, relative, inputs[15])
        relative *= _QUARTER
        relative += _ONE
        np.maximum(relative, _RELATIVE_MIN, out=inputs[14])

    def _follow_all(self, raw: Floats) -> None:
        """Add what all channels do together: their mean movement in units."""
        alive = self.channels if self.whole else max(int(np.count_nonzero(self.known)), 1)
        together = float(np.add.reduce(raw[0])) / alive
        course, short, long, _ = self._joint.tolist()
        course += together
        short += 0.2 * (course - short)
        long += 0.05 * (course - long)
        self._joint[:] = course, short, long, 0.0
        raw[10], raw[11], raw[12] = together, course - short, course - long

    # --- time -----------------------------------------------------------------------------------

    def _skip(self, gap: int) -> None:
        """Let time pass without samples: the course stands still, the season goes on."""
        self.broken = gap > 0
        if not gap:
            return
        self._silent += min(gap, 10 * len(self.ring))
        rows = self.steps + 1 + np.arange(min(gap, len(self.ring)))
        self.ring[rows % len(self.ring)] = self.course
        self.steps += gap

    def _resize(self, seasons: tuple[int, ...]) -> None:
        """Follow other seasons; what the ring holds of the past goes with it as far as it fits."""
        old = self.ring
        size = max(_RING_STEPS_MIN, 2 * self._reach, *(one + 2 for one in seasons or (0,)))
        ring = np.tile(self.course, (size, 1))
        back = np.arange(min(size, len(old)))
        ring[(self.steps - back) % size] = old[(self.steps - back) % len(old)]
        self.ring, self.seasons = ring, seasons
        if seasons:
            self._season_lags = seasons[0] - np.array((0, *SEASON_STEPS), np.int64) % seasons[0]

    # --- state ----------------------------------------------------------------------------------

    def state(self) -> State:
        """Return everything, the ring included."""
        return {**load_state(self, _KEPT), "clock": np.array(self.clock.state())}

    def restore(self, state: State) -> None:
        """Go on from a state; raises StateError for one that does not fit."""
        clock = state.get("clock", np.zeros(0))
        if clock.dtype != float or clock.ndim != 1 or len(clock) < CLOCK_NUMBERS_MIN:
            raise StateError("restoring a forecaster: it has no clock", "start it anew")
        self.clock.restore(clock.tolist())
        self._resize(self.clock.seasons(self._period))
        state_dict(self, _KEPT, state)
