"""Linear algebra whose results are the same bits on every machine.

The order in which a processor's kernels add is not specified, and rounding depends on it.  Here
every sum is of whole numbers below 2^53, which no order changes: operands are first rounded to as
many bits as the sum allows (the slices of Ozaki, Ogita, Oishi and Rump 2012).  All else is element
by element in a fixed order: IEEE 754 specifies every addition, multiplication, division and square
root.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]

SUM_BITS = 53  # whole numbers up to 2^53 are exact in float64

RANK_SHARE = 1e-10
"""A vector whose squared length outside the vectors before it is a smaller share of its own depends
on them: operands of 21 bits cannot tell."""

SWEEPS_MAX = 16  # Jacobi's method takes four to eight sweeps; the bound ends it whatever happens

CORRELATION_MAX = 1e-3
"""Correlation of two axes that count as uncorrelated: rounding them to whole numbers changes as
much, and the next sweep would square it."""

_TINY = 2.0**-1000  # keeps divisions by zero away; no product of operands is as small


def total(values: Reals, axis: int | None = None) -> Reals:
    """Return the sum of all values, or sums along an axis; each of the n values is rounded to
    n x 2^-52 of the largest one."""
    flat = values.ravel() if axis is None else values
    along = 0 if axis is None else axis
    found = Whole.make(flat, along, SUM_BITS - 1 - flat.shape[along].bit_length())
    return np.asarray((found.numbers.sum(axis=along, keepdims=True) * found.unit).squeeze(along))


class Whole(msgspec.Struct, frozen=True, eq=False):
    """Whole numbers in units of a power of two, which broadcasts."""

    numbers: Reals
    unit: Reals

    @staticmethod
    def make(values: Reals, axis: int, bits: int) -> "Whole":
        """Round values to numbers of at most 2^bits, with one unit per slice along an axis."""
        most = values.max(axis=axis, keepdims=True, initial=0.0)
        least = values.min(axis=axis, keepdims=True, initial=0.0)
        exponent = np.frexp(np.maximum(most, -least))[1] - bits
        numbers = values * np.ldexp(1.0, -exponent)
        return Whole(np.rint(numbers, out=numbers), np.ldexp(1.0, exponent))

    @staticmethod
    def left(values: Reals) -> "Whole":
        """Round the left factor of `multiply`, [n, k]."""
        return Whole.make(values, 1, _factor_bits(values.shape[1]))

    @staticmethod
    def right(values: Reals) -> "Whole":
        """Round the right factor of `multiply`, [k, m]."""
        return Whole.make(values, 0, _factor_bits(len(values)))


def multiply(one: Whole, other: Whole) -> Reals:
    """Return the matrix product of a left and a right factor."""
    made = one.numbers @ other.numbers
    made *= one.unit
    made *= other.unit
    return made


def product(one: Reals, other: Reals) -> Reals:
    """Return one @ other; operands are rounded to 2^-21 of their largest number in a row of `one`
    or a column of `other` (2^-17 for sums of 2^17)."""
    return multiply(Whole.left(one), Whole.right(other))


def _factor_bits(count: int) -> int:
    """Return how many bits two factors may have for sums of `count` products to be exact."""
    return (SUM_BITS - 1 - count.bit_length()) // 2


def cholesky(matrix: Reals) -> Reals:
    """Return the lower factor L, L L' = matrix, of a symmetric matrix [n, n].  Rows that depend on
    those before them get a zero on the diagonal and a zero column."""
    rest = matrix.copy()
    floor = RANK_SHARE * np.diagonal(matrix)
    for at in range(len(rest)):
        pivot = rest[at, at]
        if pivot <= floor[at]:
            rest[at:, at] = 0.0
            continue
        rest[at:, at] /= np.sqrt(pivot)
        below = rest[at + 1 :, at]
        rest[at + 1 :, at + 1 :] -= below[:, None] * below
    return np.tril(rest)


def solve_lower(lower: Reals, values: Reals) -> Reals:
    """Return X [n, m] of L X = values for a lower factor L [n, n]; 0 where its diagonal is 0."""
    rest = values.copy()
    for at in range(len(rest)):
        pivot = lower[at, at]
        rest[at] = rest[at] / pivot if pivot > 0 else 0.0
        rest[at + 1 :] -= lower[at + 1 :, at, None] * rest[at]
    return rest


def orthonormal(vectors: Reals) -> Reals:
    """Return an orthonormal basis [w, r] of the columns of vectors [w, n], in their order, without
    those that depend on others.

    The error grows with the condition of the vectors; of a result of this function it is small.
    """
    whole = Whole.right(vectors)
    lower = cholesky(whole.numbers.T @ whole.numbers)
    inverse = solve_lower(lower, np.eye(len(lower)))[np.diagonal(lower) > 0]
    return product(whole.numbers, inverse.T)


def eigen(matrix: Reals) -> tuple[Reals, Reals]:
    """Return eigenvalues [n], descending, and eigenvectors [n, n] of a positive definite matrix by
    Jacobi's method: n/2 neighbours are rotated at once and change places (Luk and Park 1989)."""
    rest = matrix.copy()
    sides = np.eye(len(rest))  # rows are the axes
    for _ in range(SWEEPS_MAX):
        deviations = np.sqrt(np.diagonal(rest))
        apart = np.abs(np.triu(rest, 1)) / deviations / deviations[:, None]
        if apart.max(initial=0.0) <= CORRELATION_MAX:
            break
        for turn in range(len(rest)):
            _rotate(rest, sides, turn % 2)
    values = np.diagonal(rest)
    found = np.argsort(-values, kind="stable")
    return values[found], sides[found].T


def _rotate(matrix: Reals, sides: Reals, first: int) -> None:
    """Rotate neighbours (first, first + 1), ... so that they are uncorrelated; exchange them."""
    last = len(matrix) - (len(matrix) - first) % 2
    diagonal = np.diagonal(matrix)[first:last]
    across = np.diagonal(matrix, 1)[first:last:2]
    clear = np.abs(across) > _TINY
    ratio = (diagonal[1::2] - diagonal[::2]) / np.where(clear, 2 * across, 1.0)
    tangent = 1 / (np.abs(ratio) + np.sqrt(ratio * ratio + 1))
    tangent = np.where(clear, np.where(ratio < 0, -tangent, tangent), 0.0)
    cosine = 1 / np.sqrt(tangent * tangent + 1)
    pair = cosine[:, None], (tangent * cosine)[:, None]
    for rows in (matrix, matrix.T, sides):
        _rotate_rows(rows[first:last:2], rows[first + 1 : last : 2], *pair)


def _rotate_rows(one: Reals, other: Reals, cosine: Reals, sine: Reals) -> None:
    """Rotate rows in pairs, and exchange them."""
    turned = sine * one
    turned += cosine * other
    np.multiply(cosine, one, out=one)
    one -= sine * other
    other[:] = one
    one[:] = turned
