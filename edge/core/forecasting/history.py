"""The history of all channels, corrected for jumps, in units of each channel's usual movement.

A re-routing moves many links at once.  What the lags of a forecaster remember from before has then
nothing to say: such increments are left out of the corrected course, of which all else is made.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .clock import Clock
from .forecaster import Floats

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
_JOINT_CHANNELS = 3
_JOINT_UNITS, _MOVED_UNITS = 6.0, 4.0
_DEAD, _LEVEL, _SLOW, _FAST = 1e-3, 0.1, 0.01, 0.1
_GAP_SAMPLES_MAX = 3
_REVIVALS_MAX, _SCALE_MAX = 0.05, 20.0
_RING_STEPS_MIN = 64
_SETTLED = 20
_UNIT_SPREADS = 4.0


def squash(values: Floats) -> Floats:
    """Return sign(v) log(1 + |v|)."""
    return np.copysign(np.log1p(np.abs(values)), values)


class History:
    """Takes samples and keeps what is known of C channels, float64 [C] unless said otherwise.

    last: newest finite value (0 before the first, where `known` is False).  fresh: whether this
    sample had a value.  moved: whether it jumped.  course: sum of all increments without jumps.
    unit: usual movement a step.  level: usual size.  age: samples since the last jump.
    dead: whether it jumped to nothing.  scale: what a joint jump multiplied the past by, or None.
    inputs: [C, len(INPUTS)], what networks see.  broken: whether a gap in time lies before it.
    Cost: O(C) a step; memory: one season of courses.
    """

    def __init__(self, channels: int, period: int | None = None, reach: int = 12) -> None:
        self.channels = channels
        self.clock = Clock()
        self.broken = False
        self.steps = 0
        self.known = np.zeros(channels, bool)
        self.fresh = np.zeros(channels, bool)
        self.moved = np.zeros(channels, bool)
        self.last, self.course, self.unit, self.level, self.increment = np.zeros((5, channels))
        self.dead = np.zeros(channels, bool)
        self.scale: Floats | None = None
        self.age = np.full(channels, 1e6)
        self.inputs = np.zeros((channels, len(INPUTS)))
        self._period = period
        self._reach = reach
        self._count, self._silent, self._relative, self._lively, self._revivals, self._spread = (
            np.zeros((6, channels))
        )
        self._before = np.zeros((3, channels))  # increments
        self._means = np.zeros((4, channels))
        self._joint = np.zeros(4)
        self._resize(self.clock.seasons(period))

    # --- one sample -----------------------------------------------------------------------------

    def step(self, values: Floats, elapsed_s: float) -> None:
        """Take a sample: float64 [C], NaN or infinite where missing.  Never fails for a value."""
        if self.clock.step(elapsed_s):
            self._resize(self.clock.seasons(self._period))
        self._skip(self.clock.gap)
        fresh = np.isfinite(values)
        born = fresh & ~self.known
        self.fresh = fresh
        current = np.where(fresh, values, self.last)
        increment = np.where(born, 0.0, current - self.last)
        self.last = current
        self.known = self.known | fresh
        self.scale = None
        self.moved = self._jumped(increment, born)
        self._measure(np.abs(increment), fresh & ~born)
        self.increment = np.where(self.moved, 0.0, increment)
        self.age = np.where(self.moved, 0.0, self.age + 1.0)
        self._silent = np.where(fresh, 0.0, self._silent + 1.0)
        self.course = self.course + self.increment
        self.steps += 1
        self.ring[self.steps % len(self.ring)] = self.course
        self._look()

    def lags(self, steps: NDArray[np.int64]) -> Floats:
        """Return courses so many steps ago: float64 [..., C]."""
        return self.ring[(self.steps - steps) % len(self.ring)]

    def _jumped(self, increment: Floats, born: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Say which channels jumped: with others, from or to nothing, or while unseen."""
        unseen = born | (self.fresh & (self._silent > _GAP_SAMPLES_MAX))
        size = np.abs(increment)
        if not (size > _MOVED_UNITS * self.unit).any():
            return unseen
        settled = self._count > _SETTLED
        far = (size > _MOVED_UNITS * self.unit) & settled
        nothing = np.abs(self.last) <= _DEAD * self.level
        revived = (nothing != self.dead) & far
        self._revivals += _SLOW * (revived - self._revivals)
        revived &= self._revivals < _REVIVALS_MAX
        joint = np.count_nonzero(far & (size > _JOINT_UNITS * self.unit)) >= _JOINT_CHANNELS
        if not (joint or revived.any()):
            return unseen
        self.dead = np.where(revived, nothing, self.dead)
        self._rescale(far & ~self.dead)
        return unseen | far

    def _rescale(self, moved: NDArray[np.bool_]) -> None:
        """Let the past of channels that carry another load now count in proportion to it."""
        scale = np.where(moved, np.abs(self.last) / np.maximum(self.level, 1e-300), 1.0)
        scale = np.clip(scale, 1 / _SCALE_MAX, _SCALE_MAX)
        self.level = self.level * scale
        self.unit = self.unit * scale
        self._spread = self._spread * scale
        self.scale = scale
        self._before *= scale
        self._means = self.course + (self._means - self.course) * scale
        self.ring = self.course + (self.ring - self.course) * scale

    def _measure(self, size: Floats, usable: NDArray[np.bool_]) -> None:
        """Follow level and usual movement of the channels that have a value and are not dead."""
        usable = usable & ~self.moved & ~self.dead & (self._silent == 0)
        rate = np.maximum(_LEVEL, 1.0 / (self._count + 1.0)) * (self.fresh & ~self.dead)
        self.level += rate * (np.abs(self.last) - self.level)
        stirred = usable & ((self._count > 0) | (size > 0))
        self._count += stirred
        pace = np.maximum(_SLOW, 1.0 / np.maximum(self._count, 1.0)) * stirred
        relative = np.minimum(size / (self.level + 1e-300), 1e6)
        self._relative += pace * (relative - self._relative)
        self._lively += np.maximum(_FAST * stirred, pace) * (relative - self._lively)
        self._spread += pace * (size - self._spread)
        self.unit = np.clip(
            self._relative * self.level, self._spread / _UNIT_SPREADS, self._spread * _UNIT_SPREADS
        )

    def _look(self) -> None:
        """Make the inputs of networks."""
        unit = np.maximum(self.unit, 1e-9 * self.level + 1e-300)
        self._before[1:] = self._before[:-1]
        self._before[0] = self.increment
        self._means += _MEANS * (self.course - self._means)
        raw = np.empty((13, self.channels))
        raw[:3] = self._before
        raw[3:7] = self.course - self._means
        if self.seasons:
            ago = self.lags(self._season_lags)
            raw[7:10] = ago[1:] - ago[0]
        else:
            raw[7:10] = 0.0
        raw[:10] /= unit
        self._follow_all(raw)
        inputs = self.inputs
        inputs[:, :13] = squash(raw).T
        inputs[:, 13] = np.exp(-0.1 * self.age)
        inputs[:, 14] = 0.25 * np.log(self._relative + 1e-6) + 1.0
        inputs[:, 15] = np.log((self._lively + 1e-9) / (self._relative + 1e-9))

    def _follow_all(self, raw: Floats) -> None:
        """Add what all channels do together: their mean movement in units."""
        alive = max(int(np.count_nonzero(self.known)), 1)
        together = float(raw[0].sum()) / alive
        joint = self._joint
        joint[0] += together
        joint[1] += 0.2 * (joint[0] - joint[1])
        joint[2] += 0.05 * (joint[0] - joint[2])
        raw[10] = together
        raw[11] = joint[0] - joint[1]
        raw[12] = joint[0] - joint[2]

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
        old = getattr(self, "ring", None)
        size = max(_RING_STEPS_MIN, 2 * self._reach, *(one + 2 for one in seasons or (0,)))
        ring = np.tile(self.course, (size, 1))
        if old is not None:
            back = np.arange(min(size, len(old)))
            ring[(self.steps - back) % size] = old[(self.steps - back) % len(old)]
        self.ring, self.seasons = ring, seasons
        if seasons:
            self._season_lags = seasons[0] - np.array((0, *SEASON_STEPS), np.int64) % seasons[0]
