"""A bounded memory of facts as bytes, with their integer sums by class.

Values are quantised by column to bytes, as the encoder does.  Sums and products of the bytes are
exact integers (`Moments`), so that a removed fact is subtracted exactly: the sums are those of the
remaining facts.
"""

from collections.abc import Hashable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import encoder

from ..core.knowledge import Moments, PooledAnswers, PooledDiscriminant
from .columns import FeatureColumns, Row

Floats = NDArray[np.float32]
Levels = NDArray[np.uint8]

CLIPPED_MAX: Final = 0.01
"""Share of values beyond the quantiser's range from which a new one is frozen, as in
`edge.estimator`."""

SETTLED_ROWS: Final = 20
"""Samples that a new quantiser counts as having seen: one value in a few samples does not replace
it.  Chosen by hand; effect not measured."""

LEVEL_MAX: Final = 255
"""The highest byte."""

_DOMAIN: Final = ""  # all classes are of one domain


class FactMemory:
    """The newest facts of each class.

    size: facts in all.  Another one replaces the oldest of the largest class.  recent: newest facts
    whose sums are kept separately, too; 0 for none.  A missing value is replaced by the mean of its
    column, which favours no class.  sums, recent_sums: of all facts and of the newest.
    """

    def __init__(self, size: int, recent: int = 0) -> None:
        self._size, self._recent = size, recent
        self.columns = FeatureColumns()
        self._values = np.empty((size, 0), np.float32)
        self._labels = np.zeros(size, np.int64)
        self._learned_at = np.zeros(size, np.int64)
        self.counts: dict[int, int] = {}
        self._facts = self._samples = 0
        # The quantiser is frozen again at 1, 2, 4, 8, ... facts: few carry little information.
        self._freeze_at = 1
        self._clipped = self._judged = 0

    def __len__(self) -> int:
        return self._facts

    @property
    def labels(self) -> NDArray[np.int64]:
        """The classes of all facts, int64 [n]."""
        return self._labels[: self._facts]

    @property
    def all_levels(self) -> Levels:
        """All facts as bytes, uint8 [n, width]."""
        return self._levels[: self._facts]

    @property
    def newest(self) -> NDArray[np.bool_]:
        """Which facts are among the `recent` newest, bool [n]."""
        return self._learned_at[: self._facts] > self._samples - self._recent

    def levels(self, x: Mapping[Hashable, Any]) -> Levels:
        """Return a sample as bytes, uint8 [width].  Raises ValueError for a value that is no
        number."""
        row = self.columns.row(x)
        return self._quantised(row)

    def learn(self, x: Mapping[Hashable, Any], label: int) -> int | None:
        """Learn a sample of a class; return the class that lost its last fact, or None.

        Raises ValueError for a value that is no number, and changes nothing then.
        """
        row = self.columns.row(x)
        changed = self.columns.learn(x)
        if changed:
            self._widen(changed)
            row = self.columns.row(x)
        self._samples += 1
        if not changed and self._facts:
            self._drop_from_recent()
        place, lost = self._free_place(exact=not changed)
        self._values[place], self._labels[place] = row, label
        self._learned_at[place] = self._samples
        self.counts[label] = self.counts.get(label, 0) + 1
        if changed or self._samples >= self._freeze_at or self._outgrown(row):
            self._freeze()
        else:
            levels = self._quantised(row)
            self._levels[place], self._rows[place] = levels, levels
            np.square(self._rows[place], out=self._squares[place])
            self._change(place, 1)
            if self._recent:
                self.recent_sums.change(_concept(label), levels[None], 1)
        return lost

    def discriminants(self) -> tuple[PooledDiscriminant, PooledDiscriminant]:
        """Solve the linear discriminants of all facts, and of the newest; labels are numbers."""
        made = (PooledAnswers(sums) for sums in (self.sums, self.recent_sums))
        every, newest = (answers.discriminant(_DOMAIN) for answers in made)
        return every, newest

    def apart(self, levels: Levels, label: int) -> float:
        """Return the squared Mahalanobis distance of a sample to the mean of a class with facts."""
        return float(PooledAnswers(self.sums).distances(_concept(label), levels))

    def distances(self, levels: Levels, factor: Floats) -> Floats:
        """Return the squared distances float32 [n] of a sample to all facts, each column times its
        factor."""
        weights, sample = factor * factor, levels.astype(np.float32)
        rows, squares = self._rows[: self._facts], self._squares[: self._facts]
        apart = squares @ weights - 2 * (rows @ (weights * sample)) + weights @ (sample * sample)
        return np.asarray(np.maximum(apart, 0), np.float32)

    def _quantised(self, row: Row) -> Levels:
        return self._quantiser.quantise(np.where(np.isnan(row), self._means, row))

    def _widen(self, changed: frozenset[int]) -> None:
        """Make room for new columns, and empty those that now mean another feature."""
        wider = np.full((self._size, self.columns.width), np.nan, np.float32)
        wider[:, : self._values.shape[1]] = self._values
        wider[:, sorted(changed)] = np.nan
        self._values = wider

    def _drop_from_recent(self) -> None:
        """Subtract the fact that stops being recent from the recent sums, unless it has left."""
        leaving = self._samples - self._recent
        if leaving <= 0 or not self._recent:
            return
        for place in np.flatnonzero(self._learned_at[: self._facts] == leaving):
            concept = _concept(int(self._labels[place]))
            self.recent_sums.change(concept, self._levels[place][None], -1)

    def _free_place(self, *, exact: bool) -> tuple[int, int | None]:
        """Return a free place, and the class that lost its last fact for it.  exact: subtract the
        fact that leaves; otherwise all sums are computed again anyway."""
        if self._facts < self._size:
            self._facts += 1
            return self._facts - 1, None
        largest = max(self.counts, key=lambda label: (self.counts[label], -label))
        held = np.flatnonzero(self._labels == largest)
        place = int(held[self._learned_at[held].argmin()])
        if exact:
            self._change(place, -1)
            if self._learned_at[place] > self._samples - self._recent:
                self.recent_sums.change(_concept(largest), self._levels[place][None], -1)
        self.counts[largest] -= 1
        if self.counts[largest]:
            return place, None
        del self.counts[largest]
        return place, largest

    def _change(self, place: int, sign: int) -> None:
        concept = _concept(int(self._labels[place]))
        self.sums.change(concept, self._levels[place][None], sign)

    def _outgrown(self, row: Row) -> bool:
        """Count the values of a row that the quantiser clips, and return whether they are too
        many."""
        steps = np.rint(row / self._quantiser.scale) + self._quantiser.zero
        # Comparisons with a missing value are false.
        self._clipped += int(np.count_nonzero((steps < 0) | (steps > LEVEL_MAX)))
        self._judged += len(row)
        return self._clipped > CLIPPED_MAX * (self._judged + SETTLED_ROWS * len(row))

    def _freeze(self) -> None:
        """Freeze a quantiser for all facts, and compute levels and sums from their values again."""
        values, count = self._values[: self._facts], self._facts
        missing = np.isnan(values)
        present = np.maximum(count - missing.sum(axis=0), 1)
        total = np.where(missing, 0, values).sum(axis=0, dtype=np.float64)
        self._means = (total / present).astype(np.float32)
        filled = np.where(missing, self._means, values)
        every = (slice(0, filled.shape[1]),)
        self._quantiser = encoder.freeze_quantiser(filled, every, "channel")
        self._levels = np.zeros((self._size, filled.shape[1]), np.uint8)
        self._levels[:count] = self._quantiser.quantise(filled)
        self._rows = self._levels.astype(np.float32)
        self._squares = np.square(self._rows)
        self.sums = self._summed(np.ones(count, np.bool_))
        self.recent_sums = self._summed(self.newest)
        self._clipped = self._judged = 0
        while self._freeze_at <= self._samples:
            self._freeze_at *= 2

    def _summed(self, chosen: NDArray[np.bool_]) -> Moments:
        made = Moments(self._levels.shape[1])
        for label in self.counts:
            rows = self.all_levels[chosen & (self.labels == label)]
            if len(rows):
                made.change(_concept(label), rows, 1)
        return made


def _concept(label: int) -> tuple[str, str]:
    return _DOMAIN, str(label)
