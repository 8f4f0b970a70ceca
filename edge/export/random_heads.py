"""Heads over random features: what is not linear in the features, for a few kilobytes of flash.

Rectified random projections stand for a kernel (random kitchen sinks, Rahimi & Recht 2008; the
projections are structured as in Fastfood, Le et al. 2013).  One ridge regression of all domains'
facts on the features' roots and the random features; those of fewer rounds are a prefix.
"""

from collections.abc import Set as AbstractSet
from math import ceil, log2, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

import firmware_bridge as bridge

from ..core import FactBatch
from ..core.adaptors import LEVELS
from .parts import TINY, Reals, unit_of, whole_head

Singles = NDArray[np.float32]

COUNTS: Final = (4096, 3072, 2048, 1536, 1024, 768, 512, 256)
"""Random features that are tried, a whole number of rounds of each."""

COLUMNS_MAX: Final = 4_352
"""Features and random ones together: what solving costs grows with the cube of it."""

PENALTIES: Final = (0.003, 0.03, 0.3)
"""Weight decays a fact, columns having a spread of 1; the one that answers most of the facts held
out is taken."""

FLAT: Final = 1e-3
"""A spread, as a part of the usual one, that a column has at least."""

WEIGHT_MAX: Final = 7
HEAD_BITS: Final = 8
CHUNK: Final = 1024
TOP: Final = 255


class RandomHeads:
    """Sums over facts, and the heads that follow from them, solved when they are asked for.

    held: ids of facts that heads for trial must not have seen.  answers: what heads answered, by
    rounds and whether for trial, kept by whoever asked.  Cost: facts * columns^2 additions,
    columns^3 a head; 8 columns^2 bytes.
    """

    def __init__(self, facts: FactBatch, held: AbstractSet[str], seed: int) -> None:
        rows = facts.features
        padded = bridge.power_of_two(rows.shape[1])
        most = COLUMNS_MAX - rows.shape[1]
        self.rounds = tuple(dict.fromkeys(n // padded for n in COUNTS if padded <= n <= most))
        self.labels = tuple(sorted(set(facts.labels)))
        self._width, self._padded = rows.shape[1], padded
        self._base = _base(rows, seed, self.rounds[0] if self.rounds else 0, padded)
        self.answers: dict[tuple[int, bool], NDArray[np.str_]] = {}
        self._solved: dict[tuple[int, bool], tuple[Reals, Reals]] = {}
        self._penalties: dict[int, float] = {}
        self._given: tuple[FactBatch, AbstractSet[str]] | None = (facts, held)

    def _sum_once(self) -> None:
        """What costs most, put off until a head is asked for."""
        if self._given is not None:
            facts, held = self._given
            self._given = None
            self._sum(facts, np.array([name in held for name in facts.ids]))

    def _sum(self, facts: FactBatch, held: NDArray[np.bool_]) -> None:
        made = bridge.random_features(self._base, facts.features)
        parts = (LEVELS[facts.features].astype(np.float32), made)
        self._centre = np.concatenate([part.mean(axis=0, dtype=np.float64) for part in parts])
        spread = np.concatenate([_spread(part) for part in parts])
        self._factor = 1 / (spread + FLAT * spread.mean() + TINY)
        numbers = np.searchsorted(self.labels, facts.labels)
        size = len(self._centre)
        self._sums: dict[bool, tuple[int, Singles, Reals, Reals]] = {}
        grams = np.zeros((2, size, size), np.float32)
        cross, levels = np.zeros((2, size, len(self.labels))), np.zeros((2, len(self.labels)))
        self._unseen = numbers[held]
        self._columns = np.empty((len(self._unseen), size), np.float32)
        for group in (False, True):
            places = np.flatnonzero(held == group)
            for at in range(0, len(places), CHUNK):
                here = places[at : at + CHUNK]
                joined = np.concatenate([part[here] for part in parts], axis=1, dtype=np.float32)
                columns = ((joined - self._centre) * self._factor).astype(np.float32)
                if group:
                    self._columns[at : at + CHUNK] = columns
                wanted = np.eye(len(self.labels), dtype=np.float32)[numbers[here]]
                grams[int(group)] += columns.T @ columns
                cross[int(group)] += columns.T @ wanted
                levels[int(group)] += wanted.sum(axis=0)
        inside = int((~held).sum())
        self._sums[True] = (inside, grams[0], cross[0], levels[0] / max(1, inside))
        whole = (grams[0] + grams[1], cross.sum(axis=0), levels.sum(axis=0) / len(held))
        self._sums[False] = (len(held), *whole)

    def parts(
        self, rounds: int, labels: list[str], *, trial: bool
    ) -> tuple[bridge.HeadPart, bridge.RandomPart]:
        """A head and the random features of `rounds` rounds beside it, in integers.  labels: those
        of the extract, in order.  trial: solved without the facts that were held out."""
        self._sum_once()
        weights, bias = self._solve(rounds, trial=trial)
        linear, added = weights[:, : self._width], weights[:, self._width :]
        most = np.maximum(np.abs(added).max(axis=0), TINY)
        needed = np.ceil(np.log2(most / (WEIGHT_MAX + 0.5))).astype(np.int64)
        reach = float((np.abs(added) + 2.0**needed).sum(axis=1).max()) * TOP
        unit = unit_of(linear, bias, HEAD_BITS, reach)
        needed = np.maximum(needed, max(unit, int(needed.max()) - bridge.SHIFT_MAX))
        usual, mean = np.split(self._centre[: weights.shape[1]], [self._width])
        names = tuple(labels.index(name) for name in self.labels)
        steps = 2.0**needed
        whole = np.clip(np.rint(added / steps), -WEIGHT_MAX, WEIGHT_MAX)
        # What rounding changes for the usual features is given back to the bias.
        bias = bias + (added - whole * steps) @ mean
        head = whole_head(names, linear, bias, usual, (HEAD_BITS, unit))
        return head, bridge.RandomPart(
            seed=self._base.seed,
            rounds=rounds,
            shift=self._base.shift,
            unit=int(needed.min()) - unit,
            means=self._base.means,
            weights=whole.astype(np.int8),
            shifts=needed - needed.min(),
        )

    def _solve(self, rounds: int, *, trial: bool) -> tuple[Reals, Reals]:
        """Weights [labels, width + random features] of roots and random features, bias [labels]."""
        key = (rounds, trial)
        if key not in self._solved:
            size = self._width + rounds * self._padded
            found = self._fit(size, self._penalty(rounds), trial=trial).astype(np.float64)
            weights = (found - found.mean(axis=1, keepdims=True)) * self._factor[:size, None]
            bias = self._sums[trial][3] - self._centre[:size] @ weights
            self._solved[key] = weights.T, bias - bias.mean()
        return self._solved[key]

    def _fit(self, size: int, penalty: float, *, trial: bool) -> Singles:
        count, gram, cross, _ = self._sums[trial]
        ridge = gram[:size, :size] + np.float32(penalty * count) * np.eye(size, dtype=np.float32)
        return np.asarray(np.linalg.solve(ridge, cross[:size].astype(np.float32)))

    def _penalty(self, rounds: int) -> float:
        """The weight decay for so many rounds, by the facts held out; the least without any."""
        if rounds not in self._penalties:
            size, level = self._width + rounds * self._padded, self._sums[True][3]
            right = []
            for penalty in PENALTIES if len(self._unseen) else ():
                scores = self._columns[:, :size] @ self._fit(size, penalty, trial=True) + level
                right.append(int((scores.argmax(axis=1) == self._unseen).sum()))
            best = right.index(max(right)) if right else 0
            self._penalties[rounds] = PENALTIES[best]
        return self._penalties[rounds]


def _base(rows: NDArray[np.uint8], seed: int, rounds: int, padded: int) -> bridge.RandomPart:
    """Random features without weights, cut where about one spread of them is."""
    means = np.rint(rows.mean(axis=0)).astype(np.int64)
    squares = np.square(rows.astype(np.float32) - means).sum(axis=1).mean()
    # Both transforms together lengthen a sample `padded` times, and spread it evenly.
    usual = sqrt(padded * float(squares))
    shift = max(0, ceil(log2(max(usual, 1.0) / (TOP + 1))))
    return bridge.RandomPart(
        seed=seed,
        rounds=rounds,
        shift=shift,
        unit=0,
        means=means,
        weights=np.zeros((0, 0), np.int8),
        shifts=np.zeros(0, np.int64),
    )


def _spread(part: NDArray[np.generic]) -> Reals:
    return np.asarray(np.std(part.astype(np.float64), axis=0))
