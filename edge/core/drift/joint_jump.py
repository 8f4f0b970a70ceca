"""Joint jumps of several channels, such as re-routed traffic or a plant that changes its mode."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .detector import DetectedChange, Floats, StatefulDetector
from .regimes import Regimes
from .step_scale import StepScale

JUMPED: Final = 6.0
"""Mean steps from which a channel has jumped.  Chosen by hand; effect not measured."""
AFFECTED: Final = 4.0
"""Mean steps from which a channel is reported with a change.  Chosen by hand; effect not
measured."""
CHANNELS_MIN: Final = 3
"""Channels that must jump at once, unless one falls silent or comes back: two move together by
chance.  Chosen by hand; effect not measured."""
CONFIRM_STEPS: Final = 2
"""Steps that a jump in one direction must last, or it counts as a burst.  Chosen by hand; effect
not measured."""

# Share of its level below which a channel is silent.  Chosen by hand; effect not measured.
_SILENT: Final = 0.01
# Share of the movement, and of the channels, that must remain when a jump is confirmed.  Chosen by
# hand; effect not measured.
_STAYED: Final = 0.5


class JointJump(StatefulDetector):
    """Detects joint jumps, in most cases in the step in which they happen.

    A change is at least three channels that move by more than six of their mean steps, or one that
    falls silent (below a hundredth of its level) or comes back by a move of that size.  When
    traffic is re-routed some channels rise and others fall: this is reported at once.  If all move
    in one direction, it may be a burst: it is reported two steps later, if at least half of the
    channels are still more than half way from their values before.  Cost: about 10 µs a step for 30
    channels.
    """

    def __init__(self, channels: int, regimes: Regimes | None = None) -> None:
        self._movement = StepScale(channels)
        self._regimes = regimes or Regimes(channels)
        self._least = min(CHANNELS_MIN, channels)
        self._silent = np.zeros(channels, bool)
        self._floor = np.zeros(channels)
        self._origin = np.zeros(channels)
        self._pending = np.zeros(channels, bool)
        self._since = np.full(1, -1, np.int64)
        self._arrays = {
            **self._movement.arrays(),
            **self._regimes.arrays(),
            "silent": self._silent,
            "floor": self._floor,
            "origin": self._origin,
            "pending": self._pending,
            "since": self._since,
        }
        self._limit = np.zeros(channels)

    def step(self, values: Floats) -> tuple[DetectedChange, ...]:
        """Update with one sample."""
        movement = self._movement
        movement.update(values)
        np.multiply(movement.scale, JUMPED, out=self._limit)
        moved = movement.sizes > self._limit
        found: tuple[DetectedChange, ...] = ()
        pending = self._since[0] >= 0
        if pending:
            found = self._confirm()
        if np.count_nonzero(moved):
            # The end of a burst moves as much as its start, so it does not start another.
            found += self._classify(moved, may_wait=not pending)
        return found

    def _classify(self, moved: NDArray[np.bool_], *, may_wait: bool) -> tuple[DetectedChange, ...]:
        """Report a change, mark it as pending, or ignore it.  may_wait: none is pending."""
        movement = self._movement
        now, before = movement.last, movement.last - movement.moves
        fell = moved & ~self._silent & (np.abs(now) <= _SILENT * np.abs(before))
        back = moved & self._silent
        self._silent |= fell
        self._silent &= ~back
        if fell.any() or back.any():
            return (self._report("outage" if fell.any() else "return", before, 0),)
        if np.count_nonzero(moved) < self._least:
            return ()
        rising = movement.moves[moved] > 0
        if rising.any() and not rising.all():
            return (self._report("jump", before, 0),)
        if may_wait:
            self._since[0] = 0
            self._origin[:] = before
            self._pending[:] = moved
        return ()

    def _confirm(self) -> tuple[DetectedChange, ...]:
        """Report a pending jump in one direction if the channels have stayed."""
        self._since[0] += 1
        if self._since[0] < CONFIRM_STEPS:
            return ()
        self._since[0] = -1
        movement, origin = self._movement, self._origin
        away = np.abs(movement.last - origin) > JUMPED * _STAYED * movement.scale
        stayed = np.count_nonzero(away & self._pending)
        if stayed < max(self._least, _STAYED * np.count_nonzero(self._pending)):
            return ()
        return (self._report("jump", origin, CONFIRM_STEPS),)

    def _report(self, kind: str, before: Floats, late: int) -> DetectedChange:
        """Describe the change from the values before.  late: steps since it began."""
        movement = self._movement
        self._since[0] = -1
        shares = movement.relative(before, movement.last)
        # Only affected channels may enter the signature of the regime.
        affected = np.abs(movement.last - before) > AFFECTED * movement.scale
        shares[~affected] = 0.0
        movement.rescale(affected)
        step = int(movement.steps[0]) - 1
        severity = float(np.abs(shares[affected]).mean()) if affected.any() else 0.0
        channels = tuple(np.flatnonzero(affected).tolist())
        return DetectedChange(
            step=step,
            start=step - late,
            severity=severity,
            channels=channels,
            kind=kind,
            regime=self._regimes.enter(shares),
        )
