"""Held-out scores of a head in closed form: every fold left out once, for the price of one solve."""

import numpy as np
from numpy.typing import NDArray

from ..facts import Batch
from .head import PENALTY_MIN, Floats, blend, ridge
from .standard import Standard
from .transform import Transform


def cross_scores(
    transform: Transform,
    own: Batch,
    others: Batch,
    standard: Standard,
    fold: NDArray[np.intp],
) -> tuple[tuple[str, ...], Floats]:
    """Return labels, and the scores float32 [own, labels] each fact gets from a head that was
    solved without its fold.

    fold: number of each own fact; facts of fold -1 are never left out and score as fitted.  With A
    the inverse of kernel plus penalty, a fold's held-out errors are inverse(A of the fold) (A
    targets) (Golub, Heath & Wahba 1979, extended to blocks).  Standardisation sees the features of
    held-out facts, never their labels.  Cost: O(n^3), n facts.
    """
    labels, inputs, targets, _, level = blend(transform, own, others, standard)
    gram = inputs @ inputs.T
    penalty = ridge(own, others) * float(np.trace(gram, dtype=np.float64)) + PENALTY_MIN
    gram.flat[:: len(gram) + 1] += penalty
    inverse = np.linalg.inv(gram)
    solved = inverse @ targets
    errors = np.zeros((len(own), len(labels)), np.float32)
    for number in range(int(fold.max()) + 1):
        at = np.flatnonzero(fold == number)
        errors[at] = np.linalg.solve(inverse[np.ix_(at, at)], solved[at])
    kept = np.flatnonzero(fold < 0)
    errors[kept] = penalty * solved[kept]
    return labels, targets[: len(own)] - errors + level
