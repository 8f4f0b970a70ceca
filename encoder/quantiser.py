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
ZERO_HEADROOMS = 4
"""Headrooms beyond the far end of a physical range that columns share: it may then double, as under
twice the light or gain.  With 1, later scanners lose up to 1.2 points of
accuracy (part `answers` of the benchmark `trust`).  Quantities with ranges of their own have one:
with 4, or one and a half beyond open ends, no accuracy is gained beyond chance, and fewer switches
of weather are found or more normal samples of SKAB are outside (part `time_order`)."""
SHARED_MIN = 8
"""Columns have one physical range, as pixels or counts of one converter do, if it starts at zero (or
ends there), at least two, and at least one in so many of those that vary, reach exactly the
smallest and the largest value of their tap, and three in four one of these.  Columns of two values
do not count: flags lie beside quantities of any unit.  Chosen on the sets of that benchmark; signed
values are left alone, since with them ionosphere loses 2.6 points of AUROC (benchmark `ood`)."""

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
        from_zero, to_zero = self.zero == 0, self.zero == LEVEL_MAX
        found: NDArray[np.bool_] = np.zeros(self.width, dtype=np.bool_)
        share = HEADROOM / (1 + 2 * HEADROOM)
        # The card does not say whether columns share a physical range.
        for beyond in (HEADROOM, ZERO_HEADROOMS * HEADROOM):
            high = np.where(from_zero, 1 / (1 + beyond), 1 - share) * LEVEL_MAX
            low = np.where(to_zero, beyond / (1 + beyond), share) * LEVEL_MAX
            at_high = (np.abs(array - high) <= 1) & ~to_zero
            at_low = (np.abs(array - low) <= 1) & ~from_zero
            found |= (at_high | at_low).any(axis=0)
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
    'channel', columns that share a physical range (`SHARED_MIN`) all get that of their slice, since
    a later domain may use pixels that are dark in this one, extended by `ZERO_HEADROOMS` times as
    much.
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
    from_zero = np.full(array.shape[1], headroom)
    for part in slices:
        shared = granularity == "channel" and _share_range(array[:, part], headroom)
        if shared:
            from_zero[part] *= ZERO_HEADROOMS
        if shared or granularity == "tap":
            low[part], high[part] = low[part].min(), high[part].max()
        _widen_constants(low[part], high[part])
    low, high = _with_headroom(low, high, headroom, from_zero)
    scale = _scales(low, high)
    return Quantiser(scale, np.rint(-low / scale.astype(np.float64)).astype(np.int32))


def _share_range(values: NDArray[np.float32], headroom: float) -> bool:
    """Return whether the columns of one tap have one physical range with an end at zero."""
    low, high = values.min(axis=0), values.max(axis=0)
    least, most = float(low.min()), float(high.max())
    nearest, furthest = sorted((abs(least), abs(most)))
    if least * most < 0 or nearest > headroom * (furthest - nearest):
        return False
    between = ((values > low) & (values < high)).any(axis=0)
    at_least, at_most = between & (low == low.min()), between & (high == high.max())
    whole, varying = int((at_least & at_most).sum()), int(between.sum())
    one_end = max(int(at_least.sum()), int(at_most.sum()))
    return whole >= max(2, varying / SHARED_MIN) and 4 * one_end >= 3 * varying


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
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    headroom: float,
    from_zero: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of ranges extended by shares of their widths.  from_zero: of each column,
    beyond the far end of a range that ends at zero."""
    width = high - low
    wide_low, wide_high = low - headroom * width, high + headroom * width
    up, down = (low >= 0) & (wide_low < 0), (high <= 0) & (wide_high > 0)
    return (
        np.where(up, 0.0, np.where(down, low - from_zero * width, wide_low)),
        np.where(down, 0.0, np.where(up, high + from_zero * width, wide_high)),
    )


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
