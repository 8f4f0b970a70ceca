"""What features become before they meet the memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .errors import DimensionError
from .vectors import Words


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """A batch of coded samples: `bits` uint64 [n, words]. Slicing gives a batch again."""

    bits: Words

    def __len__(self) -> int:
        return len(self.bits)

    def __getitem__(self, index: object) -> "Codes":
        if isinstance(index, int | np.integer):
            index = slice(index, index + 1 or None)
        return Codes(self.bits[index])  # type: ignore[index]

    @staticmethod
    def concat(batches: Sequence["Codes"]) -> "Codes":
        """One batch of several, in their order; at least one is expected."""
        if not batches:
            raise DimensionError("joining codes expects a batch, found none", "give at least one")
        return Codes(np.concatenate([batch.bits for batch in batches]))
