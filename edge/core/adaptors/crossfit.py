"""Held-out scores of a head in closed form: each fold left out once, at the price of one solve."""

import numpy as np
from numpy.typing import NDArray

from ..facts import Batch, take
from .head import Floats, Lessons
from .kernel import KIND, solve_kernel
from .standard import Standard
from .transform import Transform
from .weighing import PENALTY_MIN


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
    held-out facts, never their labels.  Cost: O(n^3), n facts; a kernel is solved once a fold.
    """
    if transform.blueprint.kind == KIND:
        return _cross_kernel(transform, own, fold)
    lessons = Lessons(transform, own, others, standard)
    inputs, targets = lessons.together()
    gram = inputs @ inputs.T
    penalty = lessons.ridge * float(np.trace(gram, dtype=np.float64)) + PENALTY_MIN
    gram.flat[:: len(gram) + 1] += penalty
    inverse = np.linalg.inv(gram)
    solved = inverse @ targets
    errors = np.zeros((len(own), len(lessons.labels)), np.float32)
    for number in range(int(fold.max()) + 1):
        at = np.flatnonzero(fold == number)
        errors[at] = np.linalg.solve(inverse[np.ix_(at, at)], solved[at])
    kept = np.flatnonzero(fold < 0)
    errors[kept] = penalty * solved[kept]
    return lessons.labels, targets[: len(own)] - errors + lessons.level


def _cross_kernel(
    transform: Transform, own: Batch, fold: NDArray[np.intp]
) -> tuple[tuple[str, ...], Floats]:
    fitted = solve_kernel(transform, own)
    scores = fitted.answer(own.features)
    for number in range(int(fold.max()) + 1):
        at = np.flatnonzero(fold == number)
        scores[at] = solve_kernel(transform, take(own, np.flatnonzero(fold != number))).answer(
            own.features[at]
        )
    return fitted.labels, scores
