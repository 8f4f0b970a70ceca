"""Affine quantisation of float features to uint8, with scales and zero points frozen once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import numeric, require_finite
from .errors import CardError, PayloadError
from .native import QUANTISE

T = TypeVar("T", bound=np.generic)

Granularity = Literal["tap", "channel"]

LEVEL_MAX = 255  # uint8
HEADROOM = 0.25
"""Share of the calibrated range that a quantiser covers beyond each end.  Chosen by hand."""
SHARED_MIN = 8
"""Columns share a physical range, as pixels or the counts of one converter do, if at least two, and
at least one in so many of those that vary, reach both its ends exactly, and three in four reach
zero.  Columns of two values do not count: flags lie beside quantities of any kind.  Chosen on the
sets of part `answers` of the benchmark `trust`."""
ARRAY_COLUMNS_MIN = 16
"""Varying columns of a table from which such columns may be pixels without being counts: a smaller
table has quantities of several units that happen to reach the same ends.  Chosen by hand."""
WIDER_MAX = 16
"""Factor by which such a column's range may be widened, so that its own values keep 16 levels.
With 4, 8, 16 and 32 digits of another data set lose 1.3, 0.9, 0.4 and 0.2 points of accuracy (12
draws of part `answers`); with 8 levels, more is lost where labels depend on such a column."""
UNIT_PART = 1e-3
"""Part of a unit by which a value may differ from a whole number of units: rounding of float32."""
UNIT_ROWS = 256
"""Number of rows, about, in which the unit is the smallest difference of two values."""

# float32 has 24 significant bits: a zero point beyond 2**22 would leave less than two for a value.
ZERO_MAX = 1 << 22


@dataclass(frozen=True, slots=True, eq=False)
class Quantiser:
    """An affine map of every column to 0..255: `q = clip(round(v / scale) + zero, 0, 255)`, rounded
    half to even, as QuantizeLinear of the ONNX operator set does.

    scale: float32 [width], positive and finite.  zero: int32 [width]; 0..255 if the column's range
    contains zero, outside if the values are far from zero (such as mains voltage).  The arrays are
    copied and made read-only.  Compared by value.  Raises CardError."""

    scale: NDArray[np.float32]
    zero: NDArray[np.int32]

    def __post_init__(self) -> None:
        scale = _frozen(np.array(self.scale, dtype=np.float32))
        zero = _frozen(_whole_numbers(self.zero))
        if scale.ndim != 1 or scale.shape != zero.shape or scale.size == 0:
            raise CardError(
                f"a quantiser needs one scale and one zero per column, found shapes {scale.shape} "
                f"and {zero.shape}",
                "calibrate the card again",
            )
        if not (np.isfinite(scale).all() and (scale > 0).all()):
            raise CardError(
                "a quantiser needs positive finite scales, found "
                f"{scale[~(np.isfinite(scale) & (scale > 0))][0]}",
                "calibrate the card again",
            )
        object.__setattr__(self, "scale", scale)
        object.__setattr__(self, "zero", zero)

    @property
    def width(self) -> int:
        """The number of columns."""
        return int(self.scale.size)

    def quantise(self, values: ArrayLike) -> NDArray[np.uint8]:
        """Return the uint8 levels of float32 `values` [..., width].  Values beyond the frozen range
        are clipped.  Raises PayloadError on a wrong width, and on NaN or infinity with their
        position."""
        array = self._checked(values)
        if QUANTISE is not None and array.flags.c_contiguous:
            made = np.empty(array.shape, dtype=np.uint8)
            if QUANTISE(array, self.scale, self.zero, made):
                return made
        require_finite(array, "row of features")
        # A finite value over a tiny scale may overflow to infinity, which the clip handles.
        with np.errstate(over="ignore"):
            levels = np.rint(array / self.scale) + self.zero
        return np.asarray(np.minimum(np.maximum(levels, 0), LEVEL_MAX), dtype=np.uint8)

    def dequantise(self, levels: ArrayLike) -> NDArray[np.float32]:
        """Return float32 values [..., width] at the centre of each uint8 level."""
        array = self._checked(levels)
        return (array - self.zero).astype(np.float32) * self.scale

    def clipped(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return the share of rows of `values` [n, width] outside 0..255, float64 [width].

        It rises when data drift away from the calibration data.  Raises PayloadError on a wrong
        width, no rows, and on NaN or infinity with their position."""
        array = self._checked(values).reshape(-1, self.width)
        if not len(array):
            raise PayloadError(
                f"counting clipped values: expected rows of {self.width} columns, found none",
                "give at least one row of features",
            )
        require_finite(array, "table of features")
        levels = np.rint(array.astype(np.float64) / self.scale) + self.zero
        outside: NDArray[np.float64] = ((levels < 0) | (levels > LEVEL_MAX)).mean(axis=0)
        return outside

    def extremes(self, levels: ArrayLike) -> NDArray[np.bool_]:
        """Return in which columns a row of uint8 `levels` [n, width] is at the smallest or largest
        value of the calibration, bool [width]: that value can be computed from scale and zero.

        A range that ends at zero hides the value on that side, unless it is zero itself."""
        array = self._checked(levels).reshape(-1, self.width)
        share = HEADROOM / (1 + 2 * HEADROOM)
        from_zero, to_zero = self.zero == 0, self.zero == LEVEL_MAX
        high = np.where(from_zero, 1 / (1 + HEADROOM), 1 - share) * LEVEL_MAX
        low = np.where(to_zero, HEADROOM / (1 + HEADROOM), share) * LEVEL_MAX
        at_high, at_low = np.abs(array - high) <= 1, np.abs(array - low) <= 1
        found: NDArray[np.bool_] = ((at_high & ~to_zero) | (at_low & ~from_zero)).any(axis=0)
        widest = self.scale == self.scale.max()
        if widest.sum() > 1 and (from_zero[widest] | to_zero[widest]).all():
            # Columns may share a range: the widest cover twice the largest value.
            beyond = np.where(widest, 2, WIDER_MAX)
            near = np.where(to_zero, LEVEL_MAX - LEVEL_MAX / beyond, LEVEL_MAX / beyond)
            found |= ((np.abs(array - near) <= 1) & (from_zero | to_zero)).any(axis=0)
        return found

    def _checked(self, values: ArrayLike) -> NDArray[np.float32]:
        array = numeric(values, "row of features")
        if array.ndim == 0 or array.shape[-1] != self.width:
            raise PayloadError(
                f"quantising features: expected {self.width} columns, found shape {array.shape}",
                "use the features of the model whose card holds this quantiser",
            )
        return array

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Quantiser):
            return NotImplemented
        return np.array_equal(self.scale, other.scale) and np.array_equal(self.zero, other.zero)

    def __hash__(self) -> int:
        return hash((self.scale.tobytes(), self.zero.tobytes()))


def freeze_quantiser(
    features: ArrayLike,
    slices: Sequence[slice],
    granularity: Granularity = "tap",
    headroom: float = HEADROOM,
) -> Quantiser:
    """Return a quantiser that covers `features` float32 [n, width], n >= 1, and `headroom`
    times their range beyond each end.  A range that comes within `headroom` of zero from one side
    ends at zero, so that rectified features lose no level.

    granularity: 'tap' gives one scale and one zero per slice (which keeps the relative sizes of
    columns), 'channel' one per column.  A constant column gets the widest range in its slice.  With
    'channel', columns that share a physical range (`SHARED_MIN`) get up to twice that of their
    slice, as far as each count keeps a level of its own, or a column of other values 16: a later
    domain may use pixels that are dark in this one, under twice the light.
    Raises PayloadError on NaN, infinity or no rows, CardError on wrong arguments."""
    array = numeric(features, "table of features")
    if array.ndim != 2 or array.shape[0] == 0 or array.shape[1] == 0:
        raise PayloadError(
            f"calibrating: expected features [n, width] with n >= 1, found shape {array.shape}",
            "give at least one sample; 100 to 1,000 varied ones are better",
        )
    require_finite(array, "table of features")
    if granularity not in ("tap", "channel") or not 0 <= headroom <= 10:
        raise CardError(
            f"calibrating: granularity {granularity!r} and headroom {headroom!r} are not possible",
            "use granularity 'tap' or 'channel' and a headroom between 0 and 10",
        )
    _require_cover(slices, array.shape[1])
    low = array.min(axis=0).astype(np.float64)
    high = array.max(axis=0).astype(np.float64)
    for part in slices:
        if granularity == "tap":
            low[part], high[part] = low[part].min(), high[part].max()
        _widen_constants(low[part], high[part])
    low, high = _with_headroom(low, high, headroom)
    if granularity == "channel":
        for part in slices:
            _share_range(array[:, part], low[part], high[part])
    scale = _scales(low, high)
    return Quantiser(scale, np.rint(-low / scale.astype(np.float64)).astype(np.int32))


def _share_range(
    values: NDArray[np.float32], low: NDArray[np.float64], high: NDArray[np.float64]
) -> None:
    """Widen the ranges of columns that share a physical one, with one end at zero, in place."""
    least, most = values.min(axis=0), values.max(axis=0)
    sign = 1.0 if least.min() == 0 else -1.0
    near, far = (least, most) if sign > 0 else (-most, -least)
    end = float(far.max())
    between = ((values > least) & (values < most)).any(axis=0)
    varying, zero = int(between.sum()), between & (near == 0)
    whole = int((zero & (far == end)).sum())
    if near.min() != 0 or whole < max(2, varying / SHARED_MIN) or 4 * int(zero.sum()) < 3 * varying:
        return
    counts = _counts(values, end)
    if counts:
        widened = np.full(len(low), end * min(2.0, LEVEL_MAX / counts))
        chosen = np.ones(len(low), dtype=np.bool_)
    elif varying >= ARRAY_COLUMNS_MIN:
        widened = np.minimum(2 * end, WIDER_MAX * np.where(far > 0, far, end).astype(np.float64))
        chosen = near == 0
    else:
        return
    low[chosen] = np.minimum(sign * widened, 0.0)[chosen]
    high[chosen] = np.maximum(sign * widened, 0.0)[chosen]


def _counts(values: NDArray[np.float32], end: float) -> int:
    """Return how many units the largest size `end` has if all values are whole numbers of one unit,
    0 if they are not or it has more than 255."""
    some = np.unique(values[:: max(1, len(values) // UNIT_ROWS)]).astype(np.float64)
    if not 3 <= len(some) <= LEVEL_MAX + 1:
        return 0
    most = end / float(np.diff(some).min())
    if most > LEVEL_MAX + 0.5:
        return 0
    for at in range(0, len(values), UNIT_ROWS):
        counts = values[at : at + UNIT_ROWS].astype(np.float64) / end * round(most)
        if (np.abs(counts - np.rint(counts)) > UNIT_PART).any():
            return 0
    return round(most)


def _widen_constants(low: NDArray[np.float64], high: NDArray[np.float64]) -> None:
    """Give constant columns of one tap the widest range of that tap, in place."""
    span = high - low
    still = span <= 0
    if not still.any():
        return
    # If all columns are constant, the distance to zero is the only range known.
    widest = span.max() if span.max() > 0 else max(float(np.abs(high).max()), 1.0)
    non_negative = low.min() >= 0
    low[still] = low[still] - widest / 2
    high[still] = high[still] + widest / 2
    if non_negative:
        shift = np.minimum(low[still], 0.0)
        low[still] -= shift
        high[still] -= shift


def _with_headroom(
    low: NDArray[np.float64], high: NDArray[np.float64], headroom: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    margin = headroom * (high - low)
    wide_low, wide_high = low - margin, high + margin
    wide_low = np.where((low >= 0) & (wide_low < 0), 0.0, wide_low)
    wide_high = np.where((high <= 0) & (wide_high > 0), 0.0, wide_high)
    return wide_low, wide_high


def _scales(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float32]:
    furthest = np.maximum(np.abs(low), np.abs(high))
    smallest = np.maximum(furthest / ZERO_MAX, float(np.finfo(np.float32).tiny))
    scale = np.maximum((high - low) / LEVEL_MAX, smallest)
    return np.asarray(np.minimum(scale, np.finfo(np.float32).max), dtype=np.float32)


def _require_cover(slices: Sequence[slice], width: int) -> None:
    edges = [0, *(part.stop for part in slices)]
    if [part.start for part in slices] != edges[:-1] or edges[-1] != width:
        raise CardError(
            f"calibrating: the slices {list(slices)} do not cover the {width} columns in order",
            "use the slices of the card whose model made the features",
        )


def _whole_numbers(values: ArrayLike) -> NDArray[np.int32]:
    array = np.asarray(values)
    limits = np.iinfo(np.int32)
    whole = np.issubdtype(array.dtype, np.integer)
    if not whole or ((array < limits.min) | (array > limits.max)).any():
        raise CardError(
            f"a quantiser needs whole zero points that fit 32 bits, found dtype {array.dtype}"
            + (f" from {array.min()} to {array.max()}" if whole else ""),
            "calibrate the card again",
        )
    return np.array(array, dtype=np.int32)


def _frozen(array: NDArray[T]) -> NDArray[T]:
    array.setflags(write=False)
    return array
