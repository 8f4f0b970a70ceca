"""CUSUM per channel: detects level shifts and slides of single channels."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .detector import DetectedChange, Floats, State, StatefulDetector
from .regimes import Regimes
from .step_scale import StepScale

ALLOWANCE: Final = 1.5
"""Mean steps that do not count towards the sum in a step: the drift term of CUSUM.  Chosen by hand;
effect not measured."""
THRESHOLD: Final = 14.0
"""Sum, in mean steps, from which a channel may have changed.  Chosen by hand; effect not
measured."""

CONFIRM_STEPS: Final = 2
"""Steps that a change must last, or it counts as a burst.  Chosen by hand; effect not measured."""

# Largest step in mean steps that enters the sums: it exceeds the threshold alone, and a spike is
# forgotten soon.  Chosen by hand; effect not measured.
_CLIP: Final = 20.0
# Share of the movement that must remain when a change is confirmed.  Chosen by hand; effect not
# measured.
_STAYED: Final = 0.5


class ChannelCusum(StatefulDetector):
    """Two-sided cumulative sums of each channel's steps, in mean steps of the channel (Page 1954,
    "Continuous inspection schemes", Biometrika 41; the Page-Hinkley test is the same sum).

    A sum above the threshold is a change if half of the movement remains two steps later, so that
    bursts of one or two steps are ignored.  Channels that change in one step are one change.  Cost:
    about 20 µs a step for 30 channels.
    """

    def __init__(self, channels: int) -> None:
        self._movement = StepScale(channels)
        self._regimes = Regimes(channels)
        # Rows: upwards, downwards.  `since`: movement, and steps, since a sum was last 0.
        self._sums = np.zeros((2, channels))
        self._since = np.zeros((2, 2, channels))
        # Of a channel whose sum passed the threshold: its value before the change, its movement
        # since, its level before, and the step at which the change began.
        self._before, self._moved, self._level = np.zeros((3, channels))
        self._begun = np.zeros(channels, np.int64)
        # Steps since a channel's sum passed the threshold, -1 where no change is pending.
        self._pending_steps = np.full(channels, -1, np.int64)
        self._arrays = {
            **self._movement.arrays(),
            **self._regimes.arrays(),
            "sums": self._sums,
            "since": self._since,
            "before": self._before,
            "moved": self._moved,
            "level": self._level,
            "begun": self._begun,
            "waited": self._pending_steps,
        }
        self._any_pending = False
        self._units = np.zeros((2, channels))
        # Added to `since` in each step: the moves, and 1.
        self._growth = np.ones((2, 1, channels))
        # Views made once: making one costs as much as the arithmetic on it.
        self._up, self._down = self._units
        self._moves = self._growth[0, 0]

    def step(self, values: Floats) -> tuple[DetectedChange, ...]:
        """Update with one sample."""
        movement, sums, units, up = self._movement, self._sums, self._units, self._up
        movement.update(values)
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
        found = self._confirm() if self._any_pending else ()
        if sums.max() > THRESHOLD:
            self._suspect()
        return found

    def restore(self, state: State) -> None:
        """Continue from a state."""
        super().restore(state)
        self._any_pending = bool((self._pending_steps >= 0).any())

    def _suspect(self) -> None:
        """Record the values before the change of channels whose sums passed the threshold."""
        passed = (self._sums > THRESHOLD) & (self._pending_steps < 0)
        either = passed[0] | passed[1]
        side, columns = np.where(passed[0], 0, 1)[either], np.flatnonzero(either)
        moved, ages = self._since[:, side, columns]
        self._moved[columns] = moved
        self._before[columns] = self._movement.last[columns] - moved
        self._level[columns] = self._movement.level_before[columns]
        self._begun[columns] = self._movement.steps[0] - ages.astype(np.int64)
        self._pending_steps[columns] = 0
        self._any_pending = True

    def _confirm(self) -> tuple[DetectedChange, ...]:
        """Report pending channels that have not come half of the way back."""
        movement, pending = self._movement, self._pending_steps >= 0
        self._pending_steps[pending] += 1
        remaining = (movement.last - self._before) * np.sign(self._moved)
        stayed = pending & ~(remaining < _STAYED * np.abs(self._moved))
        self._reset(pending & ~stayed)
        confirmed = stayed & (self._pending_steps >= CONFIRM_STEPS)
        self._any_pending = bool((self._pending_steps >= 0).any())
        if not confirmed.any():
            return ()
        shares = movement.relative(self._before, movement.last)
        shares[~confirmed] = 0.0
        movement.rescale(confirmed, self._level)
        step = int(movement.steps[0]) - 1
        start = max(int(self._begun[confirmed].min()), 0)
        severity = float(np.abs(shares[confirmed]).mean())
        channels = tuple(np.flatnonzero(confirmed).tolist())
        self._reset(confirmed)
        self._any_pending = bool((self._pending_steps >= 0).any())
        regime = self._regimes.enter(shares)
        return (
            DetectedChange(
                step=step,
                start=start,
                severity=severity,
                channels=channels,
                kind="level",
                regime=regime,
            ),
        )

    def _reset(self, channels: NDArray[np.bool_]) -> None:
        """Reset the sums of some channels: the end of a burst counts as little as the burst."""
        self._sums[:, channels] = 0.0
        self._pending_steps[channels] = -1
