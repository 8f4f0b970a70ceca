"""Linear algebra whose results are the same bits on every machine.

The order in which a processor's kernels add is not specified, and rounding depends on it.  Here
every sum is of whole numbers below 2^53, which no order changes: operands are first rounded to as
many bits as the sum allows (the slices of Ozaki, Ogita, Oishi and Rump 2012).  All else is element
by element in a fixed order: IEEE 754 specifies every addition, multiplication, division and square
root.
"""

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]

SUM_BITS = 53  # whole numbers up to 2^53 are exact in float64

RANK_SHARE = 1e-10
"""A vector whose squared length outside the vectors before it is a smaller share of its own depends
on them: operands of 21 bits cannot tell."""

SWEEPS_MAX = 16  # Jacobi's method takes four to eight sweeps; the bound ends it whatever happens

OFF_DIAGONAL_MAX = 1e-6
"""Correlation at which axes count as uncorrelated: far below what rounding axes to whole numbers
changes, and the next sweep would square it."""

_TINY = 2.0**-1000  # keeps divisions by zero away; no product of operands is as small


def total(values: Reals, axis: int | None = None) -> Reals:
    """Return the sum of all values, or sums along an axis; an error of n x 2^-52 of the largest."""
    flat = values.ravel() if axis is None else values
    along = 0 if axis is None else axis
    count = flat.shape[along]
    numbers, exponent = to_whole(flat, along, SUM_BITS - 1 - count.bit_length())
    return np.asarray(np.ldexp(numbers.sum(axis=along, keepdims=True), exponent).squeeze(along))


def to_whole(values: Reals, axis: int, bits: int) -> tuple[Reals, NDArray[np.intc]]:
    """Round values to whole numbers of at most 2^bits, in units of a power of two per slice along
    an axis; return the numbers and the exponents, with the axis kept."""
    largest = np.abs(values).max(axis=axis, keepdims=True, initial=0.0)
    exponent = np.frexp(largest)[1] - bits
    return np.rint(values * np.ldexp(1.0, -exponent)), exponent


def product(one: Reals, other: Reals) -> Reals:
    """Return one @ other; operands are rounded to 2^-21 of their largest number in a row of `one`
    or a column of `other` (2^-17 for sums of 2^17)."""
    bits = _bits(one.shape[1])
    left, rows = to_whole(one, 1, bits)
    right, columns = to_whole(other, 0, bits)
    return np.asarray((left @ right) * np.ldexp(1.0, rows) * np.ldexp(1.0, columns))


def _bits(count: int) -> int:
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
    those that depend on others."""
    basis = vectors
    for _ in range(2):  # the second pass removes what rounding of the first one left
        basis = nearly_orthonormal(basis)
    return basis


def nearly_orthonormal(vectors: Reals) -> Reals:
    """Compute `orthonormal` in one pass, with an error that grows with the condition."""
    numbers, _ = to_whole(vectors, 0, _bits(len(vectors)))
    lower = cholesky(numbers.T @ numbers)
    kept = np.diagonal(lower) > 0
    inverse = solve_lower(lower, np.eye(len(lower)))[kept]
    return product(numbers, inverse.T)


def eigen(matrix: Reals) -> tuple[Reals, Reals]:
    """Return eigenvalues [n], descending, and eigenvectors [n, n] of a positive definite matrix by
    Jacobi's method, n/2 rotations at once (Brent and Luk 1985)."""
    count = len(matrix)
    half = (count + 1) // 2
    rest = np.zeros((2 * half, 2 * half))
    rest[:count, :count] = matrix
    sides = np.eye(2 * half)  # rows are the axes
    order = np.arange(2 * half)
    turn = np.concatenate(
        [[0], [half], order[1 : half - 1], order[half + 1 :], [half - 1]]
        if half > 1
        else [order]
    )
    for _ in range(SWEEPS_MAX):
        diagonal = np.sqrt(np.maximum(np.diagonal(rest), _TINY))
        apart = np.abs(np.triu(rest, 1)) / diagonal / diagonal[:, None]
        if apart.max() <= OFF_DIAGONAL_MAX:
            break
        for _ in range(2 * half - 1):
            cosine, sine = _rotations(rest, half)
            _rotate(rest, cosine, sine)
            _rotate(rest.T, cosine, sine)
            _rotate(sides, cosine, sine)
            rest, sides = rest[turn][:, turn], sides[turn]
            order = order[turn]
    values = np.diagonal(rest)
    found = np.lexsort((order, -values))
    found = found[order[found] < count]
    return values[found], sides[found, :count].T


def _rotations(matrix: Reals, half: int) -> tuple[Reals, Reals]:
    """Return cosines and sines [half, 1] that clear the entries (k, k + half)."""
    diagonal = np.diagonal(matrix)
    across = np.diagonal(matrix, half)
    clear = np.abs(across) > _TINY
    ratio = (diagonal[half:] - diagonal[:half]) / np.where(clear, 2 * across, 1.0)
    tangent = 1 / (np.abs(ratio) + np.sqrt(ratio * ratio + 1))
    tangent = np.where(clear, np.where(ratio < 0, -tangent, tangent), 0.0)
    cosine = 1 / np.sqrt(tangent * tangent + 1)
    return cosine[:, None], (tangent * cosine)[:, None]


def _rotate(rows: Reals, cosine: Reals, sine: Reals) -> None:
    half = len(rows) // 2
    upper, lower = rows[:half], rows[half:]
    turned = cosine * upper
    turned -= sine * lower
    lower *= cosine
    lower += sine * upper
    upper[:] = turned
