"""Adaptation of an opening, in closed form: a class-aware shift, and pseudo-facts in a ridge.

A pure function of the facts' sums and the opening's unlabelled samples.  Nothing is carried over
from an earlier solution, so that dropping the samples undoes it exactly.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .basis import Basis
from .ridge import RidgeSums

SHIFT_SAMPLES: Final = 16
"""Samples of an opening that weigh as much as no shift: a mean of few samples is noise.  Chosen on
the development streams of docs/explanation/adaptation.md, like all below."""

CLASS_SAMPLES: Final = 20
"""Samples of a class that count half: a class mean of few is noise."""

SHIFT_ROUNDS: Final = 5
"""Rounds of assigning samples to classes and shifting."""

RIDGE_PENALTY: Final = 0.3
"""Ridge penalty, relative to the mean energy of a row."""

PSEUDO_ROUNDS: Final = 3
"""Rounds of labelling pseudo-facts and solving."""

PSEUDO_SHARE: Final = 0.5
"""Share of each predicted class that become pseudo-facts: those answered most surely."""

PSEUDO_SAMPLES_MIN: Final = 16
"""Samples from which on there are pseudo-facts."""

DUPLICATE_SHARE: Final = 0.1
"""Squared distance of two samples, relative to that of a fact from its class mean, below which they
count as one: two facts of a class lie 20 times as far apart.  Chosen by hand."""

SOFTENING: Final = 0.5
"""Logits per calibrated logit: off its own domain, a head is less sure than on it."""

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Adaptation:
    """How an opening is answered: logits = sharpness * (scores + inputs @ weights + bias).

    shift: float64 [directions], of the opening's centre from that of the known domains.  weights:
    float32 [directions, labels] and bias: float32 [labels], added to the known heads' scores.
    strength: share of the measured shift that is applied, from 0 to 1.  count: samples adapted to.
    """

    shift: Doubles = field(repr=False)
    weights: NDArray[np.float32] = field(repr=False)
    bias: NDArray[np.float32] = field(repr=False)
    sharpness: float
    strength: float
    count: int

    def as_map(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what turns `Basis.project`ed samples into logits: a matrix float32 [directions +
        labels, labels] and a constant [labels]."""
        scale, labels = np.float32(self.sharpness), self.weights.shape[1]
        both = np.concatenate([self.weights, np.eye(labels, dtype=np.float32)])
        return both * scale, self.bias * scale

    def logits(self, projected: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return logits float32 [..., labels] of `Basis.project`ed samples."""
        weights, bias = self.as_map()
        return np.asarray(projected @ weights + bias, np.float32)


def unadapted(basis: Basis) -> Adaptation:
    """Return the adaptation to no samples: the known heads answer."""
    return Adaptation(
        shift=np.zeros(basis.directions),
        weights=np.zeros((basis.directions, len(basis.labels)), np.float32),
        bias=basis.bias.astype(np.float32),
        sharpness=SOFTENING * basis.sharpness,
        strength=0.0,
        count=0,
    )


def adapt(basis: Basis, rows: NDArray[np.uint8]) -> Adaptation:
    """Adapt to an opening's samples uint8 [n, width].  Cost: one projection per sample, then as
    `adapt_projected`."""
    return adapt_projected(basis, basis.project(rows))


def adapt_projected(basis: Basis, projected: NDArray[np.float32]) -> Adaptation:
    """Adapt to an opening's `Basis.project`ed samples, float32 [n, directions + labels].

    Cost: `PSEUDO_ROUNDS` solutions of a system of `directions` equations, about 10 ms in all with
    512 samples.
    """
    if not len(projected):
        return unadapted(basis)
    size = basis.directions
    inputs = projected[:, :size].astype(np.float64)
    scores = projected[:, size:].astype(np.float64)
    weights = distinct_weights(projected[:, :size], DUPLICATE_SHARE * basis.within)
    shift, score_shift, strength = _balanced_shift(basis, inputs, scores, weights)
    bias = basis.bias + strength * (basis.centred_bias - basis.bias) - score_shift
    learned = np.zeros((size, len(basis.labels)))
    if weights.sum() >= PSEUDO_SAMPLES_MIN:
        learned, more = _pseudo_ridge(basis, inputs - shift, scores + bias, weights)
        bias = bias + more - shift @ learned
    return Adaptation(
        shift=shift,
        weights=learned.astype(np.float32),
        bias=bias.astype(np.float32),
        sharpness=SOFTENING * basis.sharpness,
        strength=strength,
        count=len(projected),
    )


def distinct_weights(inputs: NDArray[np.float32], radius: float) -> Doubles:
    """Return weights float64 [n] of samples [n, directions]: 1 for a sample that no other is near,
    1/m for one of m that lie within a squared distance of each other.

    So what a still camera repeats counts once.  Cost: the inner products of all pairs.
    """
    lengths = np.vecdot(inputs, inputs)
    squared = lengths[:, None] + lengths - 2 * (inputs @ inputs.T)
    return np.asarray(1 / np.maximum(1, (squared <= radius).sum(axis=1)), np.float64)


def _balanced_shift(
    basis: Basis, inputs: Doubles, scores: Doubles, given: Doubles
) -> tuple[Doubles, Doubles, float]:
    """Return the class-balanced shift of samples, in directions and in scores, and its strength.

    Each class shifts by the difference of the mean of the samples assigned to it from that of its
    facts; the classes' shifts are averaged, those of few samples with less weight (CAFA, Jung et
    al. 2023, sections 3.2 and 3.3, in closed form and for means alone).  So neither the shares of
    the classes in the stream nor their order moves the centre.  Where several domains are known,
    the shift is shrunk by how far they lie apart (Efron & Morris 1973).
    """
    share = given.sum() / (given.sum() + SHIFT_SAMPLES)
    bias = basis.bias + share * (basis.centred_bias - basis.bias)
    sharpness = SOFTENING * basis.sharpness
    moved = np.zeros(len(bias))
    for _ in range(SHIFT_ROUNDS):
        assigned = given[:, None] * softmax(sharpness * (scores - moved + bias))
        counts = assigned.sum(axis=0)
        weights = counts / (counts + CLASS_SAMPLES)
        weights *= share / weights.sum()
        means = assigned.T @ scores / (counts[:, None] + 1e-9)
        moved = weights @ (means - basis.class_scores)
    means = assigned.T @ inputs / (counts[:, None] + 1e-9)
    shift = weights @ (means - basis.class_means)
    if basis.distance:
        squared = float(np.square(shift / share).sum())
        shrink = squared / (squared + basis.distance)
        return shrink * shift, shrink * moved, shrink * share
    return shift, moved, share


def _pseudo_ridge(
    basis: Basis, inputs: Doubles, scores: Doubles, given: Doubles
) -> tuple[Doubles, Doubles]:
    """Return what pseudo-facts change in a ridge regression on the facts: weights and intercepts.

    The surest samples of each predicted class take part as facts, with soft labels (self-training;
    Lee 2013).  What a ridge with them answers beyond the same ridge without is added to `scores`,
    which answer where nothing is learned.
    """
    sharpness = SOFTENING * basis.sharpness
    before, level = basis.sums.solve(RIDGE_PENALTY)
    answers = softmax(sharpness * scores)
    weights, more = np.zeros_like(before), np.zeros_like(level)
    for _ in range(PSEUDO_ROUNDS):
        kept = _surest(answers)
        sums = basis.sums + RidgeSums.of(inputs[kept], answers[kept], given[kept])
        after, intercept = sums.solve(RIDGE_PENALTY)
        weights, more = after - before, intercept - level
        answers = softmax(sharpness * (scores + inputs @ weights + more))
    return weights, more


def _surest(answers: Doubles) -> NDArray[np.intp]:
    """Return the rows of the surest answers of each predicted class, `PSEUDO_SHARE` of it."""
    predicted, sure = answers.argmax(axis=1), answers.max(axis=1)
    kept = []
    for label in np.unique(predicted):
        rows = np.flatnonzero(predicted == label)
        rows = rows[np.argsort(-sure[rows], kind="stable")]
        kept.append(rows[: int(np.ceil(PSEUDO_SHARE * len(rows)))])
    return np.concatenate(kept)


def softmax(logits: Doubles) -> Doubles:
    """Return probabilities float64 [..., labels]."""
    above = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(above / above.sum(axis=-1, keepdims=True), np.float64)
