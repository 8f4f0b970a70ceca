"""The frozen map from features to codes."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .blocks import AnyBlock, Columns, Norms, Packed, Plane
from .codes import Codes
from .errors import DimensionError, FormatError
from .integers import Ints
from .projection import project
from .vectors import WORD_BITS, Words, random_words

Slices = tuple[tuple[int, int], ...]

BITS_SPREAD = 32
# Packed arrays that say more are damaged: nothing is allocated for them.
WIDTH_MAX = 1 << 20
BITS_MAX = 1 << 20
_ROWS = 32
_KEY_SEED = 0x6B6579


def _nothing() -> Ints:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class FittedGeometry:
    """Samples that the geometry was fitted to, and how much nearer that made them look.

    keys: uint64 [s], sorted.  excess: int64 [s], to be added to their plane distances.
    """

    keys: Words = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    excess: Ints = field(default_factory=_nothing)

    def excess_of(self, codes: Codes) -> Ints:
        """What to add to the plane distance of each code, int64 [n]; 0 for samples not surveyed."""
        if not len(self.keys):
            return np.zeros(len(codes), dtype=np.int64)
        wanted = keys_of(codes)
        places = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[places] == wanted, self.excess[places], 0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Geometry:
    """How uint8 features [n, width] become codes.

    slices: the taps (start, stop); hypervectors are made of the first.  seed: of their flips, 0 to
    2^63 - 1.  bits: of a hypervector, a multiple of 64.  columns, plane, norms: the blocks beside
    the bits, None where too little was surveyed.  scales: int64 [blocks, 2], usual distance to the
    own concept and its spread, for concepts that no calibration covers.
    """

    width: int
    slices: Slices
    seed: int
    bits: int
    scales: Ints
    columns: Columns | None = None
    plane: Plane | None = None
    norms: Norms | None = None
    surveyed: FittedGeometry = field(default_factory=FittedGeometry)

    @cached_property
    def blocks(self) -> tuple[AnyBlock, ...]:
        """The blocks beside the bits, in the order of a code's values."""
        return tuple(b for b in (self.columns, self.plane, self.norms) if b is not None)

    @cached_property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Where in a code's values each block lies."""
        edges = np.cumsum([0, *(block.width for block in self.blocks)]).tolist()
        return tuple(pairwise(edges))

    @property
    def values(self) -> int:
        """How many coordinates a code holds beside its bits."""
        return self.spans[-1][1] if self.spans else 0

    @cached_property
    def votes(self) -> Ints:
        """How often each block counts, int64 [1 + blocks].  With several taps all alike: bits and
        columns, which take columns one by one, have as many votes as plane and norms, which know
        how columns move together.  With one tap the plane leads (docs/decisions/0002)."""
        if not self.blocks:
            return np.ones(1, dtype=np.int64)
        return np.asarray([1, 1, 1, 1] if self.norms else [1, 1, 4], dtype=np.int64)

    def project(self, features: NDArray[np.uint8]) -> Codes:
        """Codes of features uint8 [n, width] (or [width]: one row)."""
        rows = np.asarray(features)
        rows = rows[None] if rows.ndim == 1 else rows
        if rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != self.width:
            raise DimensionError(
                f"coding expects uint8 features [n, {self.width}], found {rows.dtype} {rows.shape}",
                "quantise with the model card that this geometry was made for",
            )
        if len(rows) > _ROWS:
            # What many rows take in between no longer fits the processor's cache.
            parts = (rows[at : at + _ROWS] for at in range(0, len(rows), _ROWS))
            return Codes.concat([self.project(part) for part in parts])
        first = rows[:, slice(*self.slices[0])]
        values = np.empty((len(rows), self.values), dtype=np.int64)
        for block, (start, stop) in zip(self.blocks, self.spans, strict=True):
            values[:, start:stop] = block.code(rows)
        return Codes(project(first, self.seed, self.bits), values)

    @cached_property
    def fingerprint(self) -> str:
        """Hex SHA-256 of everything that decides codes and scores."""
        return fingerprint_of(self.pack())

    def pack(self) -> Packed:
        """Arrays that `unpack` makes the same geometry of."""
        packed: Packed = {
            "slices": np.asarray(self.slices, dtype=np.int64),
            "numbers": np.asarray([self.width, self.seed, self.bits], dtype=np.int64),
            "scales": self.scales,
            "surveyed.keys": self.surveyed.keys,
            "surveyed.excess": self.surveyed.excess,
        }
        named = (("columns", self.columns), ("plane", self.plane), ("norms", self.norms))
        for name, block in named:
            packed |= block.pack(name) if block else {}
        return packed

    @staticmethod
    def unpack(packed: Packed) -> "Geometry":
        """The geometry that `pack` gave; raises FormatError where the arrays are not one."""
        try:
            width, seed, bits = (int(number) for number in packed["numbers"])
            slices = tuple((int(a), int(b)) for a, b in packed["slices"])
            made = Geometry(
                width=width,
                slices=checked_slices(width, slices),
                seed=seed,
                bits=bits,
                scales=packed["scales"].astype(np.int64),
                columns=Columns.unpack("columns", packed),
                plane=Plane.unpack("plane", packed),
                norms=Norms.unpack("norms", packed),
                surveyed=FittedGeometry(
                    packed["surveyed.keys"].astype(np.uint64),
                    packed["surveyed.excess"].astype(np.int64),
                ),
            )
            _require_whole(made)
        except (
            *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
            DimensionError,
        ) as error:
            raise FormatError(f"unpacking a geometry failed: {error!r}", "survey again") from error
        return made


def _require_whole(geometry: Geometry) -> None:
    """Raise ValueError, or whatever coding a row does, where parts do not belong together."""
    found, blocks = geometry.scales.shape, 1 + len(geometry.blocks)
    if geometry.width > WIDTH_MAX or geometry.bits > BITS_MAX or found != (blocks, 2):
        raise ValueError(
            f"expected up to {WIDTH_MAX} columns, {BITS_MAX} bits and scales ({blocks}, 2), found "
            f"{geometry.width}, {geometry.bits} and {found}"
        )
    geometry.project(np.zeros(geometry.width, dtype=np.uint8))


def identity_geometry(width: int, slices: Slices, seed: int, bits: int = 8192) -> Geometry:
    """A geometry for features nothing is known about yet: hypervectors only."""
    scales = np.asarray([[0, max(1, bits // BITS_SPREAD)]], dtype=np.int64)
    return Geometry(
        width=int(width),
        slices=checked_slices(width, slices),
        seed=int(seed),
        bits=int(bits),
        scales=scales,
    )


def keys_of(codes: Codes) -> Words:
    """A word uint64 [n] per code by which a sample is recognised: a seeded hash of its bits."""
    odd = random_words(_KEY_SEED, codes.bits.shape[1]) | np.uint64(1)
    return np.asarray((codes.bits * odd).sum(axis=1, dtype=np.uint64))


def fingerprint_of(packed: Packed) -> str:
    """Hex SHA-256 over names, dtypes, shapes and little-endian bytes, in the order of names."""
    digest = hashlib.sha256()
    for name in sorted(packed):
        array = np.ascontiguousarray(packed[name])
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{name} {array.dtype.kind}{array.dtype.itemsize} {array.shape};".encode())
        digest.update(little.tobytes())
    return digest.hexdigest()


def checked_slices(width: int, slices: Slices) -> Slices:
    """The taps as plain pairs; raises DimensionError where they don't cover the width in order."""
    pairs = tuple((int(start), int(stop)) for start, stop in slices)
    edges = [0, *(stop for _, stop in pairs)]
    if (
        not pairs
        or [start for start, _ in pairs] != edges[:-1]
        or edges[-1] != width
        or any(start >= stop for start, stop in pairs)
    ):
        raise DimensionError(
            f"a geometry expects taps (start, stop) that cover 0 to {width} in order, found "
            f"{slices}",
            "give one pair a tap, the first being the final features",
        )
    return pairs


def words_of(geometry: Geometry) -> int:
    """How many words a hypervector of the geometry has."""
    return geometry.bits // WORD_BITS
