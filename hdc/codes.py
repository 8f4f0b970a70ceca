"""What features become before they meet the memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import DimensionError
from .vectors import Words

Index = int | np.integer | slice | NDArray[np.generic] | list[int]


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """A batch of coded samples; indexing and slicing give a batch again, iterating batches of one.

    bits: uint64 [n, words], the hypervectors.  values: int64 [n, m], the blocks' coordinates.
    """

    bits: Words
    values: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.bits)

    def __getitem__(self, index: Index) -> "Codes":
        if isinstance(index, int | np.integer):
            place = range(len(self))[index]  # IndexError beyond the end, as a list has it
            index = slice(place, place + 1)
        return Codes(self.bits[index], self.values[index])

    def __iter__(self) -> Iterator["Codes"]:
        return (self[place] for place in range(len(self)))

    @staticmethod
    def concat(batches: Sequence["Codes"]) -> "Codes":
        """One batch of several, in their order; at least one is expected."""
        if not batches:
            raise DimensionError("joining codes expects a batch, found none", "give at least one")
        return Codes(
            np.concatenate([batch.bits for batch in batches]),
            np.concatenate([batch.values for batch in batches]),
        )
