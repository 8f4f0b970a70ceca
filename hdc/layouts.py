"""Arrays laid out for the hot path in C.

C computes in whole numbers of limited size.  Arrays that it could not compute with exactly are not
laid out (None), and a call whose numbers leave the range returns False; numpy then serves.  So
results do not depend on which path runs, to the bit.
"""

from collections.abc import Callable, Mapping
from ctypes import Structure, addressof, c_int64, c_uint8, c_uint32, c_void_p
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .blocks import Columns, Norms, Plane, shared_tap
from .integers import Ints, log_table
from .native import kernels

Array = NDArray[Any]
_Blocks = tuple[Columns | None, Plane | None, Norms | None]
_Keep = Callable[[NDArray[Any], type[np.generic]], int]

SMALL: Final = 1 << 24
"""Coordinates stay below; SMALL in level.h."""

_EXACT: Final = 1 << 52
"""Whole numbers, their quotients and their roots are exact in float64 up to here."""

_SUM_MAX: Final = SMALL // 256
"""Largest absolute sum of an axis or of gains: its product with bytes is exact in float32."""

_COLUMNS_MAX: Final = 1 << 16
"""Columns: 2^16 differences of 16 bits add up below 2^32."""

_PLANE_MAX: Final = 1 << 12
"""Directions of a plane: squares of differences below 2^50 add up below 2^63."""

_GAIN_MAX: Final = (1 << 31) - 1
"""Numbers of a plane, stored as int32."""

_OFFSET_MAX: Final = 1 << 30
"""Offsets of a plane: less them, products with the axes fit int32."""

_CENTRE_MAX: Final = 1 << 23
"""Centres of a plane: a coordinate that C clips at 2^25 is still above SMALL less them."""

_REST_MAX: Final = 1 << 37
"""Its product with a length up to 2^25 stays below 2^63; REST_MAX in an export."""

_MIX_MAX: Final = 1 << 30
"""Axes of norms: products with logarithms below 2^18, of up to 2^14 taps, stay below 2^63."""

_TAPS_MAX: Final = 1 << 14
"""See _MIX_MAX."""

_NARROW: Final = (1 << 16) - 1
"""Means up to here take 16 bits."""

_MEANS: Final = ("columns_means", "plane_means", "norms_means")
"""The arrays of a memory, in the order of a geometry's blocks."""

_VOTE_MAX: Final = 255
"""The largest weight of a block, stored as uint8."""


class _Tap(Structure):
    _fields_ = (
        ("width", c_uint32),
        ("padded", c_uint32),
        ("bits", c_uint32),
        ("flips", c_void_p),
    )


class _Plane(Structure):
    _fields_ = (
        ("start", c_uint32),
        ("count", c_uint32),
        ("rank", c_uint32),
        ("wide", c_uint32),
        ("fixed", c_uint32),
        ("rest", c_int64),
        *((name, c_void_p) for name in ("scale", "zeros", "axes", "offset")),
        *((name, c_void_p) for name in ("gains", "centre", "lengths", "means")),
    )


class GeometryLayout(Structure):
    """`native_geometry` in level.h; `held` keeps the arrays that it points to."""

    _fields_ = (
        *((name, c_uint32) for name in ("width", "tap_start", "values", "columns")),
        *((name, c_uint32) for name in ("plane_rank", "norms", "shared", "work_bytes")),
        ("tap", _Tap),
        ("plane", _Plane),
        ("columns_start", c_uint32),
        *((name, c_void_p) for name in ("gains", "edges", "zeros", "scale", "mix", "log_table")),
    )
    held: list[Array]


class MemoryLayout(Structure):
    """`native_memory` in level.h; `held` keeps the arrays that it points to, `means` among them."""

    _fields_ = (
        *((name, c_uint32) for name in ("concepts", "words", "columns", "wide")),
        *((name, c_uint32) for name in ("plane", "norms", "blocks")),
        ("votes", c_uint8 * 4),
        *((name, c_void_p) for name in ("majorities", "screen")),
        *((name, c_uint32) for name in ("screen_words", "screened")),
        *((name, c_void_p) for name in ("columns_means", "plane_means", "norms_means")),
    )
    held: list[Array]
    means: tuple[Array, ...]


class ExemplarsLayout(Structure):
    """`native_exemplars` in level.h; `held` keeps the arrays that it points to."""

    _fields_ = (
        *((name, c_void_p) for name in ("columns", "plane")),
        *((name, c_uint32) for name in ("columns_count", "columns_width")),
        *((name, c_uint32) for name in ("plane_count", "plane_width")),
    )
    held: list[Array]


class DecisionLayout(Structure):
    """`native_decision` in level.h; `held` keeps what it points to."""

    _fields_ = (
        *((name, c_void_p) for name in ("geometry", "memory", "scales", "starts")),
        *((name, c_void_p) for name in ("exemplars", "near_scales", "votes", "near_votes")),
        ("domains", c_uint32),
        ("has_exemplars", c_uint32),
    )
    held: list[object]


def lay_geometry(
    width: int, tap: tuple[int, int], flips: NDArray[np.uint64], bits: int, blocks: _Blocks
) -> GeometryLayout | None:
    """Lay a geometry out, None if C cannot serve it.

    tap: start and stop of the tap of hypervectors.  flips: random words, a bit for each element of
    each round, and of whole blocks of 128.
    """
    columns, plane, norms = blocks
    if not kernels() or not (_columns_fit(columns, width) and _plane_fits(plane, width)):
        return None
    if not _norms_fit(norms, width):
        return None
    padded = padded_width(tap[1] - tap[0])
    made = GeometryLayout(width=width, tap_start=tap[0])
    held: list[Array] = []

    def keep(array: NDArray[Any], dtype: type[np.generic]) -> int:
        held.append(np.ascontiguousarray(array.astype(dtype)))
        return address(held[-1])

    made.tap = _Tap(tap[1] - tap[0], padded, bits, keep(flips, np.uint64))
    if columns is not None:
        made.columns, made.columns_start = columns.width, int(columns.span[0])
        made.gains = keep(columns.gains, np.uint32)
    if plane is not None:
        made.plane_rank, made.plane = plane.width - 1, _lay_plane(plane, keep)
    if norms is not None:
        made.norms = made.shared = norms.width
        made.edges = keep(np.append(norms.spans[:, 0], width), np.uint32)
        made.zeros, made.scale = keep(norms.zeros, np.int16), keep(norms.scale, np.uint16)
        made.mix, made.log_table = keep(norms.axes, np.int64), keep(log_table(), np.int16)
        if plane is not None:
            tap_shared = shared_tap(plane, norms)
            made.shared = norms.width if tap_shared is None else tap_shared
    rank = made.plane_rank
    made.values = made.columns + (rank + 1 if rank else 0) + made.norms
    scratch = max(int(kernel.work(padded)) for kernel in kernels())
    made.work_bytes = max(scratch, 4 * (rank + 1))
    made.held = held
    return made


def _lay_plane(plane: Plane, keep: _Keep) -> _Plane:
    wide = 1 + int(np.abs(plane.axes).max() >= 1 << 15)
    return _Plane(
        start=int(plane.span[0]),
        count=len(plane.scale),
        rank=plane.width - 1,
        wide=wide,
        fixed=int(plane.fixed[0]),
        rest=int(plane.rest[0]),
        scale=keep(plane.scale, np.uint16),
        zeros=keep(plane.zeros, np.int16),
        axes=keep(plane.axes.T, np.int16 if wide == 1 else np.int32),
        offset=keep(plane.offset, np.int32),
        gains=keep(plane.gains, np.int32),
        centre=keep(plane.centre, np.int32),
        lengths=keep(plane.lengths, np.int32),
    )


def _within(span: Ints, size: int, width: int) -> bool:
    start, stop = (int(edge) for edge in span)
    return 0 <= start < stop <= width and stop - start == size


def _columns_fit(columns: Columns | None, width: int) -> bool:
    if columns is None:
        return True
    gains = columns.gains
    return (
        _within(columns.span, len(gains), width)
        and len(gains) <= _COLUMNS_MAX
        and whole(gains, 0, _SUM_MAX)
        and float(gains.sum(dtype=np.float64)) <= _SUM_MAX
    )


def _levels_fit(scale: NDArray[Any], zeros: NDArray[Any]) -> bool:
    """Say whether levels fit 16 bits, and the sum of all squares is exact."""
    if not (whole(scale, 0, (1 << 16) - 1) and whole(zeros, -(1 << 15), (1 << 15) - 1)):
        return False
    return _largest_squares(scale, zeros) <= _EXACT


def _largest_squares(scale: NDArray[Any], zeros: NDArray[Any]) -> float:
    largest = np.maximum(np.abs(zeros), np.abs(255 - zeros)) * scale
    return float(np.square(largest.astype(np.float64)).sum())


def _plane_fits(plane: Plane | None, width: int) -> bool:
    if plane is None:
        return True
    rank, fixed = plane.width - 1, int(plane.fixed[0])
    shapes = {len(part) for part in (plane.offset, plane.gains, plane.centre, plane.lengths)}
    count = len(plane.scale)
    if not (
        1 <= rank < _PLANE_MAX
        and shapes == {rank}
        and plane.axes.shape == (count, rank)
        and len(plane.zeros) == count
        and _within(plane.span, count, width)
        and 0 <= fixed <= _GAIN_MAX
        and 0 <= int(plane.rest[0]) <= _REST_MAX
        and _levels_fit(plane.scale, plane.zeros)
    ):
        return False
    return (
        whole(plane.axes, -_SUM_MAX, _SUM_MAX)
        and float(np.abs(plane.axes).sum(axis=0, dtype=np.float64).max()) <= _SUM_MAX
        and whole(plane.offset, -_OFFSET_MAX, _OFFSET_MAX)
        and whole(plane.gains, -_GAIN_MAX, _GAIN_MAX)
        and whole(plane.centre, -_CENTRE_MAX, _CENTRE_MAX)
        and whole(plane.lengths, -_GAIN_MAX, _GAIN_MAX)
        # C clips lengths at 2^5 divisors.
        and (not fixed or _largest_squares(plane.scale, plane.zeros) <= (16.0 * fixed) ** 2)
    )


def _norms_fit(norms: Norms | None, width: int) -> bool:
    if norms is None:
        return True
    taps, starts = len(norms.spans), norms.spans[:, 0]
    edges = np.append(starts, width)
    return (
        1 <= taps <= _TAPS_MAX
        and norms.axes.shape == (taps, taps)
        and len(norms.scale) == len(norms.zeros) == width
        and int(edges[0]) == 0
        and bool((np.diff(edges) > 0).all())
        and _levels_fit(norms.scale, norms.zeros)
        and whole(norms.axes, -_MIX_MAX, _MIX_MAX)
    )


def lay_memory(
    blocks: _Blocks,
    votes: Ints,
    majorities: NDArray[np.uint64],
    means: tuple[NDArray[Any], ...],
    screened: int,
) -> MemoryLayout | None:
    """Lay the prototypes of concepts out, None if C cannot serve them.

    majorities: uint64 [c, words].  means: whole
    numbers [c, width] of each block.  screened: concepts left
    by a first pass over a quarter of the bits, which memories of no more do without.
    """
    if not kernels() or len(votes) != 1 + len(means) or not whole(votes, 0, _VOTE_MAX):
        return None
    made, rest = MemoryLayout(concepts=len(majorities), words=2 * majorities.shape[1]), [*means]
    made.blocks = 1 + len(means)
    made.votes[: len(votes)] = votes.tolist()
    made.held = held = [np.ascontiguousarray(majorities)]
    made.majorities = address(held[0])
    columns, plane, norms = blocks
    if columns is not None:
        part, made.columns = rest.pop(0), columns.width
        made.wide = int(float(columns.gains.max(initial=0)) * 255 > _NARROW)
        made.wide |= int(part.max(initial=0) > _NARROW)
        if not 0 < made.columns <= _COLUMNS_MAX or not whole(part, 0, SMALL):
            return None
        held.append(np.ascontiguousarray(part.astype(np.int32 if made.wide else np.uint16)))
        made.columns_means = address(held[-1])
    for name, block in (("plane", plane), ("norms", norms)):
        if block is not None:
            part = rest.pop(0)
            if not 0 < block.width <= _PLANE_MAX or not whole(part, -SMALL, SMALL):
                return None
            held.append(np.ascontiguousarray(part.astype(np.int32)))
            setattr(made, name, block.width)
            setattr(made, f"{name}_means", address(held[-1]))
    made.means = tuple(held[1:])
    if len(majorities) > screened:
        held.append(np.ascontiguousarray(majorities[:, : max(1, majorities.shape[1] // 4)]))
        made.screen, made.screen_words = address(held[-1]), 2 * held[-1].shape[1]
        made.screened = screened
    return made


def with_rows(
    layout: MemoryLayout,
    places: list[int],
    majorities: NDArray[np.uint64],
    means: tuple[Ints, ...],
) -> MemoryLayout | None:
    """Return a layout with other prototypes at `places`, None if these do not fit its types.

    majorities: uint64 [places, words].  means: int64 [places, width] of each block.
    """
    rest = [*means]
    if layout.columns_means and not whole(rest.pop(0), 0, SMALL if layout.wide else _NARROW):
        return None
    if not all(whole(part, -SMALL, SMALL) for part in rest):
        return None
    made = MemoryLayout.from_buffer_copy(layout)
    made.held = held = [array.copy() for array in layout.held]
    held[0][places] = majorities
    for array, rows in zip(held[1 : 1 + len(means)], means, strict=True):
        array[places] = rows
    made.means = tuple(held[1 : 1 + len(means)])
    if layout.screen:
        held[-1][places] = majorities[:, : held[-1].shape[1]]
        made.screen = address(held[-1])
    made.majorities = address(held[0])
    named = [name for name in _MEANS if getattr(layout, name)]
    for name, array in zip(named, made.means, strict=True):
        setattr(made, name, address(array))
    return made


def lay_exemplars(
    columns: NDArray[np.float32], plane: NDArray[np.float32]
) -> ExemplarsLayout | None:
    """Lay exemplars out, float32 [c, k] and [p, r], None if C cannot serve them."""
    both = (columns, plane)
    if not kernels() or not all(
        part.dtype == np.float32 and part.ndim == 2 and part.size for part in both
    ):
        return None
    if not all(whole(part, -SMALL, SMALL) for part in both):
        return None
    return checked_exemplars(*both)


def checked_exemplars(columns: NDArray[np.float32], plane: NDArray[np.float32]) -> ExemplarsLayout:
    """Lay exemplars out that C can serve, as `lay_exemplars` checks."""
    held: list[Array] = [np.ascontiguousarray(part) for part in (columns, plane)]
    made = ExemplarsLayout(address(held[0]), address(held[1]), *held[0].shape, *held[1].shape)
    made.held = held
    return made


def lay_decision(
    scales: Ints,
    parts: Mapping[str, slice],
    near: tuple[tuple[ExemplarsLayout | None, ...], Ints] | None,
    votes: tuple[Ints, Ints],
) -> DecisionLayout:
    """Lay out what decisions read besides geometry and memory, which `with_memory` adds.

    scales: int64 [1 + concepts, blocks, 2].  parts: the concepts of each domain, all in order.
    near: exemplars of each concept, with scales int64 [concepts, 2, 2]; None if the geometry keeps
    none.  votes: of the blocks and of exemplars.
    """
    starts = np.asarray([0, *(part.stop for part in parts.values())], dtype=np.int64)
    arrays = [np.ascontiguousarray(one, dtype=np.int64) for one in (scales, starts, *votes)]
    layouts, near_scales = near or ((), np.empty(0, dtype=np.int64))
    pointers = [0 if one is None else addressof(one) for one in layouts]
    arrays += [np.asarray(pointers, dtype=np.uintp), np.ascontiguousarray(near_scales)]
    made = DecisionLayout(domains=len(parts), has_exemplars=int(near is not None))
    for name, array in zip(
        ("scales", "starts", "votes", "near_votes", "exemplars", "near_scales"), arrays, strict=True
    ):
        setattr(made, name, address(array))
    made.held = [*arrays, layouts]
    return made


def with_memory(
    layout: DecisionLayout, geometry: GeometryLayout, memory: MemoryLayout
) -> DecisionLayout:
    """Return a layout for the prototypes of a memory, whose concepts are those of the layout."""
    made = DecisionLayout.from_buffer_copy(layout)
    made.geometry, made.memory = addressof(geometry), addressof(memory)
    made.held = [layout, geometry, memory]
    return made


def padded_width(width: int) -> int:
    """Return the smallest power of two from `width` on."""
    return 1 << max(0, width - 1).bit_length()


def address(array: NDArray[Any]) -> int:
    """Return the address of a C-contiguous array."""
    return int(array.__array_interface__["data"][0])


def whole(array: NDArray[Any], least: int, most: int) -> bool:
    """Say whether all numbers are whole, and from `least` to `most`."""
    if not array.size:
        return True
    inside = bool(array.min() >= least) and bool(array.max() <= most)
    return inside and (array.dtype.kind in "iu" or bool((array == np.rint(array)).all()))
