"""Principal directions of rows, by subspace iteration."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

SUBSPACE_ROUNDS: Final = 4
"""Rounds of subspace iteration: enough for the leading directions, which need not be exact.  Chosen
by hand; effect not measured."""

SUBSPACE_SPARE: Final = 16
"""Directions iterated beyond those kept (Halko et al. 2011, section 4.3).  Chosen by hand."""

Floats = NDArray[np.float32]


def principal_directions(rows: Floats, most: int, rounds: int = SUBSPACE_ROUNDS) -> Floats:
    """Return orthonormal principal directions of rows [n, width], about their mean: float32 [width,
    directions], at most `most`; of narrow rows, all axes of their space.  rounds: of the iteration.

    Subspace iteration from fixed starting directions (Halko et al. 2011, "Finding structure with
    randomness", algorithm 4.4), so that the result depends on the rows alone.
    """
    width = rows.shape[1]
    if width <= most:
        return np.eye(width, dtype=np.float32)
    mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    count = min(most + SUBSPACE_SPARE, width)
    found = np.random.default_rng(0).standard_normal((width, count)).astype(np.float32)
    for _ in range(rounds):
        found, _ = np.linalg.qr(_scatter(rows, mean, found))
    small = found.T @ _scatter(rows, mean, found)
    _, vectors = np.linalg.eigh((small + small.T).astype(np.float64))
    return np.asarray(found @ vectors[:, ::-1][:, :most].astype(np.float32), np.float32)


def _scatter(rows: Floats, mean: Floats, directions: Floats) -> Floats:
    """Return the scatter matrix of rows about their mean times directions [width, d]."""
    moved = rows @ directions - mean @ directions
    return np.asarray(rows.T @ moved - np.outer(mean, moved.sum(axis=0)), np.float32)
