"""Groups of similar observations that wait for a label, by all their features."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..home import group_rows
from ..storage import Store
from .learned import Floats


@dataclass(frozen=True, slots=True)
class Waiting:
    """Observations that wait for a label.  features: uint8 [n, width]."""

    ids: tuple[str, ...]
    features: NDArray[np.uint8]


def read_waiting(store: Store) -> Waiting:
    """Read the label candidates of an open file."""
    ids = tuple(store.candidate_index())
    found = store.lists.candidate_features(ids)
    rows = np.frombuffer(b"".join(found[key] for key in ids), np.uint8)
    return Waiting(ids, rows.reshape(len(ids), -1) if ids else np.zeros((0, 1), np.uint8))


def group_waiting(waiting: Waiting) -> dict[str, int]:
    """Return the group of each observation by id; similar groups have neighbouring numbers."""
    if not waiting.ids:
        return {}
    mean = waiting.features.mean(axis=0, dtype=np.float32)

    def rows(part: slice) -> Floats:
        return np.asarray(waiting.features[part].astype(np.float32) - mean, np.float32)

    return dict(zip(waiting.ids, group_rows(rows, len(waiting.ids)), strict=True))
