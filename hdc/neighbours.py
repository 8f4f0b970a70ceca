"""The nearest remembered samples of a concept, for single vectors whose classes have many forms.

A mean says little of a class that is many small groups; the sample nearest to a new one says more
(Cover and Hart 1967). Some codes per concept are kept beside the sums, chosen by a hash of the
code, so that the choice depends on the set of samples alone. With several taps the blocks of the
taps tell as much without them, and faster.
"""

from dataclasses import dataclass
from math import isqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .blocks import Packed
from .codes import Codes
from .geometry import Geometry, keys_of
from .integers import Ints, all_ones, root
from .vectors import Words

Floats = NDArray[np.float32]

EXEMPLARS_MIN: Final = 32
EXEMPLARS_MAX: Final = 256
NUMBERS_MAX: Final = 65_536
"""Column coordinates a concept keeps: of wide features those of fewer exemplars, 32 at least."""

CHUNK_NUMBERS: Final = 1 << 18


@dataclass(frozen=True, slots=True, eq=False)
class Exemplars:
    """Whole coordinates of some samples of one concept, sorted by their keys uint64 [m].

    columns: float32 [c, k] of the first c of them.  plane: float32 [m, r], without what lies
    outside the plane.
    """

    keys: Words
    columns: Floats
    plane: Floats

    def __len__(self) -> int:
        return len(self.keys)


def has_neighbours(geometry: Geometry) -> bool:
    """Say whether exemplars are kept: for one tap that was surveyed."""
    return geometry.columns is not None and geometry.plane is not None and geometry.norms is None


def choose(geometry: Geometry, codes: Codes) -> Exemplars:
    """Choose the exemplars of a concept from all codes of it that are at hand, in any order."""
    columns, plane = coordinates(geometry, codes)
    room = max(EXEMPLARS_MIN, NUMBERS_MAX // max(1, columns.shape[1]))
    keys = keys_of(codes)
    # Samples of one key have the same hypervector; their coordinates settle the order.
    order = np.lexsort((plane.sum(axis=1), columns.sum(axis=1), keys))[:EXEMPLARS_MAX]
    return Exemplars(keys[order], columns[order[:room]], plane[order])


def coordinates(geometry: Geometry, codes: Codes) -> tuple[Floats, Floats]:
    """The codes' coordinates float32 [n, k] in the columns and [n, r] in the plane, all whole."""
    first, second = (codes.values[:, slice(*span)] for span in geometry.spans[:2])
    return first.astype(np.float32), second[:, :-1].astype(np.float32)


def nearest(exemplars: Exemplars, columns: Floats, plane: Floats, own: Words | None = None) -> Ints:
    """Distances int64 [n, 2] to the nearest exemplar, by columns and by plane; -1 without any.

    own: keys uint64 [n] of samples of this very concept: an exemplar of the same key is the sample
    itself, once, and does not count.
    """
    made = np.full((len(columns), 2), -1, dtype=np.int64)
    itself = np.full(len(columns), -1) if own is None else _places(exemplars, own)
    step = max(1, CHUNK_NUMBERS // max(1, exemplars.columns.size))
    for at in range(0, len(columns), step):
        part = slice(at, at + step)
        for place, apart in enumerate(
            (_city_block(exemplars, columns[part]), _straight(exemplars, plane[part]))
        ):
            there = (itself[part] >= 0) & (itself[part] < apart.shape[1])
            apart[there, itself[part][there]] = np.inf
            least = apart.min(axis=1, initial=np.inf)
            made[part, place] = np.where(np.isfinite(least), least, -1)
    return made


def nearest_to_one(exemplars: Exemplars, columns: Floats, plane: Floats) -> tuple[int, int]:
    """`nearest` of one sample, [k] and [r], that is not of the memory."""
    if not len(exemplars):
        return -1, -1
    apart = np.subtract(exemplars.columns, columns)
    np.abs(apart, out=apart)
    away = np.subtract(exemplars.plane, plane, dtype=np.float64)
    # Whole numbers: of column distances below 2^24, of squares below 2^53, so all sums are exact.
    blocks = apart @ all_ones(len(columns))
    return int(blocks.min(initial=np.inf)), isqrt(int(np.vecdot(away, away).min()))


def pack_exemplars(held: list[Exemplars]) -> Packed:
    """All exemplars as arrays of whole numbers, with how many rows are whose."""
    empty = np.empty((0, 0), dtype=np.float32)
    columns = [e.columns for e in held]
    plane = [e.plane for e in held]
    return {
        "exemplars.sizes": np.asarray([[len(e), len(e.columns)] for e in held], dtype=np.int64),
        "exemplars.keys": np.concatenate([np.empty(0, dtype=np.uint64), *(e.keys for e in held)]),
        "exemplars.columns": (np.concatenate(columns) if held else empty).astype(np.int32),
        "exemplars.plane": (np.concatenate(plane) if held else empty).astype(np.int32),
    }


def _places(exemplars: Exemplars, own: Words) -> NDArray[np.intp]:
    """Where each key stands first among the exemplars, -1 where it does not."""
    places = np.minimum(np.searchsorted(exemplars.keys, own), max(0, len(exemplars) - 1))
    found = exemplars.keys[places] == own if len(exemplars) else np.zeros(len(own), np.bool_)
    return np.asarray(np.where(found, places, -1))


def _city_block(exemplars: Exemplars, columns: Floats) -> NDArray[np.float64]:
    apart = columns[:, None] - exemplars.columns
    np.abs(apart, out=apart)
    # Whole numbers whose sums stay below 2^24: a product adds them up faster, and exactly.
    return np.asarray(apart @ all_ones(columns.shape[1]), dtype=np.float64)


def _straight(exemplars: Exemplars, plane: Floats) -> NDArray[np.float64]:
    """Straight distances [n, m], rounded down; whole numbers below 2^53 make every order exact."""
    mine, theirs = plane.astype(np.float64), exemplars.plane.astype(np.float64)
    squares = np.square(mine).sum(axis=1)[:, None] + np.square(theirs).sum(axis=1)
    return root(squares - 2 * (mine @ theirs.T)).astype(np.float64)
