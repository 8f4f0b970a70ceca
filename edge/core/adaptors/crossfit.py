"""Cross-validation of a head in closed form: each fold is held out once, for one solve."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..facts import FactBatch, select_rows
from .adaptor import Adaptor
from .head import Floats, HeadTrainingSet, Transform, solve_head
from .kernel import KIND, solve_kernel
from .standardisation import Standardisation
from .weighting import PENALTY_MIN

LACKED: Final = 1.0
"""The unit of scores, which are near 1 for a confident answer and near 0 for the others."""


def cross_scores(
    transform: Transform,
    own: FactBatch,
    others: FactBatch,
    standard: Standardisation,
    fold: NDArray[np.intp],
) -> tuple[tuple[str, ...], Floats]:
    """Return labels, and scores float32 [own, labels]: each fact's from a head solved without its
    fold.

    fold: the fold of each own fact; facts of fold -1 are never held out and score as fitted.  Every
    label must be in more than one fold, or in fold -1: a head has no column for an unseen label.

    With A the inverse of kernel plus penalty, the held-out errors of a fold are inverse(A of the
    fold) (A targets) (Golub, Heath & Wahba 1979, extended to blocks).  A kernel, and a head with
    more facts than columns, is solved once per fold instead.  Standardisation uses the features of
    held-out facts, but never their labels.  Cost: O(n^3) for n facts.
    """
    if transform.blueprint.kind == KIND:
        return fold_scores(own, fold, lambda rows: solve_kernel(transform, rows))
    if len(own) > transform.out:
        return fold_scores(own, fold, lambda rows: solve_head(transform, rows, others, standard))
    training_set = HeadTrainingSet(transform, own, others, standard)
    inputs, targets = training_set.all_rows()
    gram = inputs @ inputs.T
    penalty = training_set.ridge * float(np.trace(gram, dtype=np.float64)) + PENALTY_MIN
    gram.flat[:: len(gram) + 1] += penalty
    inverse = np.linalg.inv(gram)
    solved = inverse @ targets
    errors = np.zeros((len(own), len(training_set.labels)), np.float32)
    for number in range(int(fold.max()) + 1):
        at = np.flatnonzero(fold == number)
        errors[at] = np.linalg.solve(inverse[np.ix_(at, at)], solved[at])
    kept = np.flatnonzero(fold < 0)
    errors[kept] = penalty * solved[kept]
    scores = (targets[: len(own)] - errors) / np.sqrt(training_set.own_weights)[:, None]
    return training_set.labels, np.asarray(scores + training_set.level, np.float32)


def fold_scores(
    own: FactBatch, fold: NDArray[np.intp], solve: Callable[[FactBatch], Adaptor]
) -> tuple[tuple[str, ...], Floats]:
    """Return labels and scores as `cross_scores` does, for any adaptor: solve once without each
    fold, and once with all facts for fold -1.

    Where adaptors know different labels, as a head and a kernel may, a label that one lacks scores
    `LACKED` less than its least score.
    """
    fitted = []
    for number in np.unique(fold):
        at = np.flatnonzero(fold == number)
        rows = own if number < 0 else select_rows(own, np.flatnonzero(fold != number))
        fitted.append((at, solve(rows)))
    labels = tuple(sorted({label for _, one in fitted for label in one.labels}))
    scores = np.zeros((len(own), len(labels)), np.float32)
    for at, one in fitted:
        given = one.answer(own.features[at])
        scores[at] = given.min(axis=1, keepdims=True) - np.float32(LACKED)
        columns = np.array([labels.index(label) for label in one.labels])
        scores[np.ix_(at, columns)] = given
    return labels, scores
