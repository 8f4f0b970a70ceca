"""One channel moves away from where it was: cumulative sums of its steps."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .detector import DetectedChange, Floats, State, StatefulDetector
from .regimes import Regimes
from .step_scale import StepScale

ALLOWANCE: Final = 1.5
"""Usual steps that a channel may move in one step without being counted."""
THRESHOLD: Final = 14.0
"""Sum of what is counted, in usual steps, from which the channel has changed."""

CONFIRM_STEPS: Final = 2
"""Steps that a change must last, to tell it from a burst."""

_CLIP: Final = 20.0
_STAYED: Final = 0.5


class ChannelCusum(StatefulDetector):
    """Two-sided cumulative sums of each channel's steps in units of their usual size (Page 1954,
    "Continuous inspection schemes", Biometrika 41; the Page-Hinkley test is the same sum).

    A sum that passes the threshold is a change if half of it is still there two steps later, so
    that a burst of a step or two is none.  Channels that change in one step are one change.  Cost:
    about 20 µs a step for 30 channels.
    """

    def __init__(self, channels: int) -> None:
        self._movement = StepScale(channels)
        self._regimes = Regimes(channels)
        # Rows: upwards, downwards.  `since`: how far it moved, and steps, since a sum was last 0.
        self._sums = np.zeros((2, channels))
        self._since = np.zeros((2, 2, channels))
        # Where a sum passes the threshold: the value that it counts from, how far it is from there,
        # the level before, and the step at which it began.
        self._before, self._moved, self._level = np.zeros((3, channels))
        self._begun = np.zeros(channels, np.int64)
        # Steps since a channel's sum passed the threshold, -1 where none waits.
        self._waited = np.full(channels, -1, np.int64)
        self._kept = {
            **self._movement.kept(),
            **self._regimes.kept(),
            "sums": self._sums,
            "since": self._since,
            "before": self._before,
            "moved": self._moved,
            "level": self._level,
            "begun": self._begun,
            "waited": self._waited,
        }
        self._waiting = False
        self._units = np.zeros((2, channels))
        # What `since` grows by in each step: the moves, and 1.
        self._growth = np.ones((2, 1, channels))
        # Views, since taking one costs as much as adding up its numbers.
        self._up, self._down = self._units
        self._moves = self._growth[0, 0]

    def step(self, values: Floats) -> tuple[DetectedChange, ...]:
        """Take one sample."""
        movement, sums, units, up = self._movement, self._sums, self._units, self._up
        movement.take(values)
        np.divide(movement.moves, movement.scale, out=up)
        np.minimum(up, _CLIP, out=up)
        np.maximum(up, -_CLIP, out=up)
        np.negative(up, out=self._down)
        sums += units
        sums -= ALLOWANCE
        np.maximum(sums, 0.0, out=sums)
        self._moves[:] = movement.moves
        self._since += self._growth
        np.sign(sums, out=units)
        self._since *= units
        found = self._confirm() if self._waiting else ()
        if sums.max() > THRESHOLD:
            self._suspect()
        return found

    def restore(self, state: State) -> None:
        """Go on where `state` was taken."""
        super().restore(state)
        self._waiting = bool((self._waited >= 0).any())

    def _suspect(self) -> None:
        """Note where the channels come from whose sums have passed the threshold."""
        passed = (self._sums > THRESHOLD) & (self._waited < 0)
        either = passed[0] | passed[1]
        side, columns = np.where(passed[0], 0, 1)[either], np.flatnonzero(either)
        moved, ages = self._since[:, side, columns]
        self._moved[columns] = moved
        self._before[columns] = self._movement.last[columns] - moved
        self._level[columns] = self._movement.was[columns]
        self._begun[columns] = self._movement.steps[0] - ages.astype(np.int64)
        self._waited[columns] = 0
        self._waiting = True

    def _confirm(self) -> tuple[DetectedChange, ...]:
        """Name the channels that have moved away and have not come half of the way back since."""
        movement, waiting = self._movement, self._waited >= 0
        self._waited[waiting] += 1
        share = (movement.last - self._before) * np.sign(self._moved)
        there = waiting & ~(share < _STAYED * np.abs(self._moved))
        self._drop(waiting & ~there)
        named = there & (self._waited >= CONFIRM_STEPS)
        self._waiting = bool((self._waited >= 0).any())
        if not named.any():
            return ()
        shares = movement.relative(self._before, movement.last)
        shares[~named] = 0.0
        movement.resize(named, self._level)
        step = int(movement.steps[0]) - 1
        start = max(int(self._begun[named].min()), 0)
        severity = float(np.abs(shares[named]).mean())
        channels = tuple(np.flatnonzero(named).tolist())
        self._drop(named)
        self._waiting = bool((self._waited >= 0).any())
        number = self._regimes.enter(shares)
        return (
            DetectedChange(
                step=step,
                start=start,
                severity=severity,
                channels=channels,
                kind="level",
                regime=number,
            ),
        )

    def _drop(self, named: NDArray[np.bool_]) -> None:
        """Begin the sums of some channels anew: what ends a burst counts as little as the burst."""
        self._sums[:, named] = 0.0
        self._waited[named] = -1
