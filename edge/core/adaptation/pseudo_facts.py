"""The head of a domain with few labels, solved from its facts and its unlabelled samples.

Self-training in closed form (Lee 2013): the head of the facts answers the unlabelled samples, and
these answers take part in the same ridge regression as facts of a lower weight.  What unlabelled
samples look like so shapes the head, without a label.  Measured: docs/explanation/answers.md.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..adaptors import AdaptorRecord, FittedHead, Spans, is_better
from ..adaptors.adaptor import head_training_set
from ..adaptors.losses import grade_scores
from ..adaptors.principal import principal_directions
from ..adaptors.weighting import hash_order
from ..facts import FactBatch
from .centring import PSEUDO_SHARPNESS, softmax
from .ridge import RidgeSums

WEIGHT: Final = 0.3
"""Weight of an unlabelled sample relative to a fact.  Of 0.1, 0.3 and 1, on art, CIFAR-10 and
digits, all gained within 0.5 points of each other."""

DIRECTIONS_MAX: Final = 512
"""Principal directions that are learned in.  With 256, sketches lost half a point on PACS."""

SUBSPACE_ROUNDS: Final = 1
"""Rounds of subspace iteration: with so many directions, one finds all that count."""

FOLDS: Final = 5
"""Parts of the facts, each left out once.  Chosen by hand."""

LABELS_MIN: Final = 2
"""Labels without which there is nothing to tell apart."""

Doubles = NDArray[np.float64]


def learn_unlabelled(
    own: FactBatch,
    others: FactBatch,
    rows: NDArray[np.uint8],
    spans: Spans,
    record: AdaptorRecord | None = None,
) -> FittedHead | None:
    """Return the head of a domain's facts and unlabelled samples; None where it is worse than the
    head of the facts alone, on facts left out.

    own, others, record: as in `fit_adaptor`.  rows: uint8 [n, width], at least one, in an order
    that does not count.  The result follows from the sets of facts and samples.  A head that
    unlabelled samples help was measured to be the rule, so that left-out facts must speak against
    it.  Cost: the principal directions of all rows, a sixth of a second with 1,900 rows of 2,064
    columns on one core, and twelve solutions of a system of `DIRECTIONS_MAX` equations.
    """
    training_set = head_training_set(own, others, spans, record)
    labels = training_set.labels
    if len(labels) < LABELS_MIN:
        return None
    weights = training_set.row_weights
    roots = np.sqrt(weights)[:, None]
    inputs, targets = training_set.all_rows()
    facts = inputs / roots
    samples = training_set.transform(rows) - training_set.centre
    directions = principal_directions(
        np.concatenate([facts, samples]), DIRECTIONS_MAX, SUBSPACE_ROUNDS
    )
    known = (facts @ directions).astype(np.float64)
    pseudo = PseudoRidge(
        RidgeSums.of(known, (targets / roots).astype(np.float64), weights.astype(np.float64)),
        (samples @ directions).astype(np.float64),
        training_set.level.astype(np.float64),
        training_set.penalty,
    )
    if _is_worse(pseudo, own, (known, targets / roots, weights), labels):
        return None
    solved, intercept = pseudo.solve(pseudo.sums)
    made = (directions @ solved).astype(np.float32)
    bias = (training_set.level + intercept - training_set.centre @ made).astype(np.float32)
    return FittedHead(labels, training_set.transform, made, bias)


class PseudoRidge:
    """A ridge regression on facts, with the answers to unlabelled samples added.

    sums: of the facts, targets about `level`.  samples: float64 [n, inputs].  penalty: relative to
    the mean energy of a row.
    """

    def __init__(self, sums: RidgeSums, samples: Doubles, level: Doubles, penalty: float) -> None:
        self.sums = sums
        self._samples, self._level, self._penalty = samples, level, penalty
        self._weights = np.full(len(samples), WEIGHT)

    def solve_facts(self, sums: RidgeSums) -> tuple[Doubles, Doubles]:
        """Return weights [inputs, labels] and intercepts [labels] without unlabelled samples."""
        return sums.solve(self._penalty * sums.energy)

    def solve(self, sums: RidgeSums) -> tuple[Doubles, Doubles]:
        """Return the same with the samples, as the solution without them answers these."""
        weights, intercept = self.solve_facts(sums)
        scores = self._samples @ weights + intercept + self._level
        answers = softmax(PSEUDO_SHARPNESS * scores) - self._level
        return self.solve_facts(sums + RidgeSums.of(self._samples, answers, self._weights))


def _is_worse(
    pseudo: PseudoRidge,
    own: FactBatch,
    facts: tuple[Doubles, NDArray[np.floating], NDArray[np.floating]],
    labels: tuple[str, ...],
) -> bool:
    """Return whether unlabelled samples make the answers to facts left out worse: fewer are right,
    and their loss is larger.  facts: inputs, targets and weights of all rows, own ones first."""
    inputs, targets, weights = facts
    folds = fold_facts(own)
    alone, both = np.zeros((len(own), len(labels))), np.zeros((len(own), len(labels)))
    for number in range(FOLDS):
        at = np.flatnonzero(folds == number)
        if not len(at):
            continue
        kept = pseudo.sums - RidgeSums.of(inputs[at], targets[at], weights[at])
        for scores, solve in ((alone, pseudo.solve_facts), (both, pseudo.solve)):
            solved, intercept = solve(kept)
            scores[at] = inputs[at] @ solved + intercept
    places = np.searchsorted(np.array(labels), np.array(own.labels))
    return is_better(grade_scores(alone, places), grade_scores(both, places), evidence=0.0)


def fold_facts(own: FactBatch) -> NDArray[np.intp]:
    """Return the fold of each fact, [n]: those of a label are dealt out in the order of the hashes
    of their ids."""
    folds, dealt = np.zeros(len(own), np.intp), dict.fromkeys(own.labels, 0)
    for row in hash_order(own.ids).tolist():
        label = own.labels[row]
        folds[row] = dealt[label] % FOLDS
        dealt[label] += 1
    return folds
