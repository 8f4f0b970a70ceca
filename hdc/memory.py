"""Concepts as exact integer sums: adding and removing commute, to the bit."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .blocks import AnyBlock, Packed
from .codes import Codes
from .errors import ConceptError, DimensionError, FormatError
from .geometry import Geometry, fingerprint_of, words_of
from .integers import Ints, all_ones, mean
from .scoring import combine
from .vectors import Words, pack, unpack

Key = tuple[str, str]
Columns = NDArray[np.intp]

PLANE = 2
_CHUNK = 255
_SCREENED = 512


@dataclass(frozen=True, slots=True, eq=False)
class _Concept:
    count: int
    ones: NDArray[np.int32]
    sums: Ints


@dataclass(frozen=True, slots=True, eq=False)
class _Centres:
    """What the sums stand for: `keys` sorted, `parts` the columns of each domain, majority `bits`
    [c, words], `means` per block, and the first `quarter` of the bits' words for a quick look at
    very many concepts."""

    keys: tuple[Key, ...]
    parts: dict[str, slice]
    bits: Words
    means: tuple[NDArray[np.floating], ...]
    quarter: Words


@dataclass(slots=True)
class Memory:
    """Concepts by (domain, label), each the integer sum of the codes added and not removed."""

    geometry: Geometry
    _concepts: dict[Key, _Concept] = field(default_factory=dict)
    _centres: _Centres | None = None

    @property
    def keys(self) -> tuple[Key, ...]:
        """The concepts (domain, label), sorted: the order of `score`'s columns."""
        return self._settled().keys

    @property
    def parts(self) -> Mapping[str, slice]:
        """The columns of each domain: keys are sorted, so they lie side by side."""
        return self._settled().parts

    @property
    def counts(self) -> dict[Key, int]:
        """How many samples each concept sums."""
        return {key: self._concepts[key].count for key in self.keys}

    def add(self, domain: str, label: str, codes: Codes) -> None:
        """Learn the samples `codes` [n] as the concept (domain, label)."""
        self._change((domain, label), self._sum(codes), 1)

    def remove(self, domain: str, label: str, codes: Codes) -> None:
        """Forget samples exactly; raises ConceptError where they can't have been added."""
        self._change((domain, label), self._sum(codes), -1)

    def merge(self, other: "Memory") -> None:
        """Add every sum of `other`, made with the same geometry."""
        if other.geometry.fingerprint != self.geometry.fingerprint:
            raise ConceptError(
                "merging expects memories of one geometry, found two",
                "derive both from their ledgers with the same geometry",
            )
        for key, concept in other._concepts.items():  # noqa: SLF001 - of the same class
            self._change(key, concept, 1)

    def copy(self) -> "Memory":
        """A memory with the same sums that changes alone."""
        return Memory(self.geometry, dict(self._concepts), self._centres)

    def part(self, domain: str) -> "Memory":
        """A memory with the concepts of one domain alone, that changes alone."""
        return Memory(self.geometry, {k: c for k, c in self._concepts.items() if k[0] == domain})

    def score(self, codes: Codes, scales: Ints | None = None, only: Columns | None = None) -> Ints:
        """How new the samples are to each concept, int64 [n, concepts], 1,024 a unit.

        scales: int64 [concepts, blocks, 2] of a calibration; none given means the geometry's.
        only: columns to look at, all where none are given.
        """
        usual = self.geometry.scales if scales is None else scales
        return combine(self.distances(codes, only), usual, self.geometry.votes)

    def nearest_by_bits(self, codes: Codes, count: int) -> Columns:
        """The `count` columns nearest to one code by hypervector alone, ascending order."""
        centres, query = self._settled(), codes.bits[0]
        if len(centres.keys) <= count:
            return np.arange(len(centres.keys))
        columns = None
        if len(centres.keys) > _SCREENED:
            # A quarter of the bits is enough to leave out nearly all of very many concepts.
            part = centres.quarter.shape[1]
            columns = _least(_differing(centres.quarter, query[:part]), _SCREENED)
        held = centres.bits if columns is None else centres.bits[columns]
        best = _least(_differing(held, query), count)
        found = best if columns is None else columns[best]
        found.sort()
        return found

    def distances(self, codes: Codes, only: Columns | None = None) -> Ints:
        """Distances int64 [n, concepts, blocks] to the concepts, or to those in columns `only`."""
        self._check(codes)
        centres = self._settled()
        count = len(centres.keys) if only is None else len(only)
        made = np.empty((len(codes), count, 1 + len(centres.means)), dtype=np.int64)
        if len(codes) == 1:
            held = centres.bits if only is None else centres.bits[only]
            made[0, :, 0] = _differing(held, codes.bits[0])
            for index, (block, span) in enumerate(self._blocks(), start=1):
                means = centres.means[index - 1]
                row = codes.values[0, slice(*span)].astype(means.dtype)
                made[0, :, index] = block.distance(row, means if only is None else means[only])
            return made
        rows = [
            codes.values[:, slice(*span)].astype(block.number) for block, span in self._blocks()
        ]
        for place, column in enumerate(range(count) if only is None else only):
            differing = np.bitwise_count(codes.bits ^ centres.bits[column])
            made[:, place, 0] = differing.sum(axis=1, dtype=np.int64)
            for index, block in enumerate(self.geometry.blocks):
                found = block.distance(rows[index], centres.means[index][column])
                made[:, place, index + 1] = found
        return made

    def distances_held_out(
        self, domain: str, label: str, codes: Codes, only: slice | None = None
    ) -> Ints:
        """`distances`, each sample against a memory that lacks that very sample.

        only: columns to look at, the own one among them; all where none are given.
        Also corrects for the geometry where it was fitted to the sample. A concept of one sample
        is nothing without it: its column then holds the usual distances, and says nothing.
        """
        concept, keys = self._concept((domain, label)), self.keys
        part = slice(0, len(keys)) if only is None else only
        column = keys[part].index((domain, label))
        made = self.distances(codes, np.arange(part.start, part.stop))
        rest = concept.count - 1
        if rest:
            bits = unpack(codes.bits)
            made[:, column, 0] = ((2 * (concept.ones - bits) > rest) != bits).sum(axis=1)
            means = mean(concept.sums - codes.values, rest)
            for index, (block, span) in enumerate(self._blocks(), start=1):
                held = slice(*span)
                made[:, column, index] = block.distance(codes.values[:, held], means[:, held])
        else:
            made[:, column] = self.geometry.scales[:, 0]
        if self.geometry.plane:
            made[:, :, PLANE] += self.geometry.surveyed.excess_of(codes)[:, None]
        return made

    def digest(self) -> str:
        """Hex SHA-256 of geometry and sums, whatever the order they were made in."""
        return hashlib.sha256(
            (self.geometry.fingerprint + fingerprint_of(self.pack())).encode()
        ).hexdigest()

    def pack(self) -> Packed:
        """Arrays that `unpack` makes the same memory of."""
        concepts = [self._concepts[key] for key in self.keys]
        shape = (len(concepts), -1) if concepts else (0, self.geometry.bits)
        return {
            "domains": np.asarray([key[0] for key in self.keys], dtype=np.str_),
            "labels": np.asarray([key[1] for key in self.keys], dtype=np.str_),
            "counts": np.asarray([concept.count for concept in concepts], dtype=np.int64),
            "ones": np.asarray([c.ones for c in concepts], dtype=np.int32).reshape(shape),
            "sums": np.asarray([c.sums for c in concepts], dtype=np.int64).reshape(
                len(concepts), self.geometry.values
            ),
        }

    @staticmethod
    def unpack(geometry: Geometry, packed: Packed) -> "Memory":
        """The memory that `pack` gave; raises FormatError where the arrays are not one."""
        made = Memory(geometry)
        names = ("domains", "labels", "counts", "ones", "sums")
        try:
            for domain, label, count, ones, sums in zip(*(packed[n] for n in names), strict=True):
                concept = _Concept(
                    int(count),
                    ones.astype(np.int32).reshape(geometry.bits),
                    sums.astype(np.int64).reshape(geometry.values),
                )
                made._change((str(domain), str(label)), concept, 1)
        except (
            *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
            ConceptError,
        ) as error:
            raise FormatError(f"unpacking a memory failed: {error!r}", "derive again") from error
        return made

    def _blocks(self) -> "zip[tuple[AnyBlock, tuple[int, int]]]":
        return zip(self.geometry.blocks, self.geometry.spans, strict=True)

    def _check(self, codes: Codes) -> None:
        found = (codes.bits.shape[1], codes.values.shape[1])
        expected = (words_of(self.geometry), self.geometry.values)
        if found != expected:
            raise DimensionError(
                f"the memory expects codes of {expected} words and values, found {found}",
                "code the features with this memory's geometry",
            )

    def _sum(self, codes: Codes) -> _Concept:
        self._check(codes)
        ones = np.zeros(self.geometry.bits, dtype=np.int32)
        for at in range(0, len(codes), _CHUNK):
            bits = unpack(codes.bits[at : at + _CHUNK]).view(np.uint8)
            # So few rows that their bits sum up in the bytes they came in.
            ones += np.add.reduce(bits, axis=0, dtype=np.uint8)
        return _Concept(len(codes), ones, codes.values.sum(axis=0))

    def _change(self, key: Key, by: _Concept, sign: int) -> None:
        old = self._concepts.get(key)
        count = sign * by.count + (old.count if old else 0)
        ones = sign * by.ones + (old.ones if old else 0)
        sums = sign * by.sums + (old.sums if old else 0)
        empty_but_not = count == 0 and (ones.any() or sums.any())
        if count < 0 or empty_but_not or (ones < 0).any() or (ones > count).any():
            raise ConceptError(
                f"removing from {key} expects samples that it holds, found others",
                "remove what was added, once",
            )
        self._centres = None
        if count:
            self._concepts[key] = _Concept(count, ones.astype(np.int32), sums)
        else:
            self._concepts.pop(key, None)

    def _concept(self, key: Key) -> _Concept:
        if key not in self._concepts:
            raise ConceptError(f"no concept {key} in the memory", "add samples of it first")
        return self._concepts[key]

    def _settled(self) -> _Centres:
        if self._centres is None:
            keys = tuple(sorted(self._concepts))
            held = [self._concepts[key] for key in keys]
            negative = np.asarray([2 * c.ones > c.count for c in held], dtype=np.bool_)
            means = np.asarray([mean(c.sums, c.count) for c in held], dtype=np.int64)
            means = means.reshape(len(keys), self.geometry.values)
            bits = pack(negative.reshape(len(keys), self.geometry.bits))
            parts: dict[str, slice] = {}
            for at, (domain, _) in enumerate(keys):
                parts[domain] = slice(parts[domain].start if domain in parts else at, at + 1)
            self._centres = _Centres(
                keys,
                parts,
                bits,
                tuple(
                    np.ascontiguousarray(means[:, slice(*span)]).astype(block.number)
                    for block, span in self._blocks()
                ),
                np.ascontiguousarray(bits[:, : max(1, bits.shape[1] // 4)]),
            )
        return self._centres


def _differing(held: Words, query: Words) -> Ints:
    """In how many bits rows [c, words] differ from one query [words], int64 [c]."""
    counts = np.empty(len(held), dtype=np.int64)
    each = all_ones(len(query))
    for at in range(0, len(held), _CHUNK):
        differing = np.bitwise_count(held[at : at + _CHUNK] ^ query)
        # A product adds faster than a sum does, and is exact: at most 64 differ in each word.
        counts[at : at + _CHUNK] = differing.astype(np.float32) @ each
    return counts


def _least(values: Ints, count: int) -> Columns:
    return values.argpartition(count)[:count]
