"""The whitening of samples within their classes, the same bits on every machine (see `exact`).

The covariance is shrunk towards a multiple of the identity (Ledoit and Wolf 2004).  Beyond
`RANK_MAX` columns it keeps that of a leading subspace and one variance for the rest (probabilistic
principal component analysis, Tipping and Bishop 1999).  The subspace is found by block iteration
with a fixed number of rounds (Rutishauser 1970; Halko, Martinsson and Tropp 2011): it need not be
exactly the leading one, and the model is that of the covariance within it.
"""

from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from .exact import (
    SUM_BITS,
    Reals,
    Whole,
    cholesky,
    eigen,
    multiply,
    orthonormal,
    product,
    solve_lower,
    total,
)
from .geometry import random_words, unpack

Groups = NDArray[np.intp]

RANK_MAX = 128  # 32, 64 and 200 directions score within 0.2 points of AUROC (docs/decisions/0002)

ROUNDS = 3
"""Rounds of the block iteration: with three, none of 18 sets loses more than 0.01 points of AUROC
against exact eigenvectors (docs/decisions/0002)."""

VARIANCE_MIN = 2.0**-30
"""Least variance of a direction, of rows up to about 1 long: 1/32,768 is far below one of 255
levels, and coordinates of 64 a deviation stay below 2^22, so that sums of 128 squares are exact."""

VARIANCE_SHARE = 1e-6
"""Least variance of a direction, as a share of the mean one: columns that depend on others have
none of their own.  Chosen by hand; effect not measured."""

OUTSIDE_SHARE = 1e-12
"""Share of the longest squared length outside the leading directions up to which a class mean lies
within them."""

_START_SEED = 0x737461  # "sta" in ASCII: any constant will do, changing it changes all digests


def class_sums(values: Reals, group: Groups) -> Reals:
    """Return the sums [c, w] of whole numbers [n, w] of classes 0 to c - 1, each of some rows."""
    order = group.argsort(kind="stable")
    starts = np.searchsorted(group[order], np.arange(int(group.max()) + 1))
    return np.asarray(np.add.reduceat(values[order], starts, axis=0))


class Rows(msgspec.Struct, frozen=True, eq=False):
    """Rows to whiten, as whole numbers [n, w], so small that sums of their products are exact.

    unit: the length of 1, a power of two.
    """

    whole: Reals
    unit: float

    @staticmethod
    def make(values: Reals) -> "Rows":
        """Round values [n, w], rows not much longer than 1."""
        longest = np.sqrt(total(np.square(values), 1).max(initial=0.0))
        # Residuals are at most twice as long as the longest row.
        exponent = int(np.frexp(longest)[1]) + 1
        bits = (SUM_BITS - 1 - len(values).bit_length()) // 2
        unit = float(np.ldexp(1.0, exponent - bits))
        return Rows(np.rint(values / unit), unit)


class Scatter:
    """The scatter within classes of rows of whole numbers."""

    def __init__(self, rows: Reals, group: Groups) -> None:
        self.means = class_sums(rows, group) / np.bincount(group)[:, None]
        self.residuals = rows - self.means[group]
        np.rint(self.residuals, out=self.residuals)
        self.count, self.width = len(rows), int(rows.shape[1])

    @cached_property
    def inner(self) -> Reals:
        """The smaller one of the two products of the residuals with themselves; exact."""
        held = self.residuals
        return held.T @ held if self.width <= self.count else held @ held.T

    @cached_property
    def _factors(self) -> tuple[Whole, ...]:
        """What a vector is multiplied by, in turn, to be multiplied by the scatter."""
        if self.width <= self.count:
            return (Whole.left(self.inner),)
        return Whole.left(self.residuals), Whole.left(self.residuals.T)

    @cached_property
    def mean(self) -> float:
        """The mean variance of a column."""
        return float(np.diagonal(self.inner).sum()) / self.count / self.width

    @cached_property
    def share(self) -> float:
        """Ledoit and Wolf's weight of the identity."""
        count, width = self.count, self.width
        squares = float(total(np.square(self.inner / count)))
        lengths = np.square(self.residuals).sum(axis=1)
        fourth = float(total(np.square(lengths))) / count
        delta = squares - width * self.mean * self.mean
        beta = (fourth - squares) / count
        return min(1.0, max(0.0, beta / delta)) if delta > 0 else 1.0

    def apply(self, vectors: Reals) -> Reals:
        """Return the covariance times vectors [w, r]."""
        for factor in self._factors:
            vectors = multiply(factor, Whole.right(vectors))
        return np.asarray(vectors / self.count)

    def leading(self) -> Reals:
        """Return a basis [w, r] of nearly the leading directions."""
        found = _signs(self.width)
        for _ in range(ROUNDS):
            found = orthonormal(self.apply(found))
        return orthonormal(found)

    def within(self, basis: Reals) -> Reals:
        """Return the covariance [r, r] in a subspace with this basis."""
        found = product(basis.T, self.apply(basis))
        return np.asarray((found + found.T) / 2)

    def covariance(self) -> Reals:
        """Return the covariance of all columns, [w, w]."""
        return np.asarray(self.residuals.T @ self.residuals / self.count)

    def shrunk(self, covariance: Reals, floor: float) -> Reals:
        """Return a covariance shrunk towards a multiple of the identity."""
        return np.asarray((1 - self.share) * covariance + floor * np.eye(len(covariance)))

    def floor(self, unit: float) -> float:
        """Return the variance that shrinking adds to every direction; unit: of the numbers."""
        least = VARIANCE_MIN / (unit * unit)
        return self.share * self.mean + VARIANCE_SHARE * self.mean + least

    def rest(self, within: Reals, floor: float) -> float:
        """Return the shrunk variance of a direction outside a subspace with this covariance."""
        left = self.mean * self.width - float(total(np.diagonal(within)))
        return max((1 - self.share) * left / (self.width - len(within)), 0.0) + floor


class Whitening(msgspec.Struct, frozen=True, eq=False):
    """Orthonormal axes [w, r], the variance along each, [r], and that of the rest, 0 if there is
    none.  leading: a basis of the leading directions, None if the axes span the columns."""

    axes: Reals
    variances: Reals
    rest: float
    leading: Reals | None


def whiten(rows: Rows, group: Groups) -> Whitening:
    """Return the whitening of rows with classes [n]."""
    scatter = Scatter(rows.whole, group)
    floor, by = scatter.floor(rows.unit), rows.unit * rows.unit
    if scatter.width <= RANK_MAX:
        variances, sides = eigen(scatter.shrunk(scatter.covariance(), floor))
        return Whitening(sides, variances * by, 0.0, None)
    leading = scatter.leading()
    found = scatter.within(leading)
    variances, sides = eigen(scatter.shrunk(found, floor))
    rest = scatter.rest(found, floor)
    axes = product(leading, sides)
    # The axes also span all class means, so that the length outside is the same for every class.
    outside = scatter.means.T - product(axes, product(axes.T, scatter.means.T))
    longest = total(np.square(outside), 0)
    extra = orthonormal(outside[:, longest > OUTSIDE_SHARE * longest.max()])
    variances = np.concatenate([variances, np.full(extra.shape[1], rest)])
    return Whitening(np.hstack([axes, extra]), variances * by, rest * by, leading)


def distances_without(
    rows: Rows, group: Groups, scored: Groups, kept: NDArray[np.bool_], leading: Reals | None
) -> Reals:
    """Return how far rows `scored` are from their own classes, in deviations, under the whitening
    of the rows `kept`.  group: [n], of all rows; each class of `scored` has rows in `kept`.
    leading: of the whitening of all rows."""
    classes, members = np.unique(group[kept], return_inverse=True)
    scatter = Scatter(rows.whole[kept], members)
    floor = scatter.floor(rows.unit)
    apart = rows.whole[scored] - scatter.means[np.searchsorted(classes, group[scored])]
    apart = np.rint(apart, out=apart)
    if leading is None:
        solved = solve_lower(cholesky(scatter.shrunk(scatter.covariance(), floor)), apart.T)
        return np.asarray(np.sqrt(total(np.square(solved), 0)))
    lengths = np.square(apart).sum(axis=1)
    if scatter.count - len(classes) <= RANK_MAX:
        # The rows span all that varies: their n x n products say the same (Woodbury's identity).
        by = (1 - scatter.share) / scatter.count
        lower = cholesky(by * scatter.inner + floor * np.eye(scatter.count))
        solved = solve_lower(lower, np.sqrt(by) * (scatter.residuals @ apart.T))
        return np.asarray(np.sqrt(np.maximum(lengths - total(np.square(solved), 0), 0) / floor))
    basis = orthonormal(scatter.apply(leading))
    found, inside = scatter.within(basis), product(basis.T, apart.T)
    solved = solve_lower(cholesky(scatter.shrunk(found, floor)), inside)
    outside = np.maximum(lengths - total(np.square(inside), 0), 0)
    squared = total(np.square(solved), 0) + outside / scatter.rest(found, floor)
    return np.asarray(np.sqrt(squared))


def covariance_of_few(rows: Rows, group: Groups) -> Reals:
    """Return the shrunk covariance [w, w] within classes of a few columns, in squared units of the
    rows."""
    scatter = Scatter(rows.whole, group)
    by = rows.unit * rows.unit
    return scatter.shrunk(scatter.covariance(), scatter.share * scatter.mean + 1e-9 / by) * by


def _signs(width: int) -> Reals:
    """Return random signs [width, RANK_MAX] to start with."""
    words = random_words(_START_SEED, width * RANK_MAX // 64)
    return np.where(unpack(words), -1.0, 1.0).reshape(width, RANK_MAX)
