"""The integer coordinates of a sample: columns, plane and norms.

Each block is a frozen map from uint8 features to whole numbers, which concepts sum, with a distance
between a sample and a concept's mean.  Matrix products run in float32 on whole numbers whose
partial sums stay below 2^24 (in float64: 2^53), so the order of addition does not matter.
"""

from itertools import pairwise
from typing import ClassVar, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from .integers import Ints, all_ones, log2, root

Floats = NDArray[np.float32]
Reals = NDArray[np.float64]
Packed = dict[str, NDArray[np.generic]]

L1_MAX = 65_000  # 255 x 65,000 < 2^24: products with uint8 features stay exact in float32
UNIT = 64  # coordinates in 64ths of a deviation: rounding is far below the noise of a sample
SHIFT = 10  # fraction bits of the division by the norm, so that gains stay precise as integers
LENGTH_BITS = 20  # lengths in 2^-20 of the norm: their squares stay exact below 2^53
ONE = float(1 << LENGTH_BITS)  # the norm itself in that unit


class Block(msgspec.Struct, frozen=True, eq=False):
    """Arrays that are packed under the name of their block."""

    def pack(self, name: str) -> Packed:
        """Return the arrays, each under `name.field`."""
        return {f"{name}.{one}": np.asarray(getattr(self, one)) for one in self.__struct_fields__}

    @classmethod
    def unpack(cls, name: str, packed: Packed) -> Self | None:
        """Restore the block that `pack` returned, or return None if the name is absent."""
        found = {one: packed.get(f"{name}.{one}") for one in cls.__struct_fields__}
        if any(array is None for array in found.values()):
            return None
        return cls(**found)


class Columns(Block, frozen=True, eq=False):
    """Every column divided by its deviation within a class; the distance is city-block.

    span: int64 [2], the columns.  gains: float32 [k], whole, their sum at most 65,000.
    """

    number: ClassVar[type[np.floating]] = np.float32

    span: Ints
    gains: Floats

    @property
    def width(self) -> int:
        """The number of coordinates of a sample."""
        return len(self.gains)

    def code(self, rows: NDArray[np.uint8]) -> Ints:
        """Return coordinates int64 [n, k] of uint8 [n, width]."""
        return (rows[:, self.span[0] : self.span[1]] * self.gains).astype(np.int64)

    def distance(self, rows: NDArray[np.number], means: NDArray[np.number]) -> Ints:
        """Return city-block distances int64 [n] between rows and means that broadcast."""
        apart = np.subtract(rows, means, dtype=np.float32)
        np.abs(apart, out=apart)
        return np.asarray(apart @ all_ones(self.width)).astype(np.int64)


class Plane(Block, frozen=True, eq=False, kw_only=True):
    """Whitened principal directions of some columns, divided by their norm or by a fixed number.

    span: int64 [2], the columns.  fixed: int64 [1], the divisor, at least the largest norm that
    samples can have, or 0 for each sample's own norm.
    scale: float64 [w], whole: the size of a level per column.  zeros: float64 [w], whole: the level
    that stands for 0.  axes: float32 [w, r], whole, the absolute sum of each column at most 65,000.
    gains, centre: int64 [r], to 64ths of the deviation within a class.  lengths: int64 [r], to
    units of 2^-20 of the divisor.  rest: int64 [1], the gain of the length outside the axes, 0 if
    they span the columns.
    """

    number: ClassVar[type[np.floating]] = np.float64

    span: Ints
    fixed: Ints
    scale: Reals
    zeros: Reals
    axes: Floats
    offset: Ints
    gains: Ints
    centre: Ints
    lengths: Ints
    rest: Ints

    @property
    def width(self) -> int:
        """The number of coordinates of a sample."""
        return len(self.gains) + 1

    def code(self, rows: NDArray[np.uint8], norms: Ints | None = None) -> Ints:
        """Return coordinates int64 [n, r + 1] of uint8 [n, width], the last outside the axes.

        norms: int64 [n], the samples' norms where they are known.
        """
        tap = rows[:, self.span[0] : self.span[1]]
        fixed, own = int(self.fixed[0]), norms
        # With a fixed divisor only the length outside the axes needs the norm.
        if own is None and not (fixed and not self.rest[0]):
            own = tap_norm(tap, self.scale, self.zeros)
        divisors = fixed << SHIFT if fixed or own is None else own[:, None] << SHIFT
        along = (tap.astype(np.float32) @ self.axes).astype(np.int64)
        along -= self.offset
        made = np.zeros((len(rows), self.width), dtype=np.int64)
        inside = np.multiply(along, self.gains, out=made[:, :-1])
        inside //= divisors
        inside -= self.centre
        if self.rest[0]:
            along *= self.lengths
            along //= divisors
            unit = along.astype(np.float64)
            outside = self._whole(own) - np.vecdot(unit, unit)
            made[:, -1] = root(np.maximum(outside, 0)) * self.rest[0] >> 2 * LENGTH_BITS - 8
        return made

    def _whole(self, norms: Ints | None) -> Reals | float:
        """Return the squared length of samples with these norms, in units of 2^-20 of the
        divisor."""
        if norms is None or not self.fixed[0]:
            return ONE * ONE
        lengths: Reals = np.square(((norms << LENGTH_BITS) // self.fixed[0]).astype(np.float64))
        return lengths

    def distance(self, rows: NDArray[np.number], means: NDArray[np.number]) -> Ints:
        """Return Mahalanobis distances int64 [n], 64 a unit, plus the length outside the axes."""
        apart = np.subtract(rows, means, dtype=np.float64)
        apart[..., -1] = rows[..., -1]
        return root(np.vecdot(apart, apart))


class Norms(Block, frozen=True, eq=False):
    """The whitened logarithms of all taps' norms.

    spans: int64 [t, 2].  scale, zeros: as in Plane, over all columns.  axes: int64 [t, t].
    """

    number: ClassVar[type[np.floating]] = np.float64

    spans: Ints
    scale: Reals
    zeros: Reals
    axes: Ints

    @property
    def width(self) -> int:
        """The number of coordinates of a sample."""
        return len(self.spans)

    def code(self, rows: NDArray[np.uint8]) -> Ints:
        """Return coordinates int64 [n, t] of uint8 [n, width]."""
        return self.code_squares(self.squares(rows))

    def code_squares(self, squares: Reals) -> Ints:
        """Return coordinates int64 [n, t] of squared norms."""
        return log2(squares) @ self.axes >> 16

    def logs(self, rows: NDArray[np.uint8]) -> Ints:
        """Return 4096 x log2 of each tap's squared norm, int64 [n, t]."""
        return log2(self.squares(rows))

    def squares(self, rows: NDArray[np.uint8]) -> Reals:
        """Return each tap's squared norm, float64 [n, t], whole."""
        values = rows - self.zeros
        values *= self.scale
        found: Reals = np.add.reduceat(np.square(values, out=values), self.spans[:, 0], axis=1)
        return found

    def distance(self, rows: NDArray[np.number], means: NDArray[np.number]) -> Ints:
        """Return Euclidean distances int64 [n] between rows and means that broadcast."""
        apart = np.subtract(rows, means, dtype=np.float64)
        return root(np.vecdot(apart, apart))


AnyBlock = Columns | Plane | Norms


def tap_norm(tap: NDArray[np.uint8], scale: Reals, zeros: Reals) -> Ints:
    """Return norms int64 [n], rounded down and at least 1, of (levels - zeros) * scale."""
    values = tap - zeros
    values *= scale
    return np.maximum(root(np.vecdot(values, values)), 1)


def shared_tap(plane: Plane, norms: Norms) -> int | None:
    """Return the tap whose norm is the plane's, None if there is none."""
    start, stop = (int(edge) for edge in plane.span)
    edges = [*norms.spans[:, 0].tolist(), len(norms.scale)]
    for tap, pair in enumerate(pairwise(edges)):
        same = pair == (start, stop) and np.array_equal(plane.scale, norms.scale[start:stop])
        if same and np.array_equal(plane.zeros, norms.zeros[start:stop]):
            return tap
    return None
