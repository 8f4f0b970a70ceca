"""Losses of held-out scores, and the test whether one model's are smaller than another's."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..structs import FrozenStruct

INVERSE_TEMPERATURES: Final = tuple(2.0 ** (power / 2) for power in range(-2, 13))
"""Candidate logits per unit of a score, from 0.5 to 64: kinds differ in the confidence of their
scores."""
EVIDENCE_MIN: Final = 1.0
"""Standard errors by which the expected right answers must be more: docs/decisions/0022."""
FLIPPED: Final = 1.0
"""The gain of a fact that goes from certainly wrong to certainly right: less is never evidence
(docs/decisions/0022)."""

ROUNDING: Final = 1e-6
"""Relative error allowed in a sum of 768 double-precision numbers; theirs is below 1e-12."""

Bools = NDArray[np.bool_]
Doubles = NDArray[np.float64]


class HoldoutScores(FrozenStruct, frozen=True, eq=False):
    """The results on held-out facts, each [held out].

    correct: bool.  loss: float64, the cross-entropy of the scores at the best temperature.  margin:
    float64, score of the label less the best score of the others.
    """

    correct: Bools
    loss: Doubles
    margin: Doubles

    @property
    def accuracy(self) -> float:
        """Share of correct predictions."""
        return float(self.correct.mean())

    @property
    def expected(self) -> float:
        """Share of correct predictions to expect: the mean probability given to the labels."""
        return float(np.exp(-self.loss).mean())

    def select(self, rows: Bools) -> "HoldoutScores":
        """Return the results on some of the facts: bool [held out]."""
        return HoldoutScores(self.correct[rows], self.loss[rows], self.margin[rows])


def is_better(
    one: HoldoutScores,
    other: HoldoutScores,
    evidence: float = EVIDENCE_MIN,
    weights: NDArray[np.floating] | None = None,
    *,
    least: float = FLIPPED,
) -> bool:
    """Return whether one is expected to answer more facts correctly: by more than `least` of them,
    and more than `evidence` standard errors.  weights: of the facts [held out], 1 each by default.

    A paired comparison of the probabilities that both give to the label of every fact: their sum is
    the number of right answers to expect, with less chance in it than the number counted, and
    bounded for every fact, while a few facts can decide the sum of cross-entropies.  McNemar's test
    uses only the facts that one of the two gets right.
    """
    counted = np.ones(len(one.loss)) if weights is None else weights
    gains = counted * (np.exp(-one.loss) - np.exp(-other.loss))
    return bool(gains.sum() > max(least, evidence * float(np.sqrt(np.square(gains).sum()))))


def can_be_better(other: HoldoutScores, weights: NDArray[np.floating] | None = None) -> bool:
    """Return whether any scores could be better, as `is_better` says: False where even certainty
    about every fact would not give `FLIPPED` more right answers."""
    counted = np.ones(len(other.loss)) if weights is None else weights
    missing = counted * (1 - np.exp(-other.loss))
    return bool(missing.sum() > (1 - ROUNDING) * FLIPPED)


def tempered_losses(scores: Doubles, targets: NDArray[np.int64]) -> Doubles:
    """Return the cross-entropies of scores [n, labels] at each temperature: [temperatures, n].

    targets: the columns of the true labels, [n].
    """
    return np.array([_cross_entropy(scores * sharp, targets) for sharp in INVERSE_TEMPERATURES])


def margins(scores: Doubles, targets: NDArray[np.int64]) -> Doubles:
    """Return the score of each true label less the best of the others: [n]."""
    places = np.arange(len(targets)), targets
    others = scores.copy()
    others[places] = -np.inf
    return np.asarray(scores[places] - others.max(axis=1))


def grade_scores(given: NDArray[np.floating], targets: NDArray[np.int64]) -> HoldoutScores:
    """Grade scores [n, labels], n >= 1, at the temperature that is best for all of them."""
    scores = np.asarray(given, np.float64)
    tried = tempered_losses(scores, targets)
    correct = scores.argmax(axis=1) == targets
    best = tried[tried.sum(axis=1).argmin()]
    return HoldoutScores(correct, best, margins(scores, targets))


def _cross_entropy(logits: Doubles, targets: NDArray[np.int64]) -> Doubles:
    logits = logits - logits.max(axis=1, keepdims=True)
    correct = logits[np.arange(len(logits)), targets]
    return np.asarray(np.log(np.exp(logits).sum(axis=1)) - correct)
