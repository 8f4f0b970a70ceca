"""Where an opening lies: its shift from the known domains, found class by class.

The shift is what remains when each class is compared with its own facts, so that neither the shares
of the classes in a stream nor their order move it.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .basis import Basis

SHARPNESS: Final = 8.0
"""Logits per unit of a head's score, which is near 1 for a confident answer.  Fitted to held-out
facts it would be 11 to 24 on three samples of the same domain; off the domain, less does better.
Chosen on the development streams of docs/explanation/adaptation.md, like all below."""

PSEUDO_SHARPNESS: Final = 16.0
"""Logits per unit of score, of the labels of pseudo-facts: labels less sure than the facts' would
only shrink the scores."""

BALANCE_ROUNDS: Final = 5
"""Rounds of matching the shares of the labels.  Chosen by hand; effect not measured."""

ROUNDS: Final = 6
"""Rounds of assigning samples to classes and shifting."""

CLASS_SAMPLES: Final = 20
"""Samples of a class that count half: a class mean of few is noise."""

SHIFT_DOUBT: Final = 8.0
"""Squared distance of a fact from its class mean, over the number of samples, times this: a squared
shift as large is half believed."""

SURE: Final = 0.5
"""Probability from which on a sample shows that its class is in the stream."""

SURE_SAMPLES_MIN: Final = 128
"""Samples from which on a stream may prove to show few classes: of fewer, chance explains it."""

SURE_RATIO: Final = 0.7
"""Mean distance of samples from their classes, relative to that with all classes in the stream,
below which few classes explain it better: streams of one class have 0.4 to 0.7 and others more
than 0.75, from 128 samples on."""

SURE_MISFIT_MIN: Final = 0.42
"""Mean squared distance of samples from few classes, in the classes' deviations, for a direction,
from which on these explain the stream.  A known class has 0.52 to 1.04 and a class of another
domain 0.58 to 1.3; sketches, with photographs known, collapse into one class at 0.24 to 0.36:
samples so alike say nothing about how many classes there are."""

SURE_SPREAD_MAX: Final = 1.9
"""Variance of a stream in the directions that separate the classes, relative to the others, in the
classes' deviations, up to which it may show few classes.  With photographs known (features without
spread), streams of one class have 0.9 to 2.9, one of nine 4.0, and all others 3.2 or more; through
the default encoder, scikit-learn's digits with MNIST known have 1.4 to 2.0 in streams of one class,
1.8 to 2.3 of two and 2.1 to 2.5 of all ten, which a bound of 3 took for a single class.  To miss
one class costs a few points, to see one in ten costs nine answers of ten."""

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Shift:
    """The shift of an opening from the known domains.

    inputs: float64 [directions]; scores: [labels], in the heads' scores.  strength: share of it
    that is applied, from 0 to 1.
    """

    inputs: Doubles = field(repr=False)
    scores: Doubles = field(repr=False)
    strength: float


@dataclass(frozen=True, slots=True, eq=False)
class CentredSamples:
    """Samples about the centre of their classes.

    assigned: float64 [n, labels], probabilities of the samples' classes.  misfit: their mean
    squared distance from these, in the classes' deviations.
    """

    shift: Shift
    assigned: Doubles = field(repr=False)
    misfit: float


def find_shift(basis: Basis, inputs: Doubles, scores: Doubles) -> CentredSamples:
    """Find the shift of projected samples, inputs [n, directions] and scores [n, labels].

    All classes of the known domains are taken to be in the stream, unless few classes explain it
    far better (`SURE_RATIO`): a class that no sample surely belongs to then has no say.
    """
    zero = np.zeros(basis.directions), np.zeros(len(basis.labels))
    every = _rounds(basis, inputs, scores, zero)
    if len(scores) < SURE_SAMPLES_MIN or _spread(basis, inputs) > SURE_SPREAD_MAX:
        return every
    mean = (
        inputs.mean(axis=0) - basis.shares @ basis.class_means,
        scores.mean(axis=0) - basis.shares @ basis.class_scores,
    )
    few = [_rounds(basis, inputs, scores, start, SURE) for start in (zero, mean)]
    best = min(few, key=lambda one: one.misfit)
    far = best.misfit >= SURE_MISFIT_MIN * basis.directions
    return best if far and best.misfit < SURE_RATIO * every.misfit else every


def _rounds(
    basis: Basis,
    inputs: Doubles,
    scores: Doubles,
    start: tuple[Doubles, Doubles],
    sure: float = 0.0,
) -> CentredSamples:
    """Alternate between assigning samples to classes and shifting (CAFA, Jung et al. 2023, sections
    3.2 and 3.3, in closed form and for means alone).

    start: the first shift, in inputs and scores.  sure: least probability that counts for the
    weight of a class.  Heads assign the samples.
    """
    shift, moved = start
    assigned = np.zeros_like(scores)
    for _ in range(ROUNDS):
        strength = _believed(basis, shift, len(scores)) if shift.any() else 0.0
        known = basis.head_scores(scores, strength * moved, strength)
        assigned = softmax(SHARPNESS * known)
        counts = assigned.sum(axis=0)
        shown = (assigned * (assigned >= sure)).sum(axis=0) + 1e-6
        votes = shown / (shown + CLASS_SAMPLES)
        votes /= votes.sum()
        per_class = assigned.T / (counts[:, None] + 1e-9)
        shift = votes @ (per_class @ inputs - basis.class_means)
        moved = votes @ (per_class @ scores - basis.class_scores)
    strength = _believed(basis, shift, len(scores))
    misfit = _misfit(basis, inputs - shift, assigned)
    return CentredSamples(Shift(shift, moved, strength), assigned, misfit)


def _believed(basis: Basis, shift: Doubles, count: int) -> float:
    """Return the share of a measured shift that is applied (Efron & Morris 1973): less for a small
    one of few samples, and, where several domains are known, for one that does not exceed the
    distances of these from each other."""
    squared = float(np.square(shift).sum())
    doubt = SHIFT_DOUBT * basis.within / count
    return squared / (squared + doubt + 1e-9) * squared / (squared + basis.distance + 1e-9)


def _spread(basis: Basis, inputs: Doubles) -> float:
    """Return the mean variance of inputs in the directions of the class means, relative to that in
    the others, both in the classes' deviations; infinite where there are no others."""
    root = np.linalg.cholesky(basis.precision)
    means = (basis.class_means - basis.shares @ basis.class_means) @ root
    between = np.linalg.svd(means, full_matrices=False)[2][: len(means) - 1]
    scaled = inputs @ root
    scaled -= scaled.mean(axis=0)
    inside, total = np.square(scaled @ between.T).sum(), np.square(scaled).sum()
    others = scaled.shape[1] - len(between)
    outside = (total - inside) / others if others > 0 else 0.0
    return float(inside / len(between) / outside) if outside > 0 else np.inf


def _misfit(basis: Basis, inputs: Doubles, assigned: Doubles) -> float:
    """Return the mean squared distance of centred inputs from the means of their classes, in the
    classes' deviations."""
    scaled, means = inputs @ basis.precision, basis.class_means
    distances = np.vecdot(scaled, inputs)[:, None] - 2 * scaled @ means.T
    distances += np.vecdot(means @ basis.precision, means)
    return float((assigned * distances).sum() / len(assigned))


def softmax(logits: Doubles) -> Doubles:
    """Return probabilities float64 [..., labels]."""
    above = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(above / above.sum(axis=-1, keepdims=True), np.float64)


def balance(scores: Doubles, shares: Doubles) -> Doubles:
    """Return what to add to scores [n, labels] so that the labels' shares stay as varied as these
    [labels]: nothing where they are, else what makes them equal."""
    added = np.zeros(len(shares))
    for _ in range(BALANCE_ROUNDS):
        found = softmax(PSEUDO_SHARPNESS * (scores + added)).mean(axis=0)
        if not added.any() and _entropy(found) >= _entropy(shares):
            break
        added += np.log((shares + 1e-6) / (found + 1e-6)) / PSEUDO_SHARPNESS
    return added


def _entropy(shares: Doubles) -> float:
    return float(-(shares * np.log(shares + 1e-9)).sum())
