"""Heads over random features: a nonlinear answer for a few kilobytes of flash.

Rectified random projections approximate a kernel (random kitchen sinks, Rahimi & Recht 2008; the
projections are structured as in Fastfood, Le et al. 2013).  One ridge regression over the facts of
all domains takes the features' roots and the random features; the random features of fewer rounds
are a prefix of those of more.
"""

from collections.abc import Set as AbstractSet
from dataclasses import replace
from math import ceil, log2, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

import firmware_bridge as bridge

from ..core import FactBatch
from ..core.adaptors import LEVELS
from .quantised_parts import TINY, Reals, quantise_weights, score_unit

Singles = NDArray[np.float32]

COUNTS: Final = (4096, 3072, 2048, 1536, 1024, 768, 512, 256)
"""Numbers of random features tried; each is rounded down to whole rounds."""

COLUMNS_MAX: Final = 4_352
"""Most columns, of features and random features together: solving costs their cube."""

PENALTIES: Final = (0.003, 0.03, 0.3)
"""Weight decays per fact, for columns of unit standard deviation; the one with the best accuracy on
the held-out facts is used."""

FLAT: Final = 1e-3
"""Smallest standard deviation of a column, as a fraction of the mean one: columns that hardly vary
would otherwise be amplified.  Chosen by hand; effect not measured."""

WEIGHT_MAX: Final = 7  # 4 signed bits, so that two weights share a byte
HEAD_BITS: Final = 8
"""Bits of the weights of the features' roots, as in an extract without random features."""
CHUNK: Final = 1024
"""Facts whose columns are held in memory at a time: 17 MiB of float32."""
TOP: Final = 255  # largest random feature: they are uint8


class RandomHeads:
    """Heads over random features, solved on demand from sums over the facts.

    unseen: ids of the facts that hold-out heads must not see.  answers: a cache of the heads'
    answers by rounds and hold-out, filled by callers.  Cost: facts * columns^2 additions once,
    columns^3 for each head; 8 columns^2 bytes.
    """

    def __init__(self, facts: FactBatch, unseen: AbstractSet[str], seed: int) -> None:
        rows = facts.features
        padded = bridge.power_of_two(rows.shape[1])
        most = COLUMNS_MAX - rows.shape[1]
        self.rounds = tuple(dict.fromkeys(n // padded for n in COUNTS if padded <= n <= most))
        self.labels = tuple(sorted(set(facts.labels)))
        self._width, self._padded = rows.shape[1], padded
        self._base = _unweighted_features(rows, seed, self.rounds[0] if self.rounds else 0, padded)
        self.answers: dict[tuple[int, bool], NDArray[np.str_]] = {}
        self._solved: dict[tuple[int, bool], tuple[Reals, Reals]] = {}
        self._penalties: dict[int, float] = {}
        self._pending: tuple[FactBatch, AbstractSet[str]] | None = (facts, unseen)

    def _sum_once(self) -> None:
        """Compute the sums before the first head is solved: an export may need none."""
        if self._pending is not None:
            facts, unseen = self._pending
            self._pending = None
            self._sum(facts, np.array([name in unseen for name in facts.ids]))

    def _sum(self, facts: FactBatch, held: NDArray[np.bool_]) -> None:
        made = bridge.random_features(self._base, facts.features)
        parts = (LEVELS[facts.features].astype(np.float32), made)
        self._centre = np.concatenate([part.mean(axis=0, dtype=np.float64) for part in parts])
        std = np.concatenate([_std(part) for part in parts])
        self._factor = 1 / (std + FLAT * std.mean() + TINY)
        targets = np.searchsorted(self.labels, facts.labels)
        size = len(self._centre)
        self._sums: dict[bool, tuple[int, Singles, Reals, Reals]] = {}
        grams = np.zeros((2, size, size), np.float32)
        cross, levels = np.zeros((2, size, len(self.labels))), np.zeros((2, len(self.labels)))
        self._unseen = targets[held]
        self._columns = np.empty((len(self._unseen), size), np.float32)
        for group in (False, True):
            places = np.flatnonzero(held == group)
            for at in range(0, len(places), CHUNK):
                here = places[at : at + CHUNK]
                joined = np.concatenate([part[here] for part in parts], axis=1, dtype=np.float32)
                columns = ((joined - self._centre) * self._factor).astype(np.float32)
                if group:
                    self._columns[at : at + CHUNK] = columns
                one_hot = np.eye(len(self.labels), dtype=np.float32)[targets[here]]
                grams[int(group)] += columns.T @ columns
                cross[int(group)] += columns.T @ one_hot
                levels[int(group)] += one_hot.sum(axis=0)
        inside = int((~held).sum())
        self._sums[True] = (inside, grams[0], cross[0], levels[0] / max(1, inside))
        whole = (grams[0] + grams[1], cross.sum(axis=0), levels.sum(axis=0) / len(held))
        self._sums[False] = (len(held), *whole)

    def quantised(
        self, rounds: int, labels: list[str], *, holdout: bool
    ) -> tuple[bridge.HeadPart, bridge.RandomPart]:
        """Return a head and its random features of `rounds` rounds, in integers.  labels: those of
        the extract, in order.  holdout: solve without the held-out facts."""
        self._sum_once()
        weights, bias = self._solve(rounds, holdout=holdout)
        linear, added = weights[:, : self._width], weights[:, self._width :]
        most = np.maximum(np.abs(added).max(axis=0), TINY)
        exponents = np.ceil(np.log2(most / (WEIGHT_MAX + 0.5))).astype(np.int64)
        largest = float((np.abs(added) + 2.0**exponents).sum(axis=1).max()) * TOP
        unit = score_unit(linear, bias, HEAD_BITS, largest)
        exponents = np.maximum(exponents, max(unit, int(exponents.max()) - bridge.SHIFT_MAX))
        root_mean, random_mean = np.split(self._centre[: weights.shape[1]], [self._width])
        numbers = tuple(labels.index(name) for name in self.labels)
        steps = 2.0**exponents
        whole = np.clip(np.rint(added / steps), -WEIGHT_MAX, WEIGHT_MAX)
        # The bias absorbs the rounding error at the mean of the random features.
        bias = bias + (added - whole * steps) @ random_mean
        head = quantise_weights(numbers, linear, bias, root_mean, (HEAD_BITS, unit))
        return head, replace(
            self._base,
            rounds=rounds,
            unit=int(exponents.min()) - unit,
            weights=whole.astype(np.int8),
            shifts=exponents - exponents.min(),
        )

    def _solve(self, rounds: int, *, holdout: bool) -> tuple[Reals, Reals]:
        """Return weights [labels, width + random features], roots first, and bias [labels]."""
        key = (rounds, holdout)
        if key not in self._solved:
            size = self._width + rounds * self._padded
            found = self._fit(size, self._penalty(rounds), holdout=holdout).astype(np.float64)
            weights = (found - found.mean(axis=1, keepdims=True)) * self._factor[:size, None]
            bias = self._sums[holdout][3] - self._centre[:size] @ weights
            self._solved[key] = weights.T, bias - bias.mean()
        return self._solved[key]

    def _fit(self, size: int, penalty: float, *, holdout: bool) -> Singles:
        count, gram, cross, _ = self._sums[holdout]
        ridge = gram[:size, :size] + np.float32(penalty * count) * np.eye(size, dtype=np.float32)
        return np.asarray(np.linalg.solve(ridge, cross[:size].astype(np.float32)))

    def _penalty(self, rounds: int) -> float:
        """Return the weight decay with the best held-out accuracy; the smallest without facts."""
        if rounds not in self._penalties:
            size, level = self._width + rounds * self._padded, self._sums[True][3]
            right = []
            for penalty in PENALTIES if len(self._unseen) else ():
                scores = self._columns[:, :size] @ self._fit(size, penalty, holdout=True) + level
                right.append(int((scores.argmax(axis=1) == self._unseen).sum()))
            best = right.index(max(right)) if right else 0
            self._penalties[rounds] = PENALTIES[best]
        return self._penalties[rounds]


def _unweighted_features(
    rows: NDArray[np.uint8], seed: int, rounds: int, padded: int
) -> bridge.RandomPart:
    """Return random features without weights, clipped at about one standard deviation."""
    means = np.rint(rows.mean(axis=0)).astype(np.int64)
    squares = np.square(rows.astype(np.float32) - means).sum(axis=1).mean()
    # The two transforms scale a sample's norm by `padded` and distribute it evenly.
    std = sqrt(padded * float(squares))
    shift = max(0, ceil(log2(max(std, 1.0) / (TOP + 1))))
    return bridge.RandomPart(
        seed=seed,
        rounds=rounds,
        shift=shift,
        unit=0,
        means=means,
        weights=np.zeros((0, 0), np.int8),
        shifts=np.zeros(0, np.int64),
    )


def _std(part: NDArray[np.generic]) -> Reals:
    return np.asarray(np.std(part.astype(np.float64), axis=0))
