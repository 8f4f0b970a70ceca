"""The head of a domain with few labels, solved from its facts and its unlabelled samples.

Self-training in closed form (Lee 2013): the head of the facts answers the unlabelled samples, and
these answers take part in the same ridge regression as facts of a lower weight.  What unlabelled
samples look like so shapes the head, without a label.  Where facts are very few, a cluster of
samples that one label names answers for them, too.  Measured: docs/explanation/answers.md.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..adaptors import AdaptorRecord, FittedHead, Spans
from ..adaptors.adaptor import head_training_set
from ..adaptors.losses import EVIDENCE_MIN, grade_scores
from ..adaptors.principal import principal_directions
from ..facts import FactBatch
from ..structs import FrozenStruct
from .centring import PSEUDO_SHARPNESS, softmax
from .ridge import RidgeSums

WEIGHT: Final = 0.3
"""Weight of an unlabelled sample relative to a fact.  Of 0.1, 0.3 and 1, on art, CIFAR-10 and
digits, all gained within 0.5 points of each other."""

DIRECTIONS_MAX: Final = 512
"""Principal directions that are learned in.  With 256, sketches lost half a point on PACS."""

SUBSPACE_ROUNDS: Final = 1
"""Rounds of subspace iteration: with so many directions, one finds all that count."""

CLUSTER_SHARE: Final = 0.5
"""Say of the name of a sample's cluster, the rest is the head's.  Of 0.25, 0.5 and 0.75, on
paintings and cartoons of PACS with 7 to 35 named samples; the other domains confirm it."""

FOLDS: Final = 5
"""Parts of the facts, each left out once.  Chosen by hand."""

LABELS_MIN: Final = 2
"""Labels without which there is nothing to tell apart."""

UNNAMED: Final = -1
"""The label of a cluster without a name."""

Doubles = NDArray[np.float64]
Numbers = NDArray[np.intp]


class SampleClusters(FrozenStruct, frozen=True, eq=False):
    """The cluster of each sample [n] and of each own fact [facts]."""

    samples: Numbers
    facts: Numbers

    def names(self, labels: Numbers, kept: NDArray[np.bool_]) -> Numbers:
        """Return the label of each sample's cluster, [n]: that of all kept facts in it; UNNAMED
        without one, or with several.  labels, kept: of each own fact."""
        found = np.full(1 + max(self.samples.max(), self.facts.max()), UNNAMED, np.intp)
        for number in np.unique(self.facts[kept]):
            given = np.unique(labels[kept & (self.facts == number)])
            found[number] = given[0] if len(given) == 1 else UNNAMED
        return found[self.samples]


Group = Callable[[Doubles], SampleClusters]
"""Clusters samples by the probabilities of their labels, float64 [n, labels]."""


def learn_unlabelled(
    own: FactBatch,
    others: FactBatch,
    rows: NDArray[np.uint8],
    spans: Spans,
    record: AdaptorRecord | None = None,
    *,
    group: Group | None = None,
) -> FittedHead | None:
    """Return the head of a domain's facts and unlabelled samples; None where it is worse than the
    head of the facts alone, on facts left out.

    own, others, record: as in `fit_adaptor`.  rows: uint8 [n, width], at least one, in an order
    that does not count.  group: clusters them and the own facts, from the head's answers float64
    [n, labels]; a cluster that one label names has half of the say in the answers to its samples.
    The result follows from the sets of facts and samples.  A head that unlabelled samples help was
    measured to be the rule, so that left-out facts must speak against it.  Cost: the principal
    directions of all rows, and twelve solutions of a system of `DIRECTIONS_MAX` equations: 2 to 7 s
    with 1,900 rows of 2,064 columns on one core of an overloaded machine.
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
    if group is not None:
        pseudo.use_clusters(group, np.searchsorted(np.array(labels), np.array(own.labels)))
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
        self._clusters: SampleClusters | None = None
        self._labels: Numbers = np.zeros(0, np.intp)

    def use_clusters(self, group: Group, labels: Numbers) -> None:
        """Let clusters of samples have a say.  labels: the places of the own facts' labels."""
        self._clusters, self._labels = group(self._answers(self.sums)), labels

    def solve_facts(self, sums: RidgeSums) -> tuple[Doubles, Doubles]:
        """Return weights [inputs, labels] and intercepts [labels] without unlabelled samples."""
        return sums.solve(self._penalty * sums.energy)

    def solve(
        self, sums: RidgeSums, kept: NDArray[np.bool_] | None = None
    ) -> tuple[Doubles, Doubles]:
        """Return the same with the samples, as the solution without them answers these.  kept:
        bool [facts], the own facts in the sums; all by default."""
        answers = self._answers(sums)
        if self._clusters is not None:
            all_kept = np.ones(len(self._labels), np.bool_)
            names = self._clusters.names(self._labels, all_kept if kept is None else kept)
            named = np.flatnonzero(names != UNNAMED)
            answers[named] *= 1 - CLUSTER_SHARE
            answers[named, names[named]] += CLUSTER_SHARE
        added = RidgeSums.of(self._samples, answers - self._level, self._weights)
        return self.solve_facts(sums + added)

    def _answers(self, sums: RidgeSums) -> Doubles:
        """Return the probabilities of labels that the facts give the samples, [n, labels]."""
        weights, intercept = self.solve_facts(sums)
        return softmax(PSEUDO_SHARPNESS * (self._samples @ weights + intercept + self._level))


def _is_worse(
    pseudo: PseudoRidge,
    own: FactBatch,
    facts: tuple[Doubles, NDArray[np.floating], NDArray[np.floating]],
    labels: tuple[str, ...],
) -> bool:
    """Return whether unlabelled samples make the answers to facts left out worse: fewer are right,
    or their loss is larger by a standard error.  Clusters are those of all facts, but a fact that
    is left out names none.  Facts of which none would stay are not left out.  facts: inputs,
    targets and weights of all rows, own ones first."""
    inputs, targets, weights = facts
    folds = fold_facts(own)
    alone, both = np.zeros((len(own), len(labels))), np.zeros((len(own), len(labels)))
    for number in range(FOLDS):
        at = np.flatnonzero(folds == number)
        if len(at) in {0, len(inputs)}:
            continue
        kept = pseudo.sums - RidgeSums.of(inputs[at], targets[at], weights[at])
        solutions = pseudo.solve_facts(kept), pseudo.solve(kept, folds != number)
        for scores, (solved, intercept) in zip((alone, both), solutions, strict=True):
            scores[at] = inputs[at] @ solved + intercept
    places = np.searchsorted(np.array(labels), np.array(own.labels))
    without, learned = grade_scores(alone, places), grade_scores(both, places)
    gaps = learned.loss - without.loss
    fewer = learned.correct.sum() < without.correct.sum()
    return bool(fewer or gaps.sum() > EVIDENCE_MIN * np.sqrt(np.square(gaps).sum()))


def fold_facts(own: FactBatch) -> NDArray[np.intp]:
    """Return the fold of each fact, [n]: those of a label are dealt out in the order of the hashes
    of their ids."""
    folds, dealt = np.zeros(len(own), np.intp), dict.fromkeys(own.labels, 0)
    for row in own.hash_order.tolist():
        label = own.labels[row]
        folds[row] = dealt[label] % FOLDS
        dealt[label] += 1
    return folds
