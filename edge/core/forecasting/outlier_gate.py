"""A lone value that lies absurdly far out: withheld until another one says the same."""

from typing import Final

import numpy as np

from .forecaster import Floats, State
from .history import JOINT_CHANNELS, JOINT_UNITS, JumpCorrectedHistory
from .state_dict import load_state, state_dict

_UNITS: Final = 20.0
_SPANS: Final = 10.0
_MEMORY_STEPS: Final = 50
_KEPT = ("seen",)


class OutlierGate:
    """Takes a value for missing that is more than ten times the range of late outside of it.

    A sensor's mark for "no reading" (-999, 65535) or a bit that fell over would stay in means,
    seasons and units for hundreds of samples.  Where fifty samples bring another such value, the
    channel leaps: it has changed its unit, or such values are how it is.  A sample in which three
    channels jump, by however much each, is no fault of one: all its values count.
    seen: int64 [C], the step of the last value that was withheld.
    Cost: about 1 µs for 30 channels.
    """

    def __init__(self, channels: int) -> None:
        self.seen = np.full(channels, -_MEMORY_STEPS)
        self._inside = np.empty(channels, bool)

    def take(
        self, values: Floats, history: JumpCorrectedHistory, span: Floats, near: Floats
    ) -> Floats:
        """Return the values [C] that come after the history's newest, NaN where withheld; tell the
        history of leaps.  span: [2, C], the least and the largest of late; near: [2, C], bounds of
        what needs no second look."""
        inside, count = self._inside, len(values)
        if (
            np.count_nonzero(np.less_equal(near[0], values, inside)) == count
            and np.count_nonzero(np.less_equal(values, near[1], inside)) == count
        ):
            return values
        return self._weigh(values, history, span)

    def _weigh(self, values: Floats, history: JumpCorrectedHistory, span: Floats) -> Floats:
        low, high = span
        out, room = np.maximum(values - high, low - values), _SPANS * (high - low)
        size = np.abs(values - history.last)
        usable = np.isfinite(values) & history.settled()
        strange = usable & (size > _UNITS * history.unit) & (room > 0) & (out > room)
        # The rule of `History`: where a load finds another way, one link may rise to ten times its
        # range while others only double.
        together = np.count_nonzero(usable & (size > JOINT_UNITS * history.unit))
        if not strange.any() or together >= JOINT_CHANNELS:
            return values
        alone = strange & (history.steps - self.seen >= _MEMORY_STEPS)
        self.seen[alone] = history.steps
        history.leap(strange & ~alone)
        return np.where(alone, np.nan, values)

    def state(self) -> State:
        """Return when values were withheld."""
        return load_state(self, _KEPT)

    def restore(self, state: State) -> None:
        """Go on from a state."""
        state_dict(self, _KEPT, state)
