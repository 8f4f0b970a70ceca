"""Labelling rules with a single criterion: chance, uncertainty, and the distance to labels."""

from collections.abc import Callable

import numpy as np

from .pool import Floats, LabellingPool
from .scores import entropies, margins


class RandomRows:
    """Chance: the baseline of all comparisons."""

    def __init__(self, seed: int = 0) -> None:
        """seed: decides the order of all rows."""
        self._seed = seed

    def choose(self, pool: LabellingPool, count: int) -> tuple[int, ...]:
        """See `LabellingRule`.  The order of rows stays the same while a pool is labelled."""
        order = np.random.default_rng(self._seed).permutation(len(pool)).tolist()
        labelled = frozenset(pool.labelled)
        return tuple([row for row in order if row not in labelled][: max(0, count)])


class SmallestMargin:
    """The smallest difference between the two best answers (Scheffer, Decomain & Wrobel 2001)."""

    def __init__(self, seed: int = 0) -> None:
        """seed: of the first choices, by chance, before any answers."""
        self._seed = seed

    def choose(self, pool: LabellingPool, count: int) -> tuple[int, ...]:
        """See `LabellingRule`."""
        return _most_uncertain(pool, count, self._seed, lambda answers: -margins(answers))


class LargestEntropy:
    """The largest entropy of the answers (Settles 2009, "Active learning literature survey")."""

    def __init__(self, seed: int = 0) -> None:
        """seed: of the first choices, by chance, before any answers."""
        self._seed = seed

    def choose(self, pool: LabellingPool, count: int) -> tuple[int, ...]:
        """See `LabellingRule`."""
        return _most_uncertain(pool, count, self._seed, entropies)


class FarthestRows:
    """Greedy k-centres (Sener & Savarese 2018, "Active learning for convolutional neural networks:
    a core-set approach"), in the space of the features."""

    def __init__(self, seed: int = 0) -> None:
        """seed: of the first row."""
        self._seed = seed

    def choose(self, pool: LabellingPool, count: int) -> tuple[int, ...]:
        """See `LabellingRule`.  Cost: n distances for each row chosen or labelled."""
        labelled, free = list(pool.labelled), pool.unlabelled()
        chosen: list[int] = []
        if not labelled and len(free) and count > 0:
            chosen = list(RandomRows(self._seed).choose(pool, 1))
        away = np.full(len(pool), np.inf, np.float32)
        for row in (*labelled, *chosen):
            away = np.minimum(away, pool.features.squared[row])
        away[[*labelled, *chosen]] = -1
        while len(chosen) < min(count, len(free)):
            chosen.append(int(away.argmax()))
            away = np.minimum(away, pool.features.squared[chosen[-1]])
            away[chosen[-1]] = -1
        return tuple(chosen)


def _most_uncertain(
    pool: LabellingPool, count: int, seed: int, uncertainty: Callable[[Floats], Floats]
) -> tuple[int, ...]:
    if pool.answers.shape[1] < 2:
        return RandomRows(seed).choose(pool, count)
    free = pool.unlabelled()
    order = np.argsort(-uncertainty(pool.answers)[free], kind="stable")
    return tuple(free[order[: max(0, count)]].tolist())
