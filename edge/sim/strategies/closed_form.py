"""Strategies in closed form, from sums: NCM, streaming LDA, streaming ridge and RanPAC."""

from abc import abstractmethod
from typing import Final

import numpy as np

from .arithmetic import one_hot, solve_ridge, unit_rows
from .base import FLOAT, MaskedStrategy, Preparation, Scaling, Taps, columns_of
from .strategy import Bytes, Floats, LabelledPart, StreamShape, Targets

WIDTH: Final = 2_000
"""Columns of RanPAC's projection; the paper has 10,000.  See docs/explanation/strategies.md."""
VALIDATED: Final = 0.2
"""Share of a task on which RanPAC chooses its penalty: the authors' code."""
PENALTIES: Final = 10.0 ** np.arange(-8, 9)
"""RanPAC's candidates: the authors' code."""


class ClosedForm(MaskedStrategy):
    """A strategy whose state is sums over rows."""

    def __init__(
        self, shape: StreamShape, seed: int, *, taps: Taps = "all", scaling: Scaling = "standard"
    ) -> None:
        super().__init__(shape, seed)
        self._taps, self._scaling = taps, scaling
        self._columns = columns_of(shape, taps)
        self._preparation: Preparation | None = None

    @property
    def bytes_max(self) -> int | None:
        """Return the bytes of the sums, the weights and the preparation."""
        return self._mask_bytes + (2 * self._columns + self._numbers) * FLOAT

    @property
    @abstractmethod
    def _numbers(self) -> int:
        """Numbers that the sums and the weights have."""

    def _learn(self, part: LabelledPart) -> None:
        if self._preparation is None:
            self._preparation = Preparation.fit(
                part.features, self._shape, self._taps, self._scaling
            )
        self._add(self.rows_of(part.features), part.targets)

    @abstractmethod
    def _add(self, rows: Floats, targets: Targets) -> None:
        """Add the rows of a task to the sums."""

    def rows_of(self, features: Bytes) -> Floats:
        """Return rows float32 [n, columns], after all transforms."""
        assert self._preparation is not None  # a task with rows was learned
        return self._preparation(features)


class NearestMean(ClosedForm):
    """NCM by cosine: the prototype of a label is the mean of its rows' features (SimpleCIL, Zhou et
    al. 2025, and the authors' `replace_fc`).  A label that comes again adds to its
    sum."""

    def __init__(
        self, shape: StreamShape, seed: int, *, taps: Taps = "final", scaling: Scaling = "centred"
    ) -> None:
        super().__init__(shape, seed, taps=taps, scaling=scaling)
        self.sums = np.zeros((shape.labels, self._columns), np.float32)

    @property
    def _numbers(self) -> int:
        return int(self.sums.size)

    def _add(self, rows: Floats, targets: Targets) -> None:
        self.sums += one_hot(targets, self._shape.labels).T @ rows

    def _scored(self, features: Bytes, _domains: Targets | None) -> Floats:
        return unit_rows(self.rows_of(features)) @ unit_rows(self.sums).T

    def _end(self, gone: Targets) -> None:
        self.sums[gone] = 0


class StreamingLda(ClosedForm):
    """Deep SLDA (Hayes and Kanan 2020): running means of labels and one running
    covariance, each row against its label's mean so far; the inverse is shrunk to the identity.

    The running sums of a task's rows in one product equal those of row by row.  The first row of a
    label has no mean to compare with, and leaves the covariance as it is; published, it counts from
    zero.
    """

    def __init__(
        self,
        shape: StreamShape,
        seed: int,
        *,
        shrinkage: float = 0.1,
        taps: Taps = "all",
        scaling: Scaling = "standard",
    ) -> None:
        super().__init__(shape, seed, taps=taps, scaling=scaling)
        self._shrinkage = shrinkage
        self.means = np.zeros((shape.labels, self._columns), np.float32)
        self.counts = np.zeros(shape.labels, np.float32)
        self.covariance = np.zeros((self._columns, self._columns), np.float32)
        self.weights = np.zeros((self._columns + 1, shape.labels), np.float32)
        self._rows_seen = 0

    @property
    def _numbers(self) -> int:
        return (
            self.means.size + self.counts.size + int(self.covariance.size) + int(self.weights.size)
        )

    def _add(self, rows: Floats, targets: Targets) -> None:
        total = self._rows_seen + np.arange(len(rows), dtype=np.float32)
        apart = np.zeros_like(rows)
        for target in np.unique(targets):
            own = np.flatnonzero(targets == target)
            count = self.counts[target] + np.arange(len(own), dtype=np.float32)
            sums = np.cumsum(rows[own], axis=0, dtype=np.float64)
            before = sums - rows[own] + self.counts[target] * self.means[target]
            known = count > 0
            means = before[known] / count[known, None]
            apart[own[known]] = rows[own[known]] - means
            self.means[target] = (before[-1] + rows[own[-1]]) / (count[-1] + 1)
            self.counts[target] += len(own)
        apart *= np.sqrt(total / (total + 1))[:, None]
        self.covariance *= np.float32(self._rows_seen / (self._rows_seen + len(rows)))
        self.covariance += apart.T @ apart / np.float32(self._rows_seen + len(rows))
        self._rows_seen += len(rows)
        self._solve()

    def _solve(self) -> None:
        shrunk = (1 - np.float32(self._shrinkage)) * self.covariance
        shrunk.flat[:: len(shrunk) + 1] += np.float32(max(self._shrinkage, 1e-6))
        solved = np.linalg.solve(shrunk, self.means.T)
        self.weights[:-1] = solved
        self.weights[-1] = -0.5 * np.einsum("ij,ji->i", self.means, solved)

    def _scored(self, features: Bytes, _domains: Targets | None) -> Floats:
        return np.asarray(self.rows_of(features) @ self.weights[:-1] + self.weights[-1], np.float32)

    def _end(self, gone: Targets) -> None:
        self.means[gone] = 0
        self.counts[gone] = 0
        self.weights[:, gone] = 0


class StreamingRidge(ClosedForm):
    """Ridge regression on one-hot labels from running sums of rows and their products (Hoerl and
    Kennard 1970).  penalty: relative to the mean squared deviation.

    Rows of a label that ended stay in the sums of products, where they answer for no label.
    """

    def __init__(
        self,
        shape: StreamShape,
        seed: int,
        *,
        penalty: float = 0.1,
        taps: Taps = "all",
        scaling: Scaling = "raw",
    ) -> None:
        super().__init__(shape, seed, taps=taps, scaling=scaling)
        self._penalty = penalty
        self._begin(self._columns)

    def _begin(self, width: int) -> None:
        """Make the sums, for rows of a width after all transforms."""
        labels = self._shape.labels
        self.gram = np.zeros((width, width), np.float32)
        self.products = np.zeros((width, labels), np.float32)
        self.total = np.zeros(width, np.float32)
        self.counts = np.zeros(labels, np.float32)
        self.weights = np.zeros((width + 1, labels), np.float32)
        self._rows_seen = 0

    @property
    def _numbers(self) -> int:
        sums = (self.gram, self.products, self.total, self.counts, self.weights)
        return sum(int(one.size) for one in sums)

    def _add(self, rows: Floats, targets: Targets) -> None:
        wanted = one_hot(targets, self._shape.labels)
        self.gram += rows.T @ rows
        self.products += rows.T @ wanted
        self.total += rows.sum(axis=0)
        self.counts += wanted.sum(axis=0)
        self._rows_seen += len(rows)
        self._solve(self._penalty)

    def _solve(self, penalty: float) -> None:
        count = np.float32(self._rows_seen)
        mean, usual = self.total / count, self.counts / count
        centred = self.gram - np.outer(self.total, mean)
        self.weights[:-1] = solve_ridge(
            centred, self.products - np.outer(self.total, usual), penalty
        )
        self.weights[-1] = usual - mean @ self.weights[:-1]

    def _scored(self, features: Bytes, _domains: Targets | None) -> Floats:
        return np.asarray(self.rows_of(features) @ self.weights[:-1] + self.weights[-1], np.float32)

    def _end(self, gone: Targets) -> None:
        self.products[:, gone] = 0
        self.counts[gone] = 0
        self.weights[:, gone] = 0


class RanPac(StreamingRidge):
    """RanPAC (McDonnell et al. 2023) without first-session tuning: ReLU of
    a fixed random projection, then ridge regression from running sums; the penalty is the one with
    the smallest squared error on the last fifth of each new task (the authors'
    `optimise_ridge_parameter`), or one that is given, relative as that of the streaming ridge.
    """

    def __init__(
        self,
        shape: StreamShape,
        seed: int,
        *,
        width: int = WIDTH,
        penalty: float | None = None,
        taps: Taps = "all",
        scaling: Scaling = "raw",
    ) -> None:
        super().__init__(shape, seed, penalty=penalty or 0.0, taps=taps, scaling=scaling)
        drawn = self.random.standard_normal((self._columns, width))
        self.projection = drawn.astype(np.float32)
        self._begin(width)

    @property
    def _numbers(self) -> int:
        return super()._numbers + int(self.projection.size)

    def rows_of(self, features: Bytes) -> Floats:
        """Return rows float32 [n, columns], after all transforms."""
        return np.asarray(np.maximum(super().rows_of(features) @ self.projection, 0), np.float32)

    def _add(self, rows: Floats, targets: Targets) -> None:
        if self._penalty:
            super()._add(rows, targets)
            return
        order = self.random.permutation(len(rows))
        rows, wanted = rows[order], one_hot(targets[order], self._shape.labels)
        self.gram += rows.T @ rows
        self.products += rows.T @ wanted
        penalty = self.choose_penalty(rows, wanted)
        self.weights[:-1] = solve_ridge(self.gram, self.products, penalty=0.0, added=penalty)

    def choose_penalty(self, rows: Floats, wanted: Floats) -> float:
        """Return the penalty with the least squared error on the last fifth of the rows; all
        candidates from one decomposition."""
        fitted = int(len(rows) * (1 - VALIDATED))
        if fitted in (0, len(rows)):
            return 1.0
        values, axes = np.linalg.eigh(rows[:fitted].T @ rows[:fitted])
        turned = axes.T @ (rows[:fitted].T @ wanted[:fitted])
        seen = rows[fitted:] @ axes
        errors = [
            float(np.square(seen @ (turned / (values + one)[:, None]) - wanted[fitted:]).mean())
            for one in PENALTIES
        ]
        return float(PENALTIES[int(np.nanargmin(errors))])
