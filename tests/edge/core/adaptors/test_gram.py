from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.core.adaptors.gram import ROOT_SIDE, SIDE, Gram, inverse_root


def rows(count: int, width: int) -> NDArray[np.float32]:
    """Correlated rows, float32."""
    random = np.random.default_rng(width)
    mixing = np.eye(width) + 0.2 * random.normal(size=(width, width)) / np.sqrt(width)
    return np.asarray(random.normal(size=(count, width)) @ mixing, np.float32)


@pytest.mark.parametrize("width", [1, 7, SIDE - 1, SIDE, SIDE + 1, 2 * SIDE + 3])
def test_the_solution_equals_that_of_numpy(width):
    """The block-wise solution equals the direct one up to float32 rounding."""
    inputs = rows(width + 20, width)
    sought = inputs.T @ rows(width + 20, 3)
    gram = Gram(width)
    gram.add(inputs[:9])
    gram.add(inputs[9:])
    whole = inputs.T.astype(np.float64) @ inputs
    ridge = 0.3 * np.trace(whole) / len(inputs)
    assert gram.trace() == pytest.approx(np.trace(whole), rel=1e-5)
    expected = np.linalg.solve(whole + ridge * np.eye(width), sought)
    np.testing.assert_allclose(gram.solve(ridge, sought), expected, rtol=1e-3, atol=1e-4)


def test_repeated_columns_are_solved():
    """The ridge makes a singular matrix solvable."""
    inputs = np.repeat(rows(30, 4), 100, axis=1)
    gram = Gram(400)
    gram.add(inputs)
    solved = gram.solve(1.0, inputs.T @ np.ones((30, 1), np.float32))
    assert np.isfinite(solved).all()
    np.testing.assert_allclose(solved[:100], np.full((100, 1), solved[0]), rtol=0.01)


@pytest.mark.parametrize(("dtype", "atol"), [(np.float64, 1e-9), (np.float32, 1e-4)])
@pytest.mark.parametrize("width", [1, ROOT_SIDE, ROOT_SIDE + 1, 5 * ROOT_SIDE + 3])
def test_the_inverse_root_gives_the_inverse(width, dtype, atol):
    """Its square, transposed side first, is the inverse of the matrix, whatever its size and in
    either precision; a matrix that is not positive definite is refused."""
    drawn = rows(width + 20, width).astype(dtype)
    matrix = drawn.T @ drawn + np.eye(width, dtype=dtype)
    root = inverse_root(matrix)
    assert root.dtype == dtype
    np.testing.assert_allclose(root.T @ root, np.linalg.inv(matrix), rtol=0, atol=atol)
    assert not np.triu(root, 1).any()
    with pytest.raises(np.linalg.LinAlgError):
        inverse_root(matrix - 2 * np.trace(matrix) * np.eye(width, dtype=dtype))
