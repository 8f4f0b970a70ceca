"""How far each channel moved in a step, in units of how far it usually moves."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .detector import Floats

WARM_STEPS: Final = 24
"""Samples of a channel before it is judged."""

_RATE: Final = 0.02
_CLIP: Final = 4.0
_SCALE_MIN: Final = 1e-3
_TINY: Final = 1e-12
# Beyond it differences would leave what a float can hold; such a value counts as missing.
_HUGE: Final = 1e150


class StepScale:
    """Running size of each channel's level and of its steps.

    After `take`, for all channels [C]: `moves` the change since the sample before (0 where it can't
    be told), `sizes` its absolute value, `scale` the mean size before this step, at least a
    thousandth of `level`, the mean absolute value; both are running means over some 50 samples, and
    a step counts four times the scale at most, so that a jump leaves it as it was.  `was`: the
    level before this sample.
    """

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self.last = np.full(channels, np.nan)
        self.moves = np.zeros(channels)
        self.sizes = np.zeros(channels)
        self.scale = np.ones(channels)
        self.seen = np.zeros(channels)
        self.steps = np.zeros(1, np.int64)
        # Rows: mean size of a step, mean absolute value.
        self._means = np.zeros((2, channels))
        self._news = np.zeros((2, channels))
        self.level, self.was = self._means[1], np.zeros(channels)
        self._warm = False

    def kept(self) -> dict[str, NDArray[Any]]:
        """The arrays that hold what was learned."""
        return {"last": self.last, "means": self._means, "seen": self.seen, "steps": self.steps}

    def take(self, values: Floats) -> bool:
        """Take a sample; whether every channel is there and was seen often enough to be judged."""
        if values.shape != (self.channels,):
            raise ValueError(f"expected a sample [{self.channels}], found {values.shape}")
        self.steps[0] += 1
        self.was[:] = self.level
        np.abs(values, out=self._news[1])
        if not self._warm or not self._news[1].max() < _HUGE:
            return self._take_some(values)
        np.subtract(values, self.last, out=self.moves)
        np.abs(self.moves, out=self.sizes)
        self._learn()
        self._means += self._news
        self.last[:] = values
        return True

    def _learn(self) -> None:
        """Set the scale from what came before, and `_news` to what the means have to add."""
        sizes = self._news[0]
        np.multiply(self.level, _SCALE_MIN, out=self.scale)
        self.scale += _TINY
        np.maximum(self.scale, self._means[0], out=self.scale)
        np.multiply(self.scale, _CLIP, out=sizes)
        np.minimum(sizes, self.sizes, out=sizes)
        self._news -= self._means
        self._news *= _RATE

    def _take_some(self, values: Floats) -> bool:
        """As `take`, where channels are missing or new: those are 0 in moves and sizes."""
        there = self._news[1] < _HUGE
        both = there & np.isfinite(self.last)
        values = np.where(there, values, 0.0)
        np.abs(values, out=self._news[1])
        self.moves[:] = np.where(both, values - self.last, 0.0)
        np.abs(self.moves, out=self.sizes)
        self.seen += there & (self.seen <= WARM_STEPS)
        young = both & (self.seen <= WARM_STEPS)
        self._learn()
        plain = np.stack((self.sizes, np.abs(values))) - self._means
        self._means[:, young] += (plain / np.maximum(self.seen - 1.0, 1.0))[:, young]
        old = both & ~young
        self._means[:, old] += self._news[:, old]
        self.moves[~old] = self.sizes[~old] = 0.0
        # A gap says nothing about one step: the first value after it is where counting starts.
        self.last[:] = np.where(there, values, np.nan)
        self._warm = bool((self.seen > WARM_STEPS).all() and there.all())
        return self._warm

    def resize(self, named: NDArray[np.bool_], before: Floats | None = None) -> None:
        """After a jump of some channels expect steps in proportion to their new level, as the
        channels have in the middle, or what is only livelier than before would be another jump.
        before: their levels before it, where some of it has entered `level`."""
        level = self.level if before is None else np.where(named, before, self.level)
        usual = float(np.median(self._means[0] / (level + _TINY)))
        sizes = np.abs(self.last)
        self.level[named] = sizes[named]
        np.maximum(self._means[0], usual * sizes, out=self._means[0], where=named)

    def relative(self, before: Floats, after: Floats) -> Floats:
        """Changes as a share of the larger of two values, -1 to 1; 0 for what is missing."""
        larger = np.maximum(np.maximum(np.abs(before), np.abs(after)), _TINY)
        share = np.clip((after - before) / larger, -1.0, 1.0)
        return np.where(np.isfinite(share), share, 0.0)
