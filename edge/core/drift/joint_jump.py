"""Several channels jump in the same step: traffic is re-routed, a plant changes its mode."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .detector import DetectedChange, Floats, StatefulDetector
from .regimes import Regimes
from .step_scale import StepScale

MOVED: Final = 6.0
"""Times its usual step from which a channel has moved."""
ALONG: Final = 4.0
"""The same for channels that are named once there is a change."""
CHANNELS_MIN: Final = 3
"""Channels that move at once in a change, unless one falls silent or comes back."""
CONFIRM_STEPS: Final = 2
"""Steps that a move in one direction must last, to tell a change from a burst."""

_SILENT: Final = 0.01
_STAYED: Final = 0.5


class JointJump(StatefulDetector):
    """Names a change in the step in which it happens.

    A change is at least three channels that move more than six times their usual step, or one that
    falls silent (to below a hundredth of its level) or comes back, by a move of that size.  Where
    traffic takes another way some channels rise and others fall: that is named at once.  Where all
    move one way it may be a burst: it is named two steps later, if at least half the channels are
    still more than half way from where they were.  Cost: about 10 µs a step for 30 channels.
    """

    def __init__(self, channels: int) -> None:
        self._movement = StepScale(channels)
        self._regimes = Regimes(channels)
        self._least = min(CHANNELS_MIN, channels)
        self._silent = np.zeros(channels, bool)
        self._floor = np.zeros(channels)
        self._origin = np.zeros(channels)
        self._pending = np.zeros(channels, bool)
        self._since = np.full(1, -1, np.int64)
        self._kept = {
            **self._movement.kept(),
            **self._regimes.kept(),
            "silent": self._silent,
            "floor": self._floor,
            "origin": self._origin,
            "pending": self._pending,
            "since": self._since,
        }
        self._limit = np.zeros(channels)

    def step(self, values: Floats) -> tuple[DetectedChange, ...]:
        """Take one sample."""
        movement = self._movement
        movement.take(values)
        np.multiply(movement.scale, MOVED, out=self._limit)
        moved = movement.sizes > self._limit
        found: tuple[DetectedChange, ...] = ()
        waited = self._since[0] >= 0
        if waited:
            found = self._confirm()
        if np.count_nonzero(moved):
            # What ends a burst moves as much as what began it.
            found += self._judge(moved, fresh=not waited)
        return found

    def _judge(self, moved: NDArray[np.bool_], *, fresh: bool) -> tuple[DetectedChange, ...]:
        """Whether what moved is a change, might be one, or is none.  fresh: nothing is waiting."""
        movement = self._movement
        now, before = movement.last, movement.last - movement.moves
        fell = moved & ~self._silent & (np.abs(now) <= _SILENT * np.abs(before))
        back = moved & self._silent
        self._silent |= fell
        self._silent &= ~back
        if fell.any() or back.any():
            return (self._name("outage" if fell.any() else "return", before, 0),)
        if np.count_nonzero(moved) < self._least:
            return ()
        rising = movement.moves[moved] > 0
        if rising.any() and not rising.all():
            return (self._name("jump", before, 0),)
        if fresh:
            self._since[0] = 0
            self._origin[:] = before
            self._pending[:] = moved
        return ()

    def _confirm(self) -> tuple[DetectedChange, ...]:
        """Whether channels that all moved one way are still where they went."""
        self._since[0] += 1
        if self._since[0] < CONFIRM_STEPS:
            return ()
        self._since[0] = -1
        movement, origin = self._movement, self._origin
        away = np.abs(movement.last - origin) > MOVED * _STAYED * movement.scale
        stayed = np.count_nonzero(away & self._pending)
        if stayed < max(self._least, _STAYED * np.count_nonzero(self._pending)):
            return ()
        return (self._name("jump", origin, CONFIRM_STEPS),)

    def _name(self, kind: str, before: Floats, late: int) -> DetectedChange:
        """Say what changed since the values before.  late: steps since it began."""
        movement = self._movement
        self._since[0] = -1
        shares = movement.relative(before, movement.last)
        # What moved along is named too; nothing else may reach the signature of the state.
        named = np.abs(movement.last - before) > ALONG * movement.scale
        shares[~named] = 0.0
        movement.resize(named)
        step = int(movement.steps[0]) - 1
        severity = float(np.abs(shares[named]).mean()) if named.any() else 0.0
        channels = tuple(np.flatnonzero(named).tolist())
        return DetectedChange(
            step=step,
            start=step - late,
            severity=severity,
            channels=channels,
            kind=kind,
            regime=self._regimes.enter(shares),
        )
