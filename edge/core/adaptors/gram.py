"""Gram matrices in square blocks, solved in place: a large system without large arrays.

Memory allocators keep arrays of a few megabytes for reuse, so that one large solve would leave a
small device with tens of megabytes that it never uses again.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

SIDE: Final = 256
"""Rows and columns of a block: 256 KiB, far below the size that allocators keep.  Chosen by hand;
effect not measured."""

ROOT_SIDE: Final = 96
"""Rows of a block that `inverse_root` does not halve: 32 to 168 take the same time."""

Floats = NDArray[np.float32]
Real = TypeVar("Real", np.float32, np.float64)


class Gram:
    """The lower half of a symmetric float32 [width, width] matrix, in blocks of at most 256 x 256.

    Memory: width^2 / 2 numbers.
    """

    def __init__(self, width: int) -> None:
        self._spans = [slice(at, min(at + SIDE, width)) for at in range(0, width, SIDE)]
        sizes = [span.stop - span.start for span in self._spans]
        self._rows = [
            [np.zeros((n, m), np.float32) for m in sizes[: i + 1]] for i, n in enumerate(sizes)
        ]

    def add(self, rows: Floats) -> None:
        """Add the products of all pairs of columns of rows [n, width]."""
        for blocks, span in zip(self._rows, self._spans, strict=True):
            for column, block in enumerate(blocks):
                np.add(block, rows[:, span].T @ rows[:, self._spans[column]], out=block)

    def fill(self, block: Callable[[slice, slice], Floats]) -> None:
        """Set each block to `block(rows, columns)` of its spans."""
        for blocks, rows in zip(self._rows, self._spans, strict=True):
            for place, columns in zip(range(len(blocks)), self._spans, strict=False):
                blocks[place] = block(rows, columns)

    def trace(self) -> float:
        """Return the sum of the diagonal: the energy of all added rows."""
        return float(sum(np.trace(blocks[-1], dtype=np.float64) for blocks in self._rows))

    def solve(self, ridge: float, right: Floats) -> Floats:
        """Solve (matrix + ridge) x = right [width, k], ridge > 0.  The matrix is overwritten.

        Cholesky factorisation, block by block (Golub & Van Loan 2013, section 4.2.9).
        """
        solved = [right[span].astype(np.float32) for span in self._spans]
        inverses = []
        for at, blocks in enumerate(self._rows):
            blocks[-1].flat[:: len(blocks[-1]) + 1] += ridge
            inverse = np.linalg.inv(np.linalg.cholesky(blocks[-1]))
            inverses.append(inverse)
            solved[at] = inverse @ solved[at]
            self._eliminate(at, inverse, solved)
        for at in reversed(range(len(self._rows))):
            solved[at] = inverses[at].T @ solved[at]
            for before in range(at):
                solved[before] -= self._rows[at][before].T @ solved[at]
        return np.concatenate(solved)

    def _eliminate(self, at: int, inverse: Floats, solved: list[Floats]) -> None:
        """Eliminate block row `at` from the rows below it."""
        below = range(at + 1, len(self._rows))
        for row in below:
            self._rows[row][at] = self._rows[row][at] @ inverse.T
            solved[row] -= self._rows[row][at] @ solved[at]
        for row in below:
            for column in range(at + 1, row + 1):
                self._rows[row][column] -= self._rows[row][at] @ self._rows[column][at].T


def inverse_root(matrix: NDArray[Real]) -> NDArray[Real]:
    """Return the inverse of the lower Cholesky factor of a positive definite matrix, float32 or
    float64: its squared columns add up to the diagonal of the matrix's inverse.

    By halves, so that nearly all is matrix products: at 768 rows 13 ms instead of the 45 ms of an
    inverse (measured once).  Raises LinAlgError for another matrix.
    """
    made = np.zeros_like(matrix)
    _fill_inverse_root(matrix, made)
    return made


def _fill_inverse_root(matrix: NDArray[Real], made: NDArray[Real]) -> None:
    """Compute `inverse_root` into zeros.  Products leave out a quarter of a factor that is zero."""
    if len(matrix) <= ROOT_SIDE:
        made[...] = np.linalg.inv(np.linalg.cholesky(matrix))
        return
    half = len(matrix) // 2
    first, last = made[:half, :half], made[half:, half:]
    _fill_inverse_root(matrix[:half, :half], first)
    below, split = matrix[half:, :half], half // 2
    across = np.empty_like(below)
    np.matmul(below[:, :split], first[:split, :split].T, out=across[:, :split])
    np.matmul(below, first[split:].T, out=across[:, split:])
    _fill_inverse_root(matrix[half:, half:] - across @ across.T, last)
    inner = np.empty_like(below)
    np.matmul(across, first[:, :split], out=inner[:, :split])
    np.matmul(across[:, split:], first[split:, split:], out=inner[:, split:])
    np.negative(inner, out=inner)
    split = len(last) // 2
    np.matmul(last[:split, :split], inner[:split], out=made[half : half + split, :half])
    np.matmul(last[split:], inner, out=made[half + split :, :half])
