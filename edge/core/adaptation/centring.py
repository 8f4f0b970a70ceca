"""Where an opening lies: its shift from the known domains, found class by class.

The shift is what remains when each class is compared with its own facts, so that neither the shares
of the classes in a stream nor their order move it.
"""

from typing import Final

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from ..structs import FrozenStruct
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
"""Samples from which on a stream may prove to show one class: of fewer, chance explains it."""

SURE_RATIO: Final = 0.58
"""Mean distance of samples from one class, relative to that from all classes, below which one
explains the stream better.  The bounds are of the default encoder.  With photographs known, streams
of one class of paintings or cartoons have 0.31 to 0.57, twelve of fourteen; those of all classes
have 0.62 to 0.99 (sketches less, see the next bound), and digits of another origin 0.61 to 0.63."""

SURE_MISFIT_MIN: Final = 0.42
"""Mean squared distance of samples from one class, in the classes' deviations, for a direction,
from which on it explains the stream.  Streams of one class have 0.45 to 1.0; sketches, with
photographs known, collapse into one class at 0.26 to 0.30: samples so alike say nothing about how
many classes there are."""

SURE_SHARE: Final = 0.94
"""Mean probability of that class from which on a stream shows no other: streams of one class have
0.947 to 0.99, and stretches of sketches that pass the bounds above 0.80 to 0.928."""

SURE_SPREAD_MAX: Final = 5.2
"""Variance of a stream in the directions that separate the classes, relative to the others, in the
classes' deviations, up to which it may show one class.  With photographs known, streams of one
class have 1.9 to 5.2, and those of all classes 5.2 to 10, sketches 3.3 to 4.4."""

UNSURE_SPREAD_MAX: Final = 2.4
"""The spread of `SURE_SPREAD_MAX`, over the largest share of a label in the known heads' answers,
up to which a stream may show one class although nothing proves it.  Half of the streams of one
class of pictures or digits are below, and of those of all classes one in a hundred: with a sensor's
changes digits have 2.6 and more, through another scanner 2.5, pictures 2.8."""

FACTS_A_DIRECTION: Final = 5
"""Facts for each direction in which the spread is measured.  With 10, 20 or 30 facts of each of
seven classes of pictures, all 128 directions give streams of one class a spread of 10, 6 and 3."""

RESIDUE_MIN: Final = 1e-6
"""Share of a direction outside those of the class means below which it says nothing of the others:
what rounding leaves."""

Doubles = NDArray[np.float64]


class Shift(FrozenStruct, frozen=True, eq=False):
    """The shift of an opening from the known domains.

    inputs: float64 [directions]; scores: [labels], in the heads' scores.  strength: share of it
    that is applied, from 0 to 1.
    """

    inputs: Doubles
    scores: Doubles
    strength: float


class CentredSamples(FrozenStruct, frozen=True, eq=False):
    """Samples about the centre of their classes.

    assigned: float64 [n, labels], probabilities of the samples' classes.  misfit: their mean
    squared distance from these, in the classes' deviations.  single: one class explains them far
    better than all.
    """

    shift: Shift
    assigned: Doubles
    misfit: float
    single: bool = False


def find_shift(basis: Basis, inputs: Doubles, scores: Doubles) -> CentredSamples:
    """Find the shift of projected samples, inputs [n, directions] and scores [n, labels].

    All classes of the known domains are taken to be in the stream, unless one explains it far
    better (`SURE_RATIO`): a class that no sample surely belongs to then has no say.
    """
    every = find_shift_of_all(basis, inputs, scores)
    if len(scores) < SURE_SAMPLES_MIN or _spread(basis, inputs) > SURE_SPREAD_MAX:
        return every
    mean = (
        inputs.mean(axis=0) - basis.shares @ basis.class_means,
        scores.mean(axis=0) - basis.shares @ basis.class_scores,
    )
    zero = np.zeros(basis.directions), np.zeros(len(basis.labels))
    found = [_rounds(basis, inputs, scores, start, SURE) for start in (zero, mean)]
    best = min(found, key=lambda one: one.misfit)
    far = best.misfit >= SURE_MISFIT_MIN * basis.directions
    alone = best.assigned.mean(axis=0).max() >= SURE_SHARE
    proved = far and alone and best.misfit < SURE_RATIO * every.misfit
    return replace(best, single=True) if proved else every


def find_shift_of_all(basis: Basis, inputs: Doubles, scores: Doubles) -> CentredSamples:
    """Find the shift of projected samples, as `find_shift` does, of all classes."""
    zero = np.zeros(basis.directions), np.zeros(len(basis.labels))
    return _rounds(basis, inputs, scores, zero)


def may_show_one_class(basis: Basis, inputs: Doubles, scores: Doubles) -> bool:
    """Return whether projected samples, as in `find_shift`, may all be of one class: they hardly
    differ in the directions that separate the classes, and the known heads answer most of them with
    one label.  Such answers alone prove nothing: an offset or an inverted sensor has them, too."""
    known = basis.head_scores(scores, np.zeros(len(basis.labels)), 0.0)
    largest = np.bincount(known.argmax(axis=1)).max() / len(scores)
    return bool(_spread(basis, inputs) <= UNSURE_SPREAD_MAX * largest)


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
    """Return the mean variance of inputs in the directions of the class means, relative to the
    median one in the others, both in the classes' deviations; infinite where there are no others.

    The median, since noise in columns that hardly vary within classes outweighs all others.  Of few
    facts only the strongest directions count: in the others their deviations are too small.
    """
    facts = round(float(basis.sums.gram[-1, -1]))
    most = max(2 * len(basis.labels), facts // FACTS_A_DIRECTION)
    # In their own order: which directions the root leaves to the median depends on it.
    strongest = np.sort(np.argsort(-basis.spread, kind="stable")[:most])
    covariance = np.linalg.inv(basis.precision)[np.ix_(strongest, strongest)]
    root = np.linalg.cholesky(np.linalg.inv(covariance))
    means = (basis.class_means - basis.shares @ basis.class_means)[:, strongest] @ root
    between = np.linalg.svd(means, full_matrices=False)[2][: len(means) - 1]
    scaled = inputs[:, strongest] @ root
    scaled -= scaled.mean(axis=0)
    along = scaled @ between.T
    left = 1 - np.square(between).sum(axis=0)
    counted = left > RESIDUE_MIN
    if scaled.shape[1] <= len(between) or not counted.any():
        return np.inf
    residue = np.square(scaled - along @ between).sum(axis=0)[counted] / left[counted]
    outside = float(np.median(residue))
    return float(np.square(along).sum(axis=0).mean() / outside) if outside > 0 else np.inf


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
