"""Concepts as exact integer sums: adding and removing commute, to the bit."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .codes import Codes
from .errors import ConceptError, DimensionError, FormatError
from .geometry import Geometry, Packed, fingerprint_of
from .vectors import Words, pack, unpack

Key = tuple[str, str]
_CHUNK = 256


@dataclass(slots=True)
class _Concept:
    count: int
    ones: NDArray[np.int32]


@dataclass(slots=True)
class Memory:
    """Concepts by (domain, label), each the integer sum of the codes added and not removed."""

    geometry: Geometry
    _concepts: dict[Key, _Concept] = field(default_factory=dict)
    _prototypes: Words | None = None

    @property
    def keys(self) -> tuple[Key, ...]:
        """The concepts (domain, label), sorted: the order of `score`'s columns."""
        return tuple(sorted(self._concepts))

    @property
    def counts(self) -> dict[Key, int]:
        """How many samples each concept sums."""
        return {key: self._concepts[key].count for key in self.keys}

    def add(self, domain: str, label: str, codes: Codes) -> None:
        """Learn the samples `codes` [n] as the concept (domain, label)."""
        self._change((domain, label), len(codes), self._ones(codes))

    def remove(self, domain: str, label: str, codes: Codes) -> None:
        """Forget samples exactly; raises ConceptError where they can't have been added."""
        self._change((domain, label), -len(codes), -self._ones(codes))

    def merge(self, other: "Memory") -> None:
        """Add every sum of `other`, made with the same geometry."""
        if other.geometry.fingerprint != self.geometry.fingerprint:
            raise ConceptError(
                "merging expects memories of one geometry, found two",
                "derive both from their ledgers with the same geometry",
            )
        for key, concept in other._concepts.items():
            self._change(key, concept.count, concept.ones)

    def copy(self) -> "Memory":
        """A memory with the same sums that changes alone."""
        made = Memory(self.geometry)
        made.merge(self)
        return made

    def score(self, codes: Codes) -> NDArray[np.int64]:
        """How unlike each concept the samples are, int64 [n, concepts]; higher is newer."""
        if self._prototypes is None:
            self._prototypes = self._majorities()
        scores = np.empty((len(codes), len(self._prototypes)), dtype=np.int64)
        for row in range(len(codes)):
            for at in range(0, scores.shape[1], _CHUNK):
                differing = np.bitwise_count(self._prototypes[at : at + _CHUNK] ^ codes.bits[row])
                scores[row, at : at + _CHUNK] = differing.sum(axis=1, dtype=np.int64)
        return scores

    def score_held_out(self, domain: str, label: str, codes: Codes) -> NDArray[np.int64]:
        """`score`, each sample against a memory that lacks that very sample of (domain, label)."""
        scores = self.score(codes)
        concept = self._concept((domain, label))
        column = self.keys.index((domain, label))
        bits = unpack(codes.bits)
        rest = 2 * (concept.ones - bits) > concept.count - 1
        scores[:, column] = (rest != bits).sum(axis=1)
        return scores

    def digest(self) -> str:
        """Hex SHA-256 of geometry and sums, whatever the order they were made in."""
        return hashlib.sha256(
            (self.geometry.fingerprint + fingerprint_of(self.pack())).encode()
        ).hexdigest()

    def pack(self) -> Packed:
        """Arrays that `unpack` makes the same memory of."""
        keys = self.keys
        return {
            "domains": np.asarray([key[0] for key in keys], dtype=np.str_),
            "labels": np.asarray([key[1] for key in keys], dtype=np.str_),
            "counts": np.asarray([self._concepts[key].count for key in keys], dtype=np.int64),
            "ones": np.asarray([self._concepts[key].ones for key in keys], dtype=np.int32).reshape(
                len(keys), self.geometry.bits
            ),
        }

    @staticmethod
    def unpack(geometry: Geometry, packed: Packed) -> "Memory":
        """The memory that `pack` gave; raises FormatError where the arrays are not one."""
        made = Memory(geometry)
        try:
            columns = (packed["domains"], packed["labels"], packed["counts"], packed["ones"])
            for domain, label, count, ones in zip(*columns, strict=True):
                made._change((str(domain), str(label)), int(count), ones.astype(np.int32))
        except (KeyError, ValueError, AttributeError) as error:
            raise FormatError(f"unpacking a memory failed: {error!r}", "derive again") from error
        return made

    def _ones(self, codes: Codes) -> NDArray[np.int32]:
        if codes.bits.shape[1] * 64 != self.geometry.bits:
            raise DimensionError(
                f"the memory expects codes of {self.geometry.bits} bits, found "
                f"{codes.bits.shape[1] * 64}",
                "code the features with this memory's geometry",
            )
        return unpack(codes.bits).sum(axis=0, dtype=np.int32)

    def _change(self, key: Key, count: int, ones: NDArray[np.int32]) -> None:
        old = self._concepts.get(key)
        new_count = count + (old.count if old else 0)
        new_ones = ones + old.ones if old else ones.copy()
        if new_count < 0 or (new_ones < 0).any() or (new_ones > new_count).any():
            raise ConceptError(
                f"removing from {key} expects samples that it holds, found others",
                "remove what was added, once",
            )
        self._prototypes = None
        if new_count:
            self._concepts[key] = _Concept(new_count, new_ones)
        else:
            self._concepts.pop(key, None)

    def _concept(self, key: Key) -> _Concept:
        if key not in self._concepts:
            raise ConceptError(f"no concept {key} in the memory", "add samples of it first")
        return self._concepts[key]

    def _majorities(self) -> Words:
        ones = [2 * c.ones > c.count for _, c in sorted(self._concepts.items())]
        return pack(np.asarray(ones, dtype=np.bool_).reshape(len(ones), self.geometry.bits))
