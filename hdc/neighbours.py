"""Exemplars: stored samples of a concept, for nearest-neighbour distances (Cover and Hart 1967).

The mean describes a class of many small groups poorly; its nearest sample describes it better.  A
hash of the code chooses the exemplars, so that the choice depends only on the set of samples.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from math import isqrt
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from . import native
from .geometry import Codes, Geometry, Joined, Words, keys_of
from .integers import Ints, all_ones, root
from .layouts import ExemplarsLayout, checked_exemplars, lay_exemplars

Floats = NDArray[np.float32]

Identity = tuple[int, bytes, bytes]
"""What tells a sample: its key and its coordinates in the columns and in the plane."""

EXEMPLARS_MAX: Final = 1024
"""Exemplars of a concept, to bound memory and time.  With 256, satimage loses 1.9 points of AUROC
(docs/decisions/0002)."""

EXEMPLARS_MIN: Final = 32
"""Exemplars however wide the features.  Chosen by hand; effect not measured."""

NUMBERS_MAX: Final = 65_536
"""Coordinates of a concept in a block: 128 KiB of float32.  Chosen by hand, to bound memory."""

CHUNK_NUMBERS: Final = 1 << 18
"""Differences computed at once: 1 MiB of float32, which fits the L2 cache of common processors."""

TOGETHER: Final = 16
"""Samples that C compares with an exemplar at a time; `TOGETHER` in level.h."""

NOTHING: Final = np.full(1, -1)
"""No exemplar is left out for a single sample."""


class Exemplars(msgspec.Struct, frozen=True, eq=False):
    """Coordinates, whole numbers, of some samples of one concept.

    keys: uint64 [m], sorted.  columns: float32 [c, k], of the first c samples.  plane: float32
    [p, r], of the first p samples, without the length outside the plane.
    """

    keys: Words
    columns: Floats
    plane: Floats
    _laid_out: list[ExemplarsLayout | None] = msgspec.field(default_factory=list)

    @property
    def layout(self) -> ExemplarsLayout | None:
        """The exemplars laid out for C, None if it cannot serve."""
        if not self._laid_out:
            self._laid_out.append(lay_exemplars(self.columns, self.plane))
        return self._laid_out[0]

    def places(self) -> "Places":
        """Return where each sample is kept."""
        return Places(_identities(self.keys, self.columns, self.plane))

    def without(self, keys: Words, columns: Floats, plane: Floats) -> "Exemplars":
        """Return the exemplars but these samples.  keys: uint64 [n].  columns, plane: their
        coordinates, [n, k] and [n, r]."""
        kept = np.ones(len(self), np.bool_)
        kept[self.places().all_of(_identities(keys, columns, plane))] = False
        left = self.columns[kept[: len(self.columns)]], self.plane[kept[: len(self.plane)]]
        made = Exemplars(self.keys[kept], *left)
        if self.layout is not None and len(left[0]) and len(left[1]):
            # A part of what C can serve: it need not be checked again.
            made._laid_out.append(checked_exemplars(*left))
        return made

    def __len__(self) -> int:
        return len(self.keys)

    def __reduce__(self) -> tuple[object, ...]:
        """Copies and pickles hold the samples; they are laid out again for the process in use."""
        return Exemplars, (self.keys, self.columns, self.plane)


def has_neighbours(geometry: Geometry) -> bool:
    """Say whether the geometry uses exemplars: all do, once they are fitted, but those that divide
    each of several taps by its norm (docs/decisions/0002)."""
    return geometry.columns is not None and geometry.plane is not None and geometry.norms is None


def choose(geometry: Geometry, codes: Codes) -> Exemplars:
    """Choose the exemplars of a concept from its available codes, in any order."""
    columns, plane = coordinates(geometry, codes)
    kept, inside = (_room(block.shape[1]) for block in (columns, plane))
    keys = keys_of(codes)
    # Samples with the same key have the same hypervector; their coordinates break the tie.
    order = np.lexsort((plane.sum(axis=1), columns.sum(axis=1), keys))[: max(kept, inside)]
    return Exemplars(keys[order], columns[order[:kept]], plane[order[:inside]])


def _room(width: int) -> int:
    """Return how many exemplars of this width a concept keeps."""
    return min(EXEMPLARS_MAX, max(EXEMPLARS_MIN, NUMBERS_MAX // max(1, width)))


def coordinates(geometry: Geometry, codes: Codes) -> tuple[Floats, Floats]:
    """Return the codes' coordinates, whole: float32 [n, k] in the columns, [n, r] in the plane."""
    first, second = (codes.values[:, slice(*span)] for span in geometry.spans[:2])
    return first.astype(np.float32), second[:, :-1].astype(np.float32)


def nearest(exemplars: Exemplars, columns: Floats, plane: Floats, own: Words | None = None) -> Ints:
    """Return distances int64 [n, 2] to the nearest exemplar, by columns and by plane; -1 if none.

    own: keys uint64 [n] of samples of this concept.  One exemplar with the same key is the sample
    itself and is skipped.
    """
    itself = np.full(len(columns), -1)
    if own is not None:
        held = exemplars.places()
        for row, sample in enumerate(_identities(own, columns, plane)):
            itself[row] = held.first(sample)
    made = _nearest_in_c(exemplars, columns, plane, itself)
    if made is not None:
        return made
    made = np.full((len(columns), 2), -1, dtype=np.int64)
    step = max(1, CHUNK_NUMBERS // max(1, exemplars.columns.size))
    for at in range(0, len(columns), step):
        part = slice(at, at + step)
        for block, apart in enumerate(
            (_city_block(exemplars, columns[part]), _euclidean(exemplars, plane[part]))
        ):
            there = (itself[part] >= 0) & (itself[part] < apart.shape[1])
            apart[there, itself[part][there]] = np.inf
            least = apart.min(axis=1, initial=np.inf)
            made[part, block] = np.where(np.isfinite(least), least, -1)
    return made


def _nearest_in_c(
    exemplars: Exemplars,
    columns: NDArray[np.number],
    plane: NDArray[np.number],
    without: NDArray[np.integer],
) -> Ints | None:
    """Compute `nearest` in C, None if it cannot.  without: the exemplar that does not count, for
    each sample; -1 for none."""
    kernel, layout = native.KERNEL, exemplars.layout
    if kernel is None or layout is None or not len(columns):
        return None
    made = np.empty((len(columns), 2), dtype=np.int64)
    width, rank = columns.shape[1], plane.shape[1]
    # Of many samples: floats for the columns, doubles for the plane.
    size = width + rank if len(columns) == 1 else TOGETHER * (width + 2 * rank)
    work = np.empty(size, dtype=np.float32)
    rows = (np.ascontiguousarray(one, dtype=np.int64) for one in (columns, plane, without))
    return made if kernel.exemplars(layout, *rows, made, work) else None


def nearest_to_one(exemplars: Exemplars, columns: Ints, plane: Ints) -> tuple[int, int]:
    """Compute `nearest` for one sample, int64 [k] and [r], that is not in the memory."""
    if not len(exemplars):
        return -1, -1
    made = _nearest_in_c(exemplars, columns[None], plane[None], NOTHING)
    if made is not None:
        by_columns, by_plane = made[0].tolist()
        return by_columns, by_plane
    apart = np.subtract(exemplars.columns, columns.astype(np.float32))
    np.abs(apart, out=apart)
    away = np.subtract(exemplars.plane, plane.astype(np.float32), dtype=np.float64)
    # Exact sums of whole numbers: column distances stay below 2^24, squares below 2^53.
    least = (apart @ all_ones(len(columns))).min(initial=np.inf)
    return int(least), isqrt(int(np.vecdot(away, away).min()))


def pack_exemplars(held: Sequence[Exemplars]) -> dict[str, NDArray[Any] | Joined]:
    """Return all exemplars as integer arrays, with the number of rows of each concept."""
    sizes = [[len(e), len(e.columns), len(e.plane)] for e in held]
    empty, whole = np.empty((0, 0), dtype=np.float32), np.dtype(np.int32)
    return {
        "exemplars.sizes": np.asarray(sizes, dtype=np.int64),
        "exemplars.keys": np.concatenate([np.empty(0, dtype=np.uint64), *(e.keys for e in held)]),
        "exemplars.columns": Joined(whole, [e.columns for e in held] or [empty]),
        "exemplars.plane": Joined(whole, [e.plane for e in held] or [empty]),
    }


class Places:
    """Places of exemplars by sample.

    Where columns are few, many samples share a hypervector and thus a key, so that the coordinates
    count as well, as far as the exemplars keep them: of 283 rows of ELEC2 with six columns, 67 keys
    differ.
    """

    def __init__(self, identities: Iterable[Identity]) -> None:
        self._places: dict[Identity, list[int]] = {}
        for place, sample in enumerate(identities):
            self._places.setdefault(sample, []).append(place)

    def first(self, sample: Identity) -> int:
        """Return the first place of a sample, -1 if it is no exemplar."""
        return min((held[0] for held in self._held(sample)), default=-1)

    def all_of(self, samples: Iterable[Identity]) -> list[int]:
        """Return a place of each sample that is an exemplar, another for each that occurs again."""
        found: list[int] = []
        for sample, count in Counter(samples).items():
            held = sorted(place for places in self._held(sample) for place in places)
            found += held[:count]
        return found

    def _held(self, sample: Identity) -> Iterator[list[int]]:
        key, columns, plane = sample
        for one in ((key, columns, plane), (key, columns, b""), (key, b"", plane)):
            if one in self._places:
                yield self._places[one]


def _identities(keys: Words, columns: Floats, plane: Floats) -> Iterator[Identity]:
    """Yield what tells samples apart; empty coordinates where there are fewer than keys."""
    rows = (map(bytes, np.ascontiguousarray(one)) for one in (columns, plane))
    yield from zip_longest(keys.tolist(), *rows, fillvalue=b"")


def _city_block(exemplars: Exemplars, columns: Floats) -> NDArray[np.float64]:
    apart = columns[:, None] - exemplars.columns
    np.abs(apart, out=apart)
    # Sums of whole numbers below 2^24: the product is exact, and faster than a sum.
    return np.asarray(apart @ all_ones(columns.shape[1]), dtype=np.float64)


def _euclidean(exemplars: Exemplars, plane: Floats) -> NDArray[np.float64]:
    """Return Euclidean distances [n, m], rounded down; whole numbers below 2^53 keep sums exact."""
    rows, others = plane.astype(np.float64), exemplars.plane.astype(np.float64)
    squares = np.square(rows).sum(axis=1)[:, None] + np.square(others).sum(axis=1)
    return root(squares - 2 * (rows @ others.T)).astype(np.float64)
