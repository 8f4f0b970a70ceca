"""The whitening of samples within their classes, the same bits on every machine (see `exact`).

The covariance is shrunk towards a multiple of the identity (Ledoit and Wolf 2004).  Beyond
`RANK_MAX` columns it keeps that of a leading subspace and one variance for the rest (probabilistic
principal component analysis, Tipping and Bishop 1999).  The subspace is found by block iteration
with a fixed number of rounds (Rutishauser 1970; Halko, Martinsson and Tropp 2011): it need not be
exactly the leading one, and the model is that of the covariance within it.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .exact import (
    SUM_BITS,
    Reals,
    cholesky,
    eigen,
    nearly_orthonormal,
    orthonormal,
    product,
    solve_lower,
    to_whole,
    total,
)
from .geometry import random_words, unpack

Groups = NDArray[np.intp]

RANK_MAX = 128  # 32, 64 and 200 directions score within 0.2 points of AUROC (docs/decisions/0002)

ROUNDS = 3  # of the iteration
FOLD_ROUNDS = 2  # of the iteration that starts at the whole fit's subspace

VARIANCE_MIN = 2.0**-30
"""Least variance of a direction, of rows up to about 1 long: 1/32,768 is far below one of 255
levels, and coordinates of 64 a deviation stay below 2^22, so that sums of 128 squares are exact."""

VARIANCE_SHARE = 1e-6
"""Least variance of a direction, as a share of the mean one: columns that depend on others have
none of their own.  Chosen by hand; effect not measured."""

_START_SEED = 0x737461  # "sta" in ASCII: any constant will do, changing it changes all digests


def class_means(values: Reals, group: Groups) -> Reals:
    """Return class means [c, w] of whole numbers [n, w]."""
    counts = np.bincount(group).astype(np.float64)
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, group, values)
    return np.asarray(sums / np.maximum(counts, 1)[:, None])


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows to whiten: whole numbers [n, w] in units of 2^-bits, so small that sums of their products
    are exact."""

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
    """The scatter within classes of some rows."""

    def __init__(self, whole: Reals, group: Groups) -> None:
        self.means = class_means(whole, group)
        self.residuals = np.rint(whole - self.means[group])
        self.count, self.width = whole.shape

    @cached_property
    def inner(self) -> Reals:
        """The smaller one of the two products of the residuals with themselves; exact."""
        held = self.residuals
        return held.T @ held if self.width <= self.count else held @ held.T

    @cached_property
    def mean(self) -> float:
        """The mean variance of a column."""
        return float(np.trace(self.inner)) / self.count / self.width

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
        if self.width <= self.count:
            return product(self.inner, vectors) / self.count
        return product(self.residuals.T, product(self.residuals, vectors)) / self.count

    def leading(self, start: Reals, rounds: int) -> Reals:
        """Return a basis [w, r] of nearly the leading directions."""
        found = start
        for _ in range(rounds):
            found = nearly_orthonormal(self.apply(found))
        return nearly_orthonormal(found)

    def within(self, basis: Reals) -> Reals:
        """Return the covariance [r, r] in a subspace."""
        found = product(basis.T, self.apply(basis))
        return np.asarray((found + found.T) / 2)


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """Orthonormal axes [w, r], the variance along each, [r], and that of the rest, 0 if there is
    none."""

    axes: Reals
    variances: Reals
    rest: float
    leading: Reals | None


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    """Shrunk covariance: `inside` [r, r] of a basis [w, r] (None: of the columns), `rest` outside."""

    basis: Reals | None
    inside: Reals
    rest: float
    scatter: Scatter

    @staticmethod
    def make(rows: Rows, group: Groups, start: Reals | None = None) -> "_Model":
        scatter = Scatter(rows.whole, group)
        least = VARIANCE_MIN / (rows.unit * rows.unit)
        share, mean = scatter.share, scatter.mean
        floor = share * mean + VARIANCE_SHARE * mean + least
        if scatter.width <= RANK_MAX:
            inner = scatter.residuals.T @ scatter.residuals / scatter.count
            return _Model(None, (1 - share) * inner + floor * np.eye(len(inner)), 0.0, scatter)
        if start is None:
            basis = scatter.leading(_signs(scatter.width), ROUNDS)
        else:
            basis = scatter.leading(start, FOLD_ROUNDS)
        found = scatter.within(basis)
        rest = (mean * scatter.width - float(np.trace(found))) / (scatter.width - len(found))
        inside = (1 - share) * found + floor * np.eye(len(found))
        return _Model(basis, inside, max((1 - share) * rest, 0.0) + floor, scatter)


def whiten(rows: Rows, group: Groups) -> Whitening:
    """Return the whitening of rows with classes [n]."""
    model = _Model.make(rows, group)
    variances, sides = eigen(model.inside)
    by = rows.unit * rows.unit
    if model.basis is None:
        return Whitening(sides, variances * by, 0.0, None)
    axes = product(model.basis, sides)
    # The axes also span all class means, so that the length outside is the same for every class.
    means = model.scatter.means
    outside = means.T - product(axes, product(axes.T, means.T))
    longest = total(np.square(outside), 0)
    outside = outside[:, longest > 1e-12 * max(float(longest.max()), 1.0)]
    extra = orthonormal(outside)
    variances = np.concatenate([variances, np.full(extra.shape[1], model.rest)])
    return Whitening(
        np.hstack([axes, extra]), variances * by, model.rest * by, model.basis
    )


def distances_without(
    rows: Rows, group: Groups, scored: Groups, kept: NDArray[np.bool_], start: Reals | None
) -> Reals:
    """Return how far rows `scored` are from their own classes, in deviations, under the whitening
    of the rows `kept`.  group: [n], of all rows; each class of `scored` has rows in `kept`."""
    classes, members = np.unique(group[kept], return_inverse=True)
    model = _Model.make(Rows(rows.whole[kept], rows.unit), members, start)
    apart = rows.whole[scored] - model.scatter.means[np.searchsorted(classes, group[scored])]
    inside = apart.T if model.basis is None else product(model.basis.T, apart.T)
    solved = solve_lower(cholesky(model.inside), inside)
    squared = total(np.square(solved), 0)
    if model.rest > 0:
        outside = total(np.square(apart), 1) - total(np.square(inside), 0)
        squared = squared + np.maximum(outside, 0) / model.rest
    return np.asarray(np.sqrt(squared))


def shrunk(rows: Rows, group: Groups) -> Reals:
    """Return the shrunk covariance [w, w] of a few columns."""
    scatter = Scatter(rows.whole, group)
    share, by = scatter.share, rows.unit * rows.unit
    inner = scatter.residuals.T @ scatter.residuals / scatter.count
    floor = share * scatter.mean * by + 1e-9
    return np.asarray((1 - share) * inner * by + floor * np.eye(scatter.width))


def _signs(width: int) -> Reals:
    """Return random signs [width, RANK_MAX] to start with."""
    words = random_words(_START_SEED, width * RANK_MAX // 64)
    return np.where(unpack(words), -1.0, 1.0).reshape(width, RANK_MAX)
