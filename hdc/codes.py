"""What features become before they meet the memory."""

from collections.abc import Sequence
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
            # IndexError beyond the end: without it a loop over the batch would never end.
            place = range(len(self))[index]
            index = slice(place, place + 1)
        return Codes(self.bits[index], self.values[index])

    @staticmethod
    def concat(batches: Sequence["Codes"]) -> "Codes":
        """One batch of several, in their order; at least one is expected."""
        if not batches:
            raise DimensionError("joining codes expects a batch, found none", "give at least one")
        return Codes(
            np.concatenate([batch.bits for batch in batches]),
            np.concatenate([batch.values for batch in batches]),
        )
