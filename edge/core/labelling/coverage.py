"""Coverage: every observation shall have a similar one with a label."""

import numpy as np

from .pool import Floats, LabellingPool, PoolSpace
from .scores import doubts


class GreatestCoverage:
    """The row whose label adds most to the similarity of all rows to their nearest labelled one,
    with a Gaussian kernel: MaxHerding (Bae, Oliveira & Sutherland 2024, "Generalized coverage for
    more robust low-budget active learning", abstract)."""

    def __init__(self, seed: int = 0) -> None:
        """seed: unused."""
        del seed

    def choose(self, pool: LabellingPool, count: int) -> tuple[int, ...]:
        """See `LabellingRule`.  Cost: n^2 for each row chosen."""
        return _covering(pool, count, np.ones(len(pool), np.float32))


class UncertainCoverage:
    """As `GreatestCoverage`, but rows count as much as their answers are uncertain, here by one
    minus the margin: Uncertainty Herding (Bae, Oliveira & Sutherland 2024, "Uncertainty herding:
    one active learning method for all label budgets", overview in its repository), without its
    calibration and with the kernel's width fixed."""

    def __init__(self, seed: int = 0) -> None:
        """seed: unused."""
        del seed

    def choose(self, pool: LabellingPool, count: int) -> tuple[int, ...]:
        """See `LabellingRule`.  Cost: n^2 for each row chosen."""
        return _covering(pool, count, doubts(pool.answers))


def _covering(pool: LabellingPool, count: int, weights: Floats) -> tuple[int, ...]:
    """Choose greedily; weights: of the rows to cover, [n]."""
    cover, free = Cover(pool.features), np.ones(len(pool), np.bool_)
    for row in pool.labelled:
        cover.add(row)
        free[row] = False
    chosen: list[int] = []
    while len(chosen) < min(count, len(pool) - len(pool.labelled)):
        gains = cover.missing() @ weights
        chosen.append(int(np.where(free, gains, -1).argmax()))
        free[chosen[-1]] = False
        cover.add(chosen[-1])
    return tuple(chosen)


class Cover:
    """How near labelled rows are to all rows of one space."""

    def __init__(self, space: PoolSpace) -> None:
        self._squared, self._kernel = space.squared, space.kernel
        self._near = np.full(len(space.rows), np.inf, np.float32)
        self._covered = np.zeros(len(space.rows), np.float32)

    def add(self, row: int) -> None:
        """Count a row as labelled."""
        np.minimum(self._near, self._squared[row], out=self._near)
        np.maximum(self._covered, self._kernel[row], out=self._covered)

    def distances(self) -> Floats:
        """Distances to the nearest labelled row, of the largest; 0 without one."""
        if np.isinf(self._near[0]):
            return np.zeros_like(self._near)
        return of_largest(np.sqrt(self._near))

    def missing(self) -> Floats:
        """How much a label of each row would add to the similarity of each other row to its nearest
        labelled row: [n, n], the candidates first."""
        return np.asarray(np.maximum(self._kernel - self._covered, 0))


def of_largest(values: Floats) -> Floats:
    """Return values as shares of the largest; unchanged if that is 0."""
    largest = float(values.max())
    return np.asarray(values / np.float32(largest)) if largest > 0 else values
