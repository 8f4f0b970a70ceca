from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edge.storage.lazy_arrays import LazyArrays


def test_arrays_are_read_once_and_not_before():
    """Nothing is read until somebody looks, and then all of it, once."""
    reads = []

    def load() -> Mapping[str, NDArray[np.uint8]]:
        reads.append(1)
        return {"a": np.zeros(3, np.uint8), "b": np.ones(2, np.uint8)}

    stowed = LazyArrays(load)
    assert reads == []
    assert sorted(stowed) == ["a", "b"]
    assert len(stowed) == 2
    assert stowed["b"].tolist() == [1, 1]
    assert reads == [1]
