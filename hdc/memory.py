"""Concepts as integer sums of codes: adding and removing samples commute, to the bit."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from . import native
from .blocks import AnyBlock, Packed
from .errors import ConceptError, DimensionError, FormatError
from .geometry import Codes, Geometry, Words, pack, unpack, update_fingerprint
from .integers import Ints, combine, mean
from .layouts import MemoryLayout, lay_memory, with_rows
from .prototypes import SCREENED, Indices, Key, Prototypes, hamming, least, parts_of
from .spread import TERMS, terms_of

Reals = NDArray[np.float64]
Fold = tuple[Indices, NDArray[np.bool_]]
"""Rows to score, and a mask of the rows that are left out with them."""

PLANE = 2  # the plane's place among a concept's distances, after bits and columns
_CHUNK = 255  # the most bits that a uint8 can count


RESIDUALS = 128  # columns whose products C adds at a time; RESIDUALS in level.h

_SPARE = 64
"""Bytes of working memory beyond the coordinates of a sample."""

_COUNTERS = (np.uint8, np.uint16, np.int32)
"""Types of counts of set bits, smallest first; a concept uses the first that holds its samples."""


class _Concept(msgspec.Struct, frozen=True, eq=False):
    """The sum of `count` samples.  held: their set bits, in one of `_COUNTERS`; of a single sample
    its words.  sums: of the values."""

    count: int
    held: NDArray[Any]
    sums: Ints

    @property
    def ones(self) -> NDArray[np.integer]:
        """How many samples have each bit set."""
        return unpack(self.held).view(np.uint8) if self.held.dtype == np.uint64 else self.held


class Residuals(msgspec.Struct, frozen=True, eq=False):
    """Single samples less the means of their nearest concepts.

    columns: [n], of these concepts.  counts: int64 [n], the samples in each.
    """

    memory: "Memory"
    codes: tuple[Codes, ...]
    columns: Indices
    counts: Ints

    def blocks(self) -> tuple[Reals, ...]:
        """Return the residuals float64 [n, width], whole numbers, for each fitted block."""
        return self.memory.residual_blocks(self.codes, self.columns)

    def terms(self) -> Reals:
        """Return what the inner products of the residuals amount to, float64 [blocks, 5]; see
        `terms_of`."""
        return self.memory.residual_terms(self.codes, self.columns)


@dataclass(slots=True)
class Memory:
    """Concepts by (domain, label), each the integer sum of its samples' codes."""

    geometry: Geometry
    _concepts: dict[Key, _Concept] = field(default_factory=dict)
    _prototypes: Prototypes | None = None
    _changed: set[Key] = field(default_factory=set)

    @property
    def keys(self) -> tuple[Key, ...]:
        """The concepts (domain, label), sorted: the order of the columns of `score`."""
        return self._derived().keys

    @property
    def parts(self) -> Mapping[str, slice]:
        """The columns of each domain; they are adjacent because keys are sorted."""
        return self._derived().parts

    @property
    def layout(self) -> MemoryLayout | None:
        """The prototypes laid out for C; None if C cannot serve them."""
        return self._derived().layout

    @property
    def counts(self) -> Mapping[Key, int]:
        """The number of samples in each concept, in the order of `keys`; stays as it is when the
        memory changes."""
        return self._derived().count_of

    def add(self, domain: str, label: str, codes: Codes) -> None:
        """Add the samples `codes` [n] to the concept (domain, label)."""
        self._change((domain, label), self._sum(codes), 1)

    def remove(self, domain: str, label: str, codes: Codes) -> None:
        """Remove samples exactly; raises ConceptError if they cannot have been added."""
        self._change((domain, label), self._sum(codes), -1)

    def merge(self, other: "Memory") -> None:
        """Add every sum of `other`; raises ConceptError unless the geometry is the same."""
        if other.geometry.fingerprint != self.geometry.fingerprint:
            raise ConceptError(
                "merging expects memories of one geometry, found two",
                "derive both from their ledgers with the same geometry",
            )
        for key, concept in other._concepts.items():  # noqa: SLF001 - of the same class
            self._change(key, concept, 1)

    def __reduce__(self) -> tuple[object, ...]:
        """Copies and pickles hold the sums; prototypes are derived for the process in use."""
        return Memory, (self.geometry, self._concepts)

    def copy(self) -> "Memory":
        """Return an independent copy."""
        return Memory(self.geometry, dict(self._concepts), self._prototypes, set(self._changed))

    def take(self, keys: Iterable[Key]) -> "Memory":
        """Take concepts out, and return them as a memory of their own; unknown ones are skipped."""
        taken = {key: self._concepts.pop(key) for key in keys if key in self._concepts}
        self._changed.update(taken)
        return Memory(self.geometry, taken)

    def part(self, domain: str) -> "Memory":
        """Return an independent memory with only the concepts of one domain."""
        return Memory(self.geometry, {k: c for k, c in self._concepts.items() if k[0] == domain})

    def score(self, codes: Codes, scales: Ints | None = None, only: Indices | None = None) -> Ints:
        """Return the novelty of samples to each concept, int64 [n, concepts], 1,024 a unit.

        scales: int64 [concepts, blocks, 2] of a calibration; the geometry's by default.  only:
        columns to compare, all by default.
        """
        chosen = self.geometry.scales if scales is None else scales
        return combine(self.distances(codes, only), chosen, self.geometry.votes)

    def nearest_by_bits(self, codes: Codes, count: int) -> Indices:
        """Return the `count` columns nearest to one code by Hamming distance, ascending."""
        prototypes, query = self._derived(), codes.bits[0]
        if len(prototypes.keys) <= count:
            return np.arange(len(prototypes.keys))
        if native.KERNEL is not None and prototypes.layout is not None:
            found = np.empty(count, dtype=np.intp)
            work = np.empty(prototypes.work_bytes, dtype=np.uint8)
            native.KERNEL.nearest(prototypes.layout, np.ascontiguousarray(query), work, found)
            return found
        columns = None
        if len(prototypes.keys) > SCREENED:
            # A quarter of the bits rules out nearly all of very many concepts.
            part = prototypes.quarter.shape[1]
            columns = least(hamming(prototypes.quarter, query[:part]), SCREENED)
        held = prototypes.bits if columns is None else prototypes.bits[columns]
        best = least(hamming(held, query), count)
        return best if columns is None else columns[best]

    def distances(self, codes: Codes, only: Indices | None = None) -> Ints:
        """Return distances int64 [n, concepts, blocks] to all concepts, or to columns `only`."""
        self._check(codes)
        prototypes = self._derived()
        count = len(prototypes.keys) if only is None else len(only)
        made = np.empty((len(codes), count, 1 + len(self.geometry.blocks)), dtype=np.int64)
        if self._distances_in_c(codes, only, made):
            return made
        if len(codes) == 1:
            held = prototypes.bits if only is None else prototypes.bits[only]
            made[0, :, 0] = hamming(held, codes.bits[0])
            for index, (block, span) in enumerate(self._blocks(), start=1):
                means = prototypes.means[index - 1]
                row = codes.values[0, slice(*span)].astype(means.dtype)
                made[0, :, index] = block.distance(row, means if only is None else means[only])
            return made
        rows = [
            codes.values[:, slice(*span)].astype(block.number) for block, span in self._blocks()
        ]
        for place, column in enumerate(range(count) if only is None else only):
            differing = np.bitwise_count(codes.bits ^ prototypes.bits[column])
            made[:, place, 0] = differing.sum(axis=1, dtype=np.int64)
            for index, block in enumerate(self.geometry.blocks):
                found = block.distance(rows[index], prototypes.means[index][column])
                made[:, place, index + 1] = found
        return made

    def _distances_in_c(self, codes: Codes, only: Indices | None, made: Ints) -> bool:
        """Compute `distances` in C; returns False if it cannot."""
        kernel, layout = native.KERNEL, self._derived().layout
        if kernel is None or layout is None or not made.size:
            return False
        chosen = None if only is None else np.ascontiguousarray(only, dtype=np.int64)
        sample = (
            np.ascontiguousarray(codes.bits, dtype=np.uint64),
            np.ascontiguousarray(codes.values, dtype=np.int64),
        )
        work = np.empty(4 * codes.values.shape[1] + _SPARE, dtype=np.uint8)
        return bool(kernel.distances(layout, *sample, chosen, work, made))

    def compare(
        self, codes: Codes, scales: Ints, only: Indices | None = None
    ) -> tuple[Ints, Ints, Ints] | None:
        """Compare one code in C: its distances int64 [concepts, blocks], and its novelty int64
        [concepts] with one scale for all concepts and with each concept's own.  None if C cannot.

        scales: int64 [1 + concepts, blocks, 2], the common one first.  only: as in `distances`.
        """
        self._check(codes)
        kernel, layout, blocks = native.KERNEL, self._derived().layout, scales.shape[1]
        if kernel is None or layout is None:
            return None
        count = len(self.keys) if only is None else len(only)
        made = np.empty(count * (blocks + 2), dtype=np.int64)
        work = np.empty(4 * codes.values.shape[1] + _SPARE, dtype=np.uint8)
        sample = (
            np.ascontiguousarray(codes.bits, dtype=np.uint64),
            np.ascontiguousarray(codes.values, dtype=np.int64),
        )
        if not kernel.compare(layout, *sample, only, work, *(scales, made)):
            return None
        size = count * blocks
        return made[:size].reshape(count, blocks), made[size : size + count], made[size + count :]

    def residuals(
        self, codes: Iterable[Codes], domain: str, scores: Ints | None = None
    ) -> Residuals:
        """Return samples, one each, less the means of their nearest concepts of one domain.

        scores: of the samples as `score` returns them, if they are known already.  Concepts of
        fewer than `MEAN_SAMPLES_MIN` samples are left out if there are larger ones.
        """
        rows = tuple(codes)
        columns, counts = self._derived().larger(domain)
        if scores is None:
            near = self.score(Codes.concat(rows), only=columns)
        else:
            near = scores[:, columns]
        nearest = near.argmin(axis=1)
        return Residuals(self, rows, columns[nearest], counts[nearest])

    def residual_blocks(self, codes: Sequence[Codes], columns: Indices) -> tuple[Reals, ...]:
        """Return single samples less the means of the concepts at `columns`: float64 [n, width],
        whole numbers, for each fitted block."""
        rows = np.concatenate([one.values for one in codes]).astype(np.float64)
        blocks = tuple(rows[:, slice(*span)] for span in self.geometry.spans)
        for block, means in zip(blocks, self._derived().held, strict=True):
            np.subtract(block, means[columns], out=block)
        return blocks

    def residual_terms(self, codes: Sequence[Codes], columns: Indices) -> Reals:
        """Return `terms_of` the inner products of the rows of each of `residual_blocks`."""
        kernel, layout, count = native.KERNEL, self.layout, len(codes)
        blocks = len(self.geometry.blocks)
        made = np.empty((blocks, TERMS), dtype=np.float64)
        if not blocks:
            return made
        if kernel is not None and layout is not None:
            work = np.empty(count * (RESIDUALS + count + 1), dtype=np.float64)
            rows = tuple([one.values for one in codes])
            if kernel.spread(layout, rows, columns, made, work):
                return made
        rows_of_blocks = self.residual_blocks(codes, columns)
        products = [block @ block.T for block in rows_of_blocks]
        return terms_of(np.asarray(products).reshape(blocks, count, count))

    def distances_held_out(
        self,
        domain: str,
        label: str,
        codes: Codes,
        only: slice | None = None,
        folds: Iterable[Fold] | None = None,
    ) -> Ints:
        """Compute `distances` of each sample to a memory without that sample.

        only: columns to compare, with the samples' own; all by default.  folds: rows to score,
        with a mask of those left out with them; each sample alone by default.  If the geometry was
        fitted to a sample, its distances are corrected for that too.  A concept of one sample is
        empty without it: its column then holds the mean distances, which carry no information.
        """
        concept, keys = self._concept((domain, label)), self.keys
        part = slice(0, len(keys)) if only is None else only
        column = keys[part].index((domain, label))
        made = self.distances(codes, np.arange(part.start, part.stop))
        if folds is None:
            made[:, column] = self._without_itself(concept, codes)
        for scored, left_out in folds or ():
            made[scored, column] = self._without(concept, codes[scored], codes[left_out])
        if self.geometry.plane:
            made[:, :, PLANE] += self.geometry.fitted.excess_of(codes)[:, None]
            np.maximum(made[:, :, PLANE], 0, out=made[:, :, PLANE])
        return made

    @property
    def plane_width(self) -> int:
        """The number of coordinates in the plane, 0 if the geometry has none."""
        return self.geometry.plane.width - 1 if self.geometry.plane else 0

    def displacement(self, key: Key, codes: Codes, left_out: Codes | None = None) -> Ints:
        """Return how far samples lie from a concept's mean in the plane, int64 [n, plane_width].

        left_out: samples of the concept that do not count.
        """
        if not self.plane_width:
            return np.zeros((len(codes), 0), dtype=np.int64)
        start, stop = self.geometry.spans[PLANE - 1]
        part = slice(start, stop - 1)
        concept = self._concept(key)
        sums, count = concept.sums[part], concept.count
        if left_out is not None:
            sums, count = sums - left_out.values[:, part].sum(axis=0), count - len(left_out)
        if count <= 0:
            return np.zeros((len(codes), self.plane_width), dtype=np.int64)
        return np.asarray(codes.values[:, part] - mean(sums, count))

    def displacements(self, keys: Sequence[Key], codes: Sequence[Codes]) -> Ints:
        """Return how far single samples lie from the means of concepts, one each, in the plane:
        int64 [n, plane_width]."""
        if not self.plane_width:
            return np.zeros((len(codes), 0), dtype=np.int64)
        derived, (start, stop) = self._derived(), self.geometry.spans[PLANE - 1]
        parts = [derived.parts[domain] for domain, _ in keys]
        columns = [
            derived.keys.index(key, part.start, part.stop)
            for key, part in zip(keys, parts, strict=True)
        ]
        rows = np.concatenate([one.values[:, start : stop - 1] for one in codes])
        return rows - derived.held[PLANE - 1][columns, :-1].astype(np.int64)

    def _without_itself(self, concept: _Concept, codes: Codes) -> Ints:
        """Return distances int64 [n, blocks] of each sample to its concept without that sample."""
        rest, made = concept.count - 1, self._typical(len(codes))
        if rest:
            # Without a sample, a bit that it has set is counted once less.
            kept, lost = pack(concept.ones > rest // 2), pack(concept.ones <= rest // 2 + 1)
            differing = (codes.bits & lost) | (~codes.bits & kept)
            made[:, 0] = np.bitwise_count(differing).sum(axis=1, dtype=np.int64)
            means = mean(concept.sums - codes.values, rest)
            for index, (block, span) in enumerate(self._blocks(), start=1):
                held = slice(*span)
                made[:, index] = block.distance(codes.values[:, held], means[:, held])
        return made

    def _without(self, concept: _Concept, codes: Codes, left_out: Codes) -> Ints:
        """Return distances int64 [n, blocks] to a concept without the samples `left_out`."""
        removed, made = self._sum(left_out), self._typical(len(codes))
        rest = concept.count - removed.count
        if rest > 0:
            majority = pack(_counts(concept) - _counts(removed) > rest // 2)
            made[:, 0] = np.bitwise_count(codes.bits ^ majority).sum(axis=1, dtype=np.int64)
            means = mean(concept.sums - removed.sums, rest)
            for index, (block, span) in enumerate(self._blocks(), start=1):
                held = slice(*span)
                rows = codes.values[:, held].astype(block.number)
                made[:, index] = block.distance(rows, means[held].astype(block.number))
        return made

    def _typical(self, count: int) -> Ints:
        """Return the mean distances [count, blocks], which carry no information."""
        return np.tile(self.geometry.scales[:, 0], (count, 1))

    def digest(self) -> str:
        """Hex SHA-256 of geometry and sums, independent of the order of additions."""
        return hashlib.sha256(
            (self.geometry.fingerprint + self._fingerprint()).encode()
        ).hexdigest()

    def _fingerprint(self) -> str:
        """Return `fingerprint_of(self.pack())`, without a copy of all sums."""
        packed = self._pack_names()
        keys, shape = self.keys, (len(self._concepts), self.geometry.bits)
        held = [self._concepts[key] for key in keys]
        digest = hashlib.sha256()
        update_fingerprint(digest, {name: packed[name] for name in ("counts", "domains", "labels")})
        digest.update(f"ones i4 {shape};".encode())
        for concept in held:
            digest.update(concept.ones.astype("<i4").data)
        digest.update(f"sums i8 {(len(held), self.geometry.values)};".encode())
        for concept in held:
            digest.update(concept.sums.astype("<i8", copy=False).data)
        return digest.hexdigest()

    def pack(self) -> Packed:
        """Return arrays from which `unpack` restores the memory."""
        concepts = [self._concepts[key] for key in self.keys]
        shape = (len(concepts), -1) if concepts else (0, self.geometry.bits)
        return self._pack_names() | {
            "ones": np.asarray([_counts(c) for c in concepts], dtype=np.int32).reshape(shape),
            "sums": np.asarray([c.sums for c in concepts], dtype=np.int64).reshape(
                len(concepts), self.geometry.values
            ),
        }

    def _pack_names(self) -> Packed:
        """Return the arrays of `pack` that name and count the concepts."""
        return {
            "domains": np.asarray([key[0] for key in self.keys], dtype=np.str_),
            "labels": np.asarray([key[1] for key in self.keys], dtype=np.str_),
            "counts": np.asarray([self._concepts[key].count for key in self.keys], dtype=np.int64),
        }

    @staticmethod
    def unpack(geometry: Geometry, packed: Packed) -> "Memory":
        """Restore the memory that `pack` returned; raises FormatError for other arrays."""
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
            raise FormatError(
                f"unpacking a memory failed: {error!r}", "derive the memory from its facts again"
            ) from error
        return made

    def _blocks(self) -> "zip[tuple[AnyBlock, tuple[int, int]]]":
        return zip(self.geometry.blocks, self.geometry.spans, strict=True)

    def _check(self, codes: Codes) -> None:
        found = (codes.bits.shape[1], codes.values.shape[1])
        expected = (self.geometry.words, self.geometry.values)
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
            # So few rows that a byte can hold the sum of their bits.
            ones += np.add.reduce(bits, axis=0, dtype=np.uint8)
        return _Concept(len(codes), ones, codes.values.sum(axis=0))

    def _change(self, key: Key, by: _Concept, sign: int) -> None:
        old = self._concepts.get(key)
        count = sign * by.count + (old.count if old else 0)
        ones = sign * _counts(by) + (_counts(old) if old else 0)
        sums = sign * by.sums + (old.sums if old else 0)
        nonzero_without_samples = count == 0 and (ones.any() or sums.any())
        if count < 0 or nonzero_without_samples or (ones < 0).any() or (ones > count).any():
            raise ConceptError(
                f"removing from {key} expects samples that it holds, found others",
                "remove only samples that were added, each once",
            )
        self._changed.add(key)
        if count:
            kind = next(one for one in _COUNTERS if count <= np.iinfo(one).max)
            held: NDArray[Any] = pack(ones > 0) if count == 1 else ones.astype(kind)
            self._concepts[key] = _Concept(count, held, sums)
        else:
            self._concepts.pop(key, None)

    def _concept(self, key: Key) -> _Concept:
        if key not in self._concepts:
            raise ConceptError(f"no concept {key} in the memory", "add samples of it first")
        return self._concepts[key]

    def _derived(self) -> Prototypes:
        """Return the prototypes of all concepts; those of changed concepts are computed now."""
        if self._prototypes is None or self._changed:
            self._prototypes = self._update(self._prototypes)
            self._changed = set()
        return self._prototypes

    def _update(self, before: Prototypes | None) -> Prototypes:
        """Compute the prototypes of changed concepts, and copy those of the others from `before`.

        The tuple of keys is the same object while the set of concepts is the same.
        """
        at = before.places if before else {}
        if before is not None and all(
            (one in at) == (one in self._concepts) for one in self._changed
        ):
            made = self._with_rows(before, sorted(at[k] for k in self._changed if k in at))
            if made is not None:
                return made
            keys = before.keys
        else:
            keys = tuple(sorted(self._concepts))
        bits = np.empty((len(keys), self.geometry.words), dtype=np.uint64)
        means = np.empty((len(keys), self.geometry.values), dtype=np.int64)
        stale = [p for p, key in enumerate(keys) if key in self._changed or key not in at]
        kept = sorted({*range(len(keys))} - {*stale})
        if before is not None and kept:
            places = [at[keys[place]] for place in kept]
            bits[kept] = before.bits[places]
            for (_, span), held in zip(self._blocks(), before.held, strict=True):
                means[kept, slice(*span)] = held[places]
        bits[stale], means[stale] = self._rows(keys, stale)
        return self._laid_out(keys, bits, tuple(means[:, slice(*s)] for s in self.geometry.spans))

    def _laid_out(self, keys: tuple[Key, ...], bits: Words, blocks: tuple[Ints, ...]) -> Prototypes:
        geometry = self.geometry
        numbers = tuple(block.number for block, _ in self._blocks())
        every = (geometry.columns, geometry.plane, geometry.norms)
        layout = lay_memory(every, geometry.votes, bits, blocks, SCREENED)
        if layout is not None:
            held = layout.means
        else:
            pairs = zip(blocks, numbers, strict=True)
            held = tuple(part.astype(number) for part, number in pairs)
        return Prototypes(
            keys=keys,
            parts=parts_of(keys),
            bits=bits,
            held=held,
            numbers=numbers,
            layout=layout,
            counts=tuple([self._concepts[key].count for key in keys]),
        )

    def _with_rows(self, before: Prototypes, places: list[int]) -> Prototypes | None:
        """Return prototypes of the same concepts with those at `places` computed again; None if
        their layout has to change."""
        bits, means = self._rows(before.keys, places)
        counts = [*before.counts]
        for place in places:
            counts[place] = self._concepts[before.keys[place]].count
        changed = replace(before, counts=tuple(counts))
        blocks = tuple(means[:, slice(*span)] for span in self.geometry.spans)
        if before.layout is not None:
            layout = with_rows(before.layout, places, bits, blocks)
            if layout is None:
                return None
            made = replace(changed, bits=layout.held[0], held=layout.means, layout=layout)
            return made.with_places(before.places)
        every = before.bits.copy()
        every[places] = bits
        held = tuple(part.copy() for part in before.held)
        for part, rows in zip(held, blocks, strict=True):
            part[places] = rows
        return replace(changed, bits=every, held=held).with_places(before.places)

    def _rows(self, keys: tuple[Key, ...], places: list[int]) -> tuple[Words, Ints]:
        """Return the majority bits and the means of some concepts."""
        bits = np.empty((len(places), self.geometry.words), dtype=np.uint64)
        means = np.empty((len(places), self.geometry.values), dtype=np.int64)
        for row, place in enumerate(places):
            concept = self._concepts[keys[place]]
            bits[row] = pack(concept.ones > concept.count // 2)
            means[row] = mean(concept.sums, concept.count)
        return bits, means


def _counts(concept: _Concept) -> NDArray[np.int32]:
    return concept.ones.astype(np.int32, copy=False)
