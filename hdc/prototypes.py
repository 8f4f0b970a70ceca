"""Class prototypes, derived from the sums of a memory, and the nearest of them by their bits."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from .geometry import WORD_BITS, Words
from .integers import Ints, all_ones
from .layouts import MemoryLayout

Key = tuple[str, str]
Indices = NDArray[np.intp]

MEAN_SAMPLES_MIN = 2
"""Fewest samples whose mean can show that others have moved: a single one has no spread."""

_CHUNK = 255  # rows compared at a time.  Chosen by hand; effect not measured

SCREENED = 512
"""Concepts left by a first pass over a quarter of the bits.  Chosen by hand; effect not
measured."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Prototypes:
    """Class prototypes, derived from the sums.

    keys: sorted.  parts: the columns of each domain.  bits: majority bits uint64 [c, words].
    held: the means of each block, whole numbers in any type.  numbers: the types in which numpy
    compares them.  layout: all for C, None if it cannot serve.  counts: the samples in each.
    """

    keys: tuple[Key, ...]
    parts: dict[str, slice]
    bits: Words
    held: tuple[NDArray[np.number], ...]
    numbers: tuple[type[np.floating], ...]
    layout: MemoryLayout | None
    counts: tuple[int, ...]

    @cached_property
    def count_of(self) -> Mapping[Key, int]:
        """The number of samples in each concept."""
        return MappingProxyType(dict(zip(self.keys, self.counts, strict=True)))

    @cached_property
    def _large(self) -> dict[str, tuple[Indices, Ints]]:
        return {}

    def larger(self, domain: str) -> tuple[Indices, Ints]:
        """Return the columns of a domain's concepts of at least `MEAN_SAMPLES_MIN` samples, of all
        if there are none, and their numbers of samples."""
        if domain not in self._large:
            part = self.parts[domain]
            counts = np.asarray(self.counts[part], dtype=np.int64)
            kept = np.flatnonzero(counts >= min(MEAN_SAMPLES_MIN, int(counts.max())))
            self._large[domain] = kept + part.start, counts[kept]
        return self._large[domain]

    @cached_property
    def places(self) -> dict[Key, int]:
        """The column of each concept."""
        return {key: place for place, key in enumerate(self.keys)}

    @cached_property
    def means(self) -> tuple[NDArray[np.floating], ...]:
        """The means of each block, for numpy."""
        pairs = zip(self.held, self.numbers, strict=True)
        return tuple(
            np.ascontiguousarray(held).astype(number, copy=False) for held, number in pairs
        )

    def with_places(self, places: dict[Key, int]) -> "Prototypes":
        """Return the same with the columns of its concepts, which are known already."""
        self.__dict__["places"] = places
        return self

    @cached_property
    def work_bytes(self) -> int:
        """The working memory of `nearest` in C: places, distances, and their histogram."""
        bits = WORD_BITS * int(self.bits.shape[1])
        return 8 * SCREENED + 4 * (len(self.keys) + bits + 1)

    @cached_property
    def quarter(self) -> Words:
        """The first quarter of the words, to screen many concepts."""
        return np.ascontiguousarray(self.bits[:, : max(1, self.bits.shape[1] // 4)])


def parts_of(keys: tuple[Key, ...]) -> dict[str, slice]:
    """Return the columns of each domain."""
    starts: dict[str, int] = {}
    for at, (domain, _) in enumerate(keys):
        if domain not in starts:
            starts[domain] = at
    edges = [*starts.values(), len(keys)]
    return {name: slice(*ends) for name, ends in zip(starts, pairwise(edges), strict=True)}


def hamming(held: Words, query: Words) -> Ints:
    """Return the Hamming distances of rows [c, words] to one query [words], int64 [c]."""
    counts = np.empty(len(held), dtype=np.int64)
    ones = all_ones(len(query))
    for at in range(0, len(held), _CHUNK):
        differing = np.bitwise_count(held[at : at + _CHUNK] ^ query)
        # At most 64 bits differ per word: the product is exact, and faster than a sum.
        counts[at : at + _CHUNK] = differing.astype(np.float32) @ ones
    return counts


def least(values: Ints, count: int) -> Indices:
    """Return the places of the least values, ascending; of equal values the first ones."""
    order = values * len(values) + np.arange(len(values))
    return np.sort(order.argpartition(count)[:count])
