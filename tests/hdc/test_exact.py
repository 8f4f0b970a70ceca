"""Sums and products do not depend on order, and the algebra built on them is right."""

import math

import numpy as np
import pytest

from hdc.exact import Whole, cholesky, eigen, orthonormal, product, solve_lower, total


def test_a_total_is_the_same_in_any_order_and_right() -> None:
    """Shuffled numbers of very different size have one sum, close to the exact one."""
    random = np.random.default_rng(0)
    values = random.normal(size=1000) * 10.0 ** random.integers(-6, 6, 1000)
    found = {float(total(random.permutation(values))) for _ in range(20)}
    assert len(found) == 1
    assert found.pop() == pytest.approx(math.fsum(values), abs=np.abs(values).max() * 1e-10)


def test_totals_along_an_axis_and_of_nothing() -> None:
    """Each slice is summed; zeros and empty slices sum to zero."""
    values = np.arange(12.0).reshape(3, 4)
    assert total(values, 0).tolist() == values.sum(axis=0).tolist()
    assert total(values, 1).tolist() == values.sum(axis=1).tolist()
    assert total(np.zeros((3, 4)), 0).tolist() == [0.0] * 4
    assert total(np.empty((0, 2)), 0).tolist() == [0.0, 0.0]


def test_a_product_is_the_same_in_any_order_and_right() -> None:
    """Permuting what is summed changes no bit; the error is that of the rounded operands."""
    random = np.random.default_rng(1)
    one, other = random.normal(size=(20, 700)), random.normal(size=(700, 30))
    found = product(one, other)
    for _ in range(5):
        order = random.permutation(700)
        assert np.array_equal(product(one[:, order], other[order]), found)
    assert np.abs(found - one @ other).max() < 1e-4


def test_whole_numbers_stay_within_their_bits() -> None:
    """Rounding keeps numbers of at most 2^bits, and their unit restores them."""
    values = np.random.default_rng(2).normal(size=(5, 9)) * 1e9
    found = Whole.make(values, 1, 20)
    assert np.abs(found.numbers).max() <= 2**20
    assert np.array_equal(found.numbers, np.rint(found.numbers))
    assert found.numbers * found.unit == pytest.approx(values, rel=1e-3)


def test_a_cholesky_factor_multiplies_back_and_marks_dependent_rows() -> None:
    """The factor is that of the matrix; a row that repeats another has a zero column."""
    rows = np.random.default_rng(3).integers(-9, 10, (40, 6)).astype(np.float64)
    rows[:, 4] = rows[:, 1]
    matrix = rows.T @ rows
    lower = cholesky(matrix)
    assert lower @ lower.T == pytest.approx(matrix)
    assert (np.diagonal(lower) > 0).tolist() == [True, True, True, True, False, True]
    assert not lower[:, 4].any()


def test_a_triangular_system_is_solved() -> None:
    """L X equals the right side."""
    random = np.random.default_rng(4)
    lower = np.tril(random.normal(size=(7, 7))) + 5 * np.eye(7)
    right = random.normal(size=(7, 3))
    assert lower @ solve_lower(lower, right) == pytest.approx(right)


def test_a_basis_is_orthonormal_without_dependent_columns() -> None:
    """Columns that repeat or add up others are left out; the rest spans the same space."""
    vectors = np.random.default_rng(5).normal(size=(50, 4))
    both = np.hstack([vectors, vectors[:, :1], vectors[:, :2].sum(axis=1, keepdims=True)])
    basis = orthonormal(both)
    assert basis.shape == (50, 4)
    assert basis.T @ basis == pytest.approx(np.eye(4), abs=1e-5)
    assert basis @ (basis.T @ both) == pytest.approx(both, abs=1e-4)


@pytest.mark.parametrize("size", [1, 2, 3, 8, 25])
def test_eigenvectors_diagonalise(size: int) -> None:
    """Values are LAPACK's, descending; axes are orthonormal and uncorrelated."""
    rows = np.random.default_rng(size).normal(size=(60, size)) * np.arange(1, size + 1)
    matrix = rows.T @ rows
    values, axes = eigen(matrix)
    assert values == pytest.approx(np.linalg.eigvalsh(matrix)[::-1], rel=1e-4)
    assert axes.T @ axes == pytest.approx(np.eye(size), abs=1e-12)
    inside = axes.T @ matrix @ axes / np.sqrt(values) / np.sqrt(values)[:, None]
    assert inside == pytest.approx(np.eye(size), abs=2e-3)


def test_equal_eigenvalues_keep_the_axes() -> None:
    """Nothing is rotated where nothing is correlated."""
    values, axes = eigen(3.0 * np.eye(5))
    assert values.tolist() == [3.0] * 5
    assert np.array_equal(axes, np.eye(5))
