"""Sparse deltas: a few entries of a matrix as large as the columns squared."""

from typing import Final

import numpy as np

from nas import Blueprint

from .kind import Arrays, Floats, Shapes, Sizes

ROWS: Final = 64
"""Rows that are computed in one pass: they bound the memory.  Chosen by hand; effect not
measured."""


class SparseAdaptor:
    """Columns plus the sum of sparse deltas: rows + rows @ D, D zero but for its listed entries.

    Composable sparse fine-tuning (Ansell et al. 2022, abstract; `lt_sft.py` of the authors' code):
    a delta of a domain and one of a task are found apart (`edge/growth`) and added.  Each of the
    `depth` deltas has rank x read entries.  The frozen layer is the identity.
    """

    def shapes(self, blueprint: Blueprint, sizes: Sizes) -> Shapes:
        """See `AdaptorKind`: the place of each entry, as whole numbers, and its value."""
        count = (blueprint.depth * blueprint.rank * sum(sizes),)
        return {"row": count, "column": count, "value": count}

    def apply(self, blueprint: Blueprint, arrays: Arrays, sizes: Sizes, rows: Floats) -> Floats:
        """See `AdaptorKind`."""
        del blueprint
        source, target = (places(arrays[name], sum(sizes)) for name in ("row", "column"))
        order = np.argsort(target, kind="stable")
        source, value = source[order], arrays["value"][order]
        columns, starts = np.unique(target[order], return_index=True)
        made = rows.reshape(-1, rows.shape[-1]).copy()
        for at in range(0, len(made), ROWS):
            part = made[at : at + ROWS]
            part[:, columns] += np.add.reduceat(part[:, source] * value, starts, axis=1)
        return made.reshape(rows.shape)

    def operations(self, blueprint: Blueprint, sizes: Sizes) -> int:
        """See `AdaptorKind`: one multiply-add per entry."""
        return blueprint.depth * blueprint.rank * sum(sizes)


def places(numbers: Floats, read: int) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
    """Return stored places as indices of columns, intp; whatever is stored stays inside."""
    return np.clip(np.rint(numbers), 0, read - 1).astype(np.intp)
