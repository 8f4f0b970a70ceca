"""The frozen map from uint8 features to codes: random projection, hypervectors and geometry.

A code holds a hypervector of D bits in D/64 words of uint64, dimension 0 in the lowest bit of
word 0, and integer coordinates.  A set bit stands for -1 and a clear bit for +1, so that exclusive
or is multiplication: the same vectors are binary spatter codes (Kanerva 1997) and
multiply-add-permute vectors (Gayler 1998, bipolar form).  The operations agree with the BSC and MAP
tensors of `torchhd`.

The projection stores no matrix (the structured projection of Ailon and Chazelle 2006; sign bits
keep angles, Charikar 2002).  One tap of w numbers is padded with zeros to P = 2^k >= w.  Every
round of P bits flips the signs by its own random bits before the transform, until `bits` are made:

    sums[r * P + i] = sum over j of (-1)^popcount(i & j) * flip[r, j] * x[j]

A bit is set where its sum is negative; a sum of zero is positive.  The flip of element j in round r
is bit (r * P + j) of the words `random_words(seed)`, set for -1.  All sums stay below 2^24, so
float32 arithmetic is exact in any order of addition.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from . import native
from .blocks import AnyBlock, Columns, Norms, Packed, Plane, shared_tap
from .errors import DimensionError, FormatError
from .integers import Ints, root
from .layouts import GeometryLayout, lay_geometry, padded_width

Words = NDArray[np.uint64]
Index = int | np.integer | slice | NDArray[np.generic] | list[int]
Slices = tuple[tuple[int, int], ...]

WORD_BITS = 64  # the word size of the supported processors
TAP_WIDTH_MAX = 1 << 16  # 255 x 2^16 < 2^24: sums of a wider tap would not be exact in float32
FLIPS_MAX = 8  # geometries whose flips are kept: tens of kilobytes each

BITS_SPREAD = 32
"""Share of the bits taken as the deviation of a Hamming distance while nothing is calibrated.
Chosen by hand; effect not measured."""

GEOMETRY_VERSION = 3
"""Of the algorithm that fits blocks.  Version 1 depended on the processor; version 2 took small
classes for clouds, and had other votes.  Their geometries can be read and used as they were, and
are replaced when a geometry is fitted again."""

WIDTH_MAX = 1 << 20  # bounds the allocation of `unpack` for a damaged file
BITS_MAX = 1 << 20  # as above

_ROWS = 32  # intermediate results of more rows leave the processor's cache
_BLOCK = 64  # a product with a 64 x 64 Hadamard matrix (16 KiB of float32) fits the L1 cache
_RUN = 128  # C transforms blocks of this size; a block may hold several rounds
_KEY_SEED = 0x6B6579  # "key" in ASCII: any constant will do, changing it changes all digests

# The increment and the multipliers of SplitMix64 (Steele, Lea and Flood 2014).
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def random_words(seed: int, count: int) -> Words:
    """Return `count` words uint64 of the SplitMix64 sequence of a seed (Steele et al. 2014)."""
    start = np.uint64(seed & 0xFFFFFFFFFFFFFFFF)
    state = start + _GOLDEN * np.arange(1, count + 1, dtype=np.uint64)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def random_vectors(seed: int, count: int, bits: int) -> Words:
    """Return `count` random hypervectors uint64 [count, bits/64]; every machine makes the same."""
    words = _words_for(bits)
    return random_words(seed, count * words).reshape(count, words)


def pack(negative: NDArray[np.bool_]) -> Words:
    """Pack bool [..., D], true where the dimension is -1, into words uint64 [..., D/64]."""
    _words_for(negative.shape[-1])
    octets = np.packbits(negative, axis=-1, bitorder="little")
    return octets.view("<u8").astype(np.uint64, copy=False)


def unpack(words: Words) -> NDArray[np.bool_]:
    """Unpack words uint64 [..., D/64] into bool [..., D]."""
    octets = np.ascontiguousarray(words, dtype="<u8").view(np.uint8)
    return np.unpackbits(octets, axis=-1, bitorder="little").view(np.bool_)


def bind(one: Words, other: Words) -> Words:
    """Multiply two hypervectors.  The product is similar to neither; binding again undoes it."""
    return one ^ other


def bundle(vectors: Words | Sequence[Words]) -> Words:
    """Return the majority of hypervectors [n, words]; a tie takes the bit of the first vector."""
    stack = np.asarray(vectors, dtype=np.uint64)
    if stack.ndim != 2 or not len(stack):
        raise DimensionError(
            f"bundling expects vectors [n, words] with n >= 1, found shape {stack.shape}",
            "stack at least one hypervector",
        )
    bits = unpack(stack)
    negative = 2 * bits.sum(axis=0, dtype=np.int64)
    return pack((negative > len(stack)) | ((negative == len(stack)) & bits[0]))


def permute(vector: Words, shift: int = 1) -> Words:
    """Roll hypervectors [..., words] by `shift` dimensions; the opposite shift undoes it."""
    return pack(np.roll(unpack(vector), shift, axis=-1))


def similarity(one: Words, other: Words) -> NDArray[np.int64]:
    """Return the dot product of +-1 vectors, D - 2 x Hamming distance; leading axes broadcast."""
    bits = one.shape[-1] * WORD_BITS
    return np.asarray(bits - 2 * np.bitwise_count(one ^ other).sum(axis=-1, dtype=np.int64))


def _words_for(bits: int) -> int:
    if bits < WORD_BITS or bits % WORD_BITS:
        raise DimensionError(
            f"a hypervector expects a multiple of {WORD_BITS} bits, found {bits}",
            "choose 8192, or another multiple of 64",
        )
    return bits // WORD_BITS


def project(features: NDArray[np.uint8], seed: int, bits: int = 8192) -> Words:
    """Project uint8 features [..., w], 1 <= w <= 65536, to hypervectors uint64 [..., bits/64].

    `bits` is a multiple of 64.  Costs bits * log2(w) additions a vector and no stored matrix.
    """
    if features.dtype != np.uint8 or not 1 <= features.shape[-1] <= TAP_WIDTH_MAX:
        raise DimensionError(
            f"projection expects uint8 features [..., 1 to {TAP_WIDTH_MAX}], found "
            f"{features.dtype} {features.shape}",
            "quantise the features first",
        )
    return pack(hadamard_sums(features, seed, bits) < 0)


def hadamard_sums(features: NDArray[np.uint8], seed: int, bits: int) -> NDArray[np.float32]:
    """Return the integer sums whose signs are the bits: float32 [..., bits], exact."""
    width = features.shape[-1]
    padded = padded_width(width)
    flips = _flips(seed, padded, -(-bits // padded), width)
    if padded <= _BLOCK:
        # For narrow taps it is cheaper to put the features into the matrix than into every round.
        sums = flips @ (features[..., None] * _hadamard(padded)[:width])
        return sums.reshape(*features.shape[:-1], len(flips) * padded)[..., :bits]
    filled = _filled(width, padded)
    if filled == width:
        flipped = features[..., None, :] * flips
    else:
        flipped = np.zeros((*features.shape[:-1], len(flips), filled), dtype=np.float32)
        np.multiply(features[..., None, :], flips, out=flipped[..., :width])
    sums = _transform(flipped, padded)
    return sums.reshape(*features.shape[:-1], len(flips) * padded)[..., :bits]


def _filled(width: int, padded: int) -> int:
    """Return how many padded numbers to transform.  Two rounds of products can skip the blocks that
    hold only zeros."""
    return -(-width // _BLOCK) * _BLOCK if padded <= _BLOCK**2 else padded


def _transform(values: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Compute the Hadamard transform of the last axis, padded with zeros to `size`, by small matrix
    products that fit the cache."""
    filled = values.shape[-1]
    done = _BLOCK
    values = values.reshape(-1, done) @ _hadamard(done)
    while done < size:
        block = min(_BLOCK, size // done)
        held = min(block, filled // done)
        values = _hadamard(block)[:, :held] @ values.reshape(-1, held, done)
        done *= block
    return values


@cache
def _hadamard(size: int) -> NDArray[np.float32]:
    matrix = np.ones((1, 1), dtype=np.float32)
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    matrix.setflags(write=False)
    return matrix


@lru_cache(maxsize=FLIPS_MAX)
def _flips(seed: int, padded: int, rounds: int, width: int) -> NDArray[np.float32]:
    words = random_words(seed, -(-rounds * padded // WORD_BITS))
    flat = np.where(unpack(words), np.float32(-1), np.float32(1))
    flips = np.ascontiguousarray(flat[: rounds * padded].reshape(rounds, padded)[:, :width])
    flips.setflags(write=False)
    return flips


class Codes(msgspec.Struct, frozen=True, eq=False):
    """A batch of coded samples.  Indexing and slicing return batches; iterating yields batches of
    one.

    bits: uint64 [n, words], the hypervectors.  values: int64 [n, m], the blocks' coordinates.
    """

    bits: Words
    values: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.bits)

    def __getitem__(self, index: Index) -> "Codes":
        if isinstance(index, int | np.integer):
            place = range(len(self))[index]  # raises IndexError beyond the end, as a list does
            index = slice(place, place + 1)
        return Codes(self.bits[index], self.values[index])

    def __iter__(self) -> Iterator["Codes"]:
        return (self[place] for place in range(len(self)))

    @staticmethod
    def concat(batches: Sequence["Codes"]) -> "Codes":
        """Join at least one batch, in order."""
        if not batches:
            raise DimensionError("joining codes expects a batch, found none", "give at least one")
        return Codes(
            np.concatenate([batch.bits for batch in batches]),
            np.concatenate([batch.values for batch in batches]),
        )


def _no_excess() -> Ints:
    return np.empty(0, dtype=np.int64)


class FittedGeometry(msgspec.Struct, frozen=True, eq=False):
    """The samples that a geometry was fitted to, and the bias of their plane distances.

    keys: uint64 [s], sorted.  excess: int64 [s]: add it to a sample's plane distance to get the
    distance that a geometry fitted without the sample would give.
    """

    keys: Words = msgspec.field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    excess: Ints = msgspec.field(default_factory=_no_excess)

    def excess_of(self, codes: Codes) -> Ints:
        """Return the excess of each code, int64 [n]; 0 for samples outside the fit."""
        if not len(self.keys):
            return np.zeros(len(codes), dtype=np.int64)
        wanted = keys_of(codes)
        places = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[places] == wanted, self.excess[places], 0)


@dataclass(frozen=True, eq=False, kw_only=True)
class Geometry:
    """The map from uint8 features [n, width] to codes.

    slices: the taps (start, stop); hypervectors use the first.  seed: of the sign flips, 0 to
    2^63 - 1.  bits: hypervector dimensions, a multiple of 64.  columns, plane, norms: the integer
    blocks, None if there were too few samples to fit them.  scales: int64 [blocks, 2], mean and
    deviation of the distance to a sample's own concept, for concepts without a calibration.
    fitted: the samples of the fit.  version: of the algorithm that fitted the blocks.
    """

    width: int
    slices: Slices
    seed: int
    bits: int
    scales: Ints
    columns: Columns | None = None
    plane: Plane | None = None
    norms: Norms | None = None
    fitted: FittedGeometry = field(default_factory=FittedGeometry)
    version: int = GEOMETRY_VERSION

    def __getstate__(self) -> dict[str, object]:
        """Copies and pickles hold the fields; the rest is derived for the process in use."""
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}

    @cached_property
    def blocks(self) -> tuple[AnyBlock, ...]:
        """The integer blocks, in the order of a code's values."""
        return tuple(b for b in (self.columns, self.plane, self.norms) if b is not None)

    @cached_property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """The range of each block in a code's values."""
        edges = np.cumsum([0, *(block.width for block in self.blocks)]).tolist()
        return tuple(pairwise(edges))

    @property
    def values(self) -> int:
        """The number of integer coordinates in a code."""
        return self.spans[-1][1] if self.spans else 0

    @property
    def words(self) -> int:
        """The number of words in a hypervector."""
        return self.bits // WORD_BITS

    @cached_property
    def votes(self) -> Ints:
        """The weight of each block in the joint score, int64 [1 + blocks].

        With norms, bits and columns, which ignore correlations between columns, balance plane and
        norms, which model them.  Else the plane leads, the less the more exemplars count
        (docs/decisions/0002).
        """
        if not self.blocks or self.plane is None:
            return np.ones(1 + len(self.blocks), dtype=np.int64)
        clustered = [1, 1, 2] if self.version < 3 else [1, 2, 1]
        single = clustered if self.plane.fixed[0] else [1, 1, 4]
        return np.asarray([3, 2, 2, 2] if self.norms else single, dtype=np.int64)

    @cached_property
    def exemplar_votes(self) -> Ints:
        """The weights of the nearest exemplar by columns and by plane, int64 [2]
        (docs/decisions/0002)."""
        clustered = self.plane is not None and bool(self.plane.fixed[0])
        by_plane = 4 if self.version < 3 or not clustered else 2
        return np.asarray([8 if clustered else 2, by_plane], dtype=np.int64)

    def project(self, features: NDArray[np.uint8]) -> Codes:
        """Code features uint8 [n, width], or [width] for one row.  Raises DimensionError."""
        rows = np.asarray(features)
        rows = rows[None] if rows.ndim == 1 else rows
        if rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != self.width:
            raise DimensionError(
                f"coding expects uint8 features [n, {self.width}], found {rows.dtype} {rows.shape}",
                "quantise with the model card that this geometry was made for",
            )
        codes = self._project_in_c(rows)
        if codes is not None:
            return codes
        if len(rows) > _ROWS:
            parts = (rows[at : at + _ROWS] for at in range(0, len(rows), _ROWS))
            return Codes.concat([self.project(part) for part in parts])
        first = rows[:, slice(*self.slices[0])]
        return Codes(project(first, self.seed, self.bits), self._values_of(rows))

    def _values_of(self, rows: NDArray[np.uint8]) -> Ints:
        """Return the blocks' coordinates int64 [n, values]."""
        values = np.empty((len(rows), self.values), dtype=np.int64)
        squares = self.norms.squares(rows) if self.norms is not None else None
        for block, (start, stop) in zip(self.blocks, self.spans, strict=True):
            if squares is not None and isinstance(block, Norms):
                values[:, start:stop] = block.code_squares(squares)
            elif squares is not None and isinstance(block, Plane) and self._shared is not None:
                norms = np.maximum(root(squares[:, self._shared]), 1)
                values[:, start:stop] = block.code(rows, norms)
            else:
                values[:, start:stop] = block.code(rows)
        return values

    @cached_property
    def _shared(self) -> int | None:
        """The tap whose norm is also the plane's divisor, None if there is none."""
        if self.plane is None or self.norms is None:
            return None
        return shared_tap(self.plane, self.norms)

    def _project_in_c(self, rows: NDArray[np.uint8]) -> Codes | None:
        """Compute `project` in C, None if it cannot."""
        kernel, layout = native.KERNEL, self.layout
        if kernel is None or layout is None:
            return None
        bits = np.empty((len(rows), self.words), dtype=np.uint64)
        values = np.empty((len(rows), self.values), dtype=np.int64)
        work = np.empty(layout.work_bytes, dtype=np.uint8)
        exact = kernel.project(layout, np.ascontiguousarray(rows), bits, values, work)
        return Codes(bits, values) if exact else None

    @cached_property
    def layout(self) -> GeometryLayout | None:
        """The geometry laid out for C; None if C cannot serve it."""
        tap = self.slices[0]
        size = padded_width(tap[1] - tap[0])
        run = max(size, _RUN)
        flips = random_words(self.seed, -(-self.bits // run) * run // WORD_BITS)
        blocks = (self.columns, self.plane, self.norms)
        return lay_geometry(self.width, tap, flips, self.bits, blocks)

    @cached_property
    def fingerprint(self) -> str:
        """Hex SHA-256 of everything that decides codes and scores."""
        return fingerprint_of(self.pack())

    def pack(self) -> Packed:
        """Return arrays from which `unpack` restores the geometry."""
        packed: Packed = {
            "slices": np.asarray(self.slices, dtype=np.int64),
            "numbers": np.asarray([self.width, self.seed, self.bits], dtype=np.int64),
            "scales": self.scales,
            "surveyed.keys": self.fitted.keys,
            "surveyed.excess": self.fitted.excess,
        }
        named = (("columns", self.columns), ("plane", self.plane), ("norms", self.norms))
        for name, block in named:
            packed |= block.pack(name) if block else {}
        if self.blocks and self.version > 1:
            # Version 1 was not packed, and fingerprints of its geometries stay as they were.
            packed["version"] = np.asarray([self.version], dtype=np.int64)
        return packed

    @staticmethod
    def unpack(packed: Packed) -> "Geometry":
        """Restore the geometry that `pack` returned; raises FormatError for other arrays."""
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
                plane=Plane.unpack("plane", {**_EARLIER, **packed}),
                norms=Norms.unpack("norms", packed),
                fitted=FittedGeometry(
                    packed["surveyed.keys"].astype(np.uint64),
                    packed["surveyed.excess"].astype(np.int64),
                ),
                version=_version(packed),
            )
            _require_whole(made)
        except (
            *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
            DimensionError,
        ) as error:
            raise FormatError(
                f"unpacking a geometry failed: {error!r}", "fit the geometry again"
            ) from error
        return made


# Planes of earlier versions have no divisor: they divide by each sample's own norm.
_EARLIER: Packed = {"plane.fixed": np.zeros(1, dtype=np.int64)}


def _version(packed: Packed) -> int:
    """Return the version of a packed geometry; raises ValueError for one of a later release."""
    found = int(packed["version"][0]) if "version" in packed else 1
    if not 1 <= found <= GEOMETRY_VERSION:
        raise ValueError(
            f"it has version {found}, this release reads up to {GEOMETRY_VERSION}: update it"
        )
    fitted = any(f"{name}.gains" in packed for name in ("columns", "plane"))
    return found if fitted else GEOMETRY_VERSION


def _require_whole(geometry: Geometry) -> None:
    """Raise ValueError, or the error of coding a row, unless the parts belong together."""
    found, blocks = geometry.scales.shape, 1 + len(geometry.blocks)
    if geometry.width > WIDTH_MAX or geometry.bits > BITS_MAX or found != (blocks, 2):
        raise ValueError(
            f"expected up to {WIDTH_MAX} columns, {BITS_MAX} bits and scales ({blocks}, 2), found "
            f"{geometry.width}, {geometry.bits} and {found}"
        )
    geometry.project(np.zeros(geometry.width, dtype=np.uint8))


def identity_geometry(width: int, slices: Slices, seed: int, bits: int = 8192) -> Geometry:
    """Return a geometry that is fitted to nothing: hypervectors only."""
    return Geometry(
        width=int(width),
        slices=checked_slices(width, slices),
        seed=int(seed),
        bits=int(bits),
        scales=np.asarray([[0, max(1, bits // BITS_SPREAD)]], dtype=np.int64),
    )


def keys_of(codes: Codes) -> Words:
    """Return a word uint64 [n] per code that identifies the sample: a seeded hash of its bits."""
    odd = random_words(_KEY_SEED, codes.bits.shape[1]) | np.uint64(1)
    return np.asarray((codes.bits * odd).sum(axis=1, dtype=np.uint64))


class Joined(msgspec.Struct, frozen=True, eq=False):
    """Arrays [n, ...] of whole numbers that count as one in a fingerprint, without a copy of all.

    dtype: of the whole.  parts: at least one, of any dtype.
    """

    dtype: np.dtype[Any]
    parts: Sequence[NDArray[Any]]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the whole."""
        return (sum(map(len, self.parts)), *self.parts[0].shape[1:])

    def whole(self) -> NDArray[Any]:
        """Return a copy of all parts."""
        return np.concatenate(self.parts).astype(self.dtype)


def fingerprint_of(packed: Mapping[str, NDArray[Any] | Joined]) -> str:
    """Hex SHA-256 over names, dtypes, shapes and little-endian bytes, in the order of names."""
    digest = hashlib.sha256()
    update_fingerprint(digest, packed)
    return digest.hexdigest()


def update_fingerprint(
    digest: "hashlib._Hash", packed: Mapping[str, NDArray[Any] | Joined]
) -> None:
    """Add arrays to the state of a `fingerprint_of`."""
    for name in sorted(packed):
        held = packed[name]
        parts = held.parts if isinstance(held, Joined) else (held,)
        digest.update(f"{name} {held.dtype.kind}{held.dtype.itemsize} {held.shape};".encode())
        little = held.dtype.newbyteorder("<")
        for part in parts:
            digest.update(np.ascontiguousarray(part, dtype=little).reshape(-1).view(np.uint8).data)


def checked_slices(width: int, slices: Slices) -> Slices:
    """Return the taps as plain pairs; raises DimensionError unless they cover the width in
    order."""
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
            "give one pair per tap, the first being the final features",
        )
    return pairs
