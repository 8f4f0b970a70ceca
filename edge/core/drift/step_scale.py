"""The scale of each channel's steps: moves relative to their running mean size."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .detector import Floats

WARM_STEPS: Final = 24
"""Samples of a channel before its moves count: its scale is unknown before.  Chosen by hand; effect
not measured."""

# Rate of the running means, about 50 samples.  Chosen by hand; effect not measured.
_RATE: Final = 0.02
# Scales that a step counts at most, so that a jump hardly changes the scale.  Chosen by hand;
# effect not measured.
_CLIP: Final = 4.0
# Least scale as a share of the level: a constant channel has no scale of its own.  Chosen by hand;
# effect not measured.
_SCALE_MIN: Final = 1e-3
# Keeps divisors above 0 for channels at zero.
_TINY: Final = 1e-12
# Differences of larger values could overflow a float; such values count as missing.
_HUGE: Final = 1e150


class StepScale:
    """Running means of each channel's level and step size.

    After `update`, for all channels [C]: `moves` is the change since the previous sample (0 where
    unknown), `sizes` its absolute value, `scale` the mean size before this step, at least a
    thousandth of `level`, the mean absolute value.  Both are running means over some 50 samples; a
    step counts as four scales at most, so that a jump hardly changes them.  `level_before`: the
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
        self._updates = np.zeros((2, channels))
        self.level, self.level_before = self._means[1], np.zeros(channels)
        self._warm = False

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the state, by the name they are stored under."""
        return {"last": self.last, "means": self._means, "seen": self.seen, "steps": self.steps}

    def update(self, values: Floats) -> bool:
        """Update with a sample; return whether every channel has a value and a known scale.

        Raises ValueError for a sample of another shape.
        """
        if values.shape != (self.channels,):
            raise ValueError(
                f"detecting changes: expected a sample [{self.channels}], found {values.shape}"
            )
        self.steps[0] += 1
        self.level_before[:] = self.level
        np.abs(values, out=self._updates[1])
        if not self._warm or not self._updates[1].max() < _HUGE:
            return self._update_some(values)
        np.subtract(values, self.last, out=self.moves)
        np.abs(self.moves, out=self.sizes)
        self._set_scale()
        self._means += self._updates
        self.last[:] = values
        return True

    def _set_scale(self) -> None:
        """Set the scale from the previous samples, and `_updates` to the change of the means."""
        sizes = self._updates[0]
        np.multiply(self.level, _SCALE_MIN, out=self.scale)
        self.scale += _TINY
        np.maximum(self.scale, self._means[0], out=self.scale)
        np.multiply(self.scale, _CLIP, out=sizes)
        np.minimum(sizes, self.sizes, out=sizes)
        self._updates -= self._means
        self._updates *= _RATE

    def _update_some(self, values: Floats) -> bool:
        """Update when channels are missing or new: their moves and sizes are 0."""
        present = self._updates[1] < _HUGE
        both = present & np.isfinite(self.last)
        values = np.where(present, values, 0.0)
        np.abs(values, out=self._updates[1])
        self.moves[:] = np.where(both, values - self.last, 0.0)
        np.abs(self.moves, out=self.sizes)
        self.seen += present & (self.seen <= WARM_STEPS)
        young = both & (self.seen <= WARM_STEPS)
        self._set_scale()
        plain = np.stack((self.sizes, np.abs(values))) - self._means
        self._means[:, young] += (plain / np.maximum(self.seen - 1.0, 1.0))[:, young]
        old = both & ~young
        self._means[:, old] += self._updates[:, old]
        self.moves[~old] = self.sizes[~old] = 0.0
        # A gap says nothing about a single step: moves count again from the first value after it.
        self.last[:] = np.where(present, values, np.nan)
        self._warm = bool((self.seen > WARM_STEPS).all() and present.all())
        return self._warm

    def rescale(self, jumped: NDArray[np.bool_], before: Floats | None = None) -> None:
        """Raise the scale of channels that jumped in proportion to their new level, by the median
        ratio of all channels; their larger steps would otherwise look like further jumps.
        before: their levels before the jump, if `level` already contains part of it."""
        level = self.level if before is None else np.where(jumped, before, self.level)
        ratio = float(np.median(self._means[0] / (level + _TINY)))
        sizes = np.abs(self.last)
        self.level[jumped] = sizes[jumped]
        np.maximum(self._means[0], ratio * sizes, out=self._means[0], where=jumped)

    def relative(self, before: Floats, after: Floats) -> Floats:
        """Return changes as a share of the larger of two values, -1 to 1; 0 where missing."""
        larger = np.maximum(np.maximum(np.abs(before), np.abs(after)), _TINY)
        share = np.clip((after - before) / larger, -1.0, 1.0)
        return np.where(np.isfinite(share), share, 0.0)
