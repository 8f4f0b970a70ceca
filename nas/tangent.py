"""The tangent proxy: the leave-one-out error of ridge regression with the kernel of an adaptor.

A network with random weights has a kernel (the dual of its activation: Daniely, Frostig & Singer
2016, section 4), and so has a network trained by small steps (the neural tangent kernel: Jacot,
Gabriel & Hongler 2018).  The leave-one-out errors of kernel ridge regression have a closed form
(Allen 1974).  So no network is built or trained: a blueprint is a formula on small matrices of
products between facts, and all blueprints share a few of them.

A layer of w units is sampled as w Gaussian directions of its kernel, the same for every blueprint,
so that narrow layers lose accuracy as they would, and comparisons are paired.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .blueprint import Blueprint
from .duals import dual, normalised, root
from .search_kinds import SEARCH_KINDS
from .sketch import TaskSketch, sample
from .smoothing import smooth

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

FACTS: Final = (96, 48)
"""Facts of the domain and of the others: 160 and 80 gain 0.005 in Kendall's tau at three times the
cost (docs/decisions/0006)."""
DRAWS: Final = 2
"""Draws of facts and of directions that are scored: of one, two and three, chosen on seven
development tasks (docs/decisions/0022)."""
RIDGE: Final = 0.3
"""Penalty relative to the mean energy of a fact: that of the heads."""
INVERSE_TEMPERATURE: Final = 8.0
"""Logits per unit of a score, which is near 1 for a confident prediction.  Chosen by hand; effect
not measured."""

SHARPNESSES: Final = (2.0, 4.0, 8.0, 16.0, 32.0)
"""Candidate logits per unit of a score for the probabilities of labels: the middle ones of
edge.core.adaptors.losses, in larger steps.  Chosen by hand; effect not measured."""

# Widest layer of the space: random features of 4,096 columns.
_WIDTH_MAX: Final = 4_096


def score(blueprints: Sequence[Blueprint], sketch: TaskSketch, seed: int) -> Doubles:
    """Score blueprints by minus the leave-one-out cross-entropy of facts of the domain: float64
    [n].

    Uses at most FACTS of the domain and of the others, labels included.  Cost: about ten products
    and one inverse of matrices of that size per blueprint.
    """
    return measure(blueprints, sketch, seed)[0]


def measure(blueprints: Sequence[Blueprint], sketch: TaskSketch, seed: int) -> Doubles:
    """Measure the leave-one-out predictions of blueprints in three ways: float64 [3, n], as
    `LeaveOneOutScorer.measure` returns them.  Facts and cost as for `score`."""
    few = sample(sketch, *FACTS, seed)
    kernels, scorer = TangentKernels(few, seed), LeaveOneOutScorer(few)
    return np.array([scorer.measure(kernels.of(blueprint)) for blueprint in blueprints]).T


def score_smoothed(
    blueprints: Sequence[Blueprint], sketch: TaskSketch, seed: int
) -> tuple[Doubles, Doubles]:
    """Return the expected rank of blueprints, 0 to 1, and its standard deviation: two float64 [n].

    The mean rank by three measures in DRAWS draws of facts and directions, smoothed over designs.
    A measure alone misranks some kinds: the cross-entropy those of high variance, the cosine small
    ones.  Cost: DRAWS times that of `score`, and one inverse of a matrix [n, n].
    """
    draws = [measure(blueprints, sketch, DRAWS * seed + draw) for draw in range(DRAWS)]
    ranks = [rank_scores(one) for one in np.mean(draws, axis=0)]
    return smooth(blueprints, len(sketch.spans), np.mean(ranks, axis=0))


def rank_scores(scores: Doubles) -> Doubles:
    """Return the ranks of scores [n] from 0 to 1.  Ties share a rank, and NaN ranks last."""
    known = np.nan_to_num(scores, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    _, places, counts = np.unique(known, return_inverse=True, return_counts=True)
    middles = np.cumsum(counts) - (counts + 1) / 2
    return np.asarray(middles[places] / max(1, len(scores) - 1))


class TangentKernels:
    """Kernels of blueprints on the facts of a sketch, from one product matrix per tap.

    Consecutive blueprints with the same taps share their intermediate results.

    plain: kernel of the columns read.
    """

    def __init__(self, sketch: TaskSketch, seed: int) -> None:
        self._products = [
            sketch.read((tap,)) @ sketch.read((tap,)).T for tap in range(len(sketch.spans))
        ]
        self._columns = sketch.shape.columns
        self._own = sketch.own
        count = len(sketch.targets)
        random = np.random.default_rng(seed)
        self._directions = random.standard_normal((count, _WIDTH_MAX), np.float32)
        self._samples: dict[int, Floats] = {}
        self._taps: tuple[int, ...] = ()
        self.plain = self._products[0]
        self._duals: dict[str, tuple[Floats, Floats]] = {}
        self._roots: dict[str, Floats] = {}
        self._tap_roots: dict[tuple[int, str], Floats] = {}

    def of(self, blueprint: Blueprint) -> Floats:
        """Return the kernel float32 [n, n] of a blueprint after training, with a mean diagonal of
        1."""
        if blueprint.taps != self._taps:
            self._taps, self._duals, self._roots = blueprint.taps, {}, {}
            self.plain = normalised(np.sum([self._products[tap] for tap in blueprint.taps], axis=0))
        return SEARCH_KINDS[blueprint.kind].kernel(blueprint, self)

    def gaussian(self) -> Floats:
        """Return the Gaussian kernel of the domain's own facts, 0 between own and other facts."""
        lengths = np.diag(self.plain)
        distances = np.maximum(lengths[:, None] + lengths - 2 * self.plain, np.float32(0))
        median = np.maximum(np.median(distances[self._own, :][:, self._own]), np.float32(1e-12))
        same = np.equal.outer(self._own, self._own)
        return np.asarray(np.where(same, np.exp(-distances / median), np.float32(0)))

    def even_taps(self) -> Floats:
        """Return the kernel of the columns read, with the same energy per column of each tap."""
        parts = [self._products[t] / np.float32(self._columns[t]) for t in self._taps]
        return normalised(np.sum(parts, axis=0))

    def dual(self, activation: str) -> tuple[Floats, Floats]:
        """Return the kernels of an activation's values and slopes on the columns read."""
        if activation not in self._duals:
            self._duals[activation] = dual(self.plain, activation)
        return self._duals[activation]

    def random_features(self, activation: str, width: int) -> Floats:
        """Return the kernel of `width` random features with an activation, on the columns read."""
        if activation not in self._roots:
            self._roots[activation] = root(self.dual(activation)[0])
        return self.sampled(self._roots[activation], width)

    def tap_features(self, activation: str, width: int) -> list[Floats]:
        """Return the kernel of `width` random features of each tap read, by itself."""
        for tap in self._taps:
            if (tap, activation) not in self._tap_roots:
                value = dual(normalised(self._products[tap]), activation)[0]
                self._tap_roots[tap, activation] = root(value)
        return [self.sampled(self._tap_roots[tap, activation], width) for tap in self._taps]

    def same_choice(self, count: int) -> Floats:
        """Return 1 where two facts match the same of `count` random directions best, else 0."""
        if "none" not in self._roots:
            self._roots["none"] = root(self.dual("none")[0])
        chosen = (self._roots["none"] @ self._directions[:, :count]).argmax(axis=1)
        return np.equal.outer(chosen, chosen).astype(np.float32)

    def sampled(self, kernel_root: Floats, width: int) -> Floats:
        """Return the kernel of `width` random features, given a root of the kernel in the limit."""
        if width not in self._samples:
            directions = self._directions[:, :width]
            self._samples[width] = directions @ directions.T / np.float32(width)
        return np.asarray(kernel_root @ self._samples[width] @ kernel_root.T)


class LeaveOneOutScorer:
    """Scores kernels by leave-one-out ridge regression on the facts of a sketch, own first."""

    def __init__(self, sketch: TaskSketch) -> None:
        self._own = int(sketch.own.sum())
        self._targets = sketch.targets[: self._own]
        weights = np.where(sketch.own, np.float32(1), np.float32(sketch.support))
        self._energy = weights.sum()
        self._share = weights / self._energy
        self._roots = np.sqrt(weights)
        one_hot = np.eye(sketch.shape.classes, dtype=np.float32)[sketch.targets]
        self._targets_centred = one_hot - self._share @ one_hot

    def measure(self, kernel: Floats) -> tuple[float, float, float]:
        """Return three measures of the leave-one-out predictions of the domain's facts, higher is
        better.

        Minus their mean cross-entropy.  The cosine between predictions and labels, both centred
        (Cortes, Mohri & Rostamizadeh 2012, definition 4, for predictions in place of kernels),
        which the scale of the predictions does not change.  The mean probability of the labels at
        the sharpness of least cross-entropy: the accuracy to expect, see
        `edge.core.adaptors.is_better`.
        """
        scores = self._left_out(kernel)
        losses = self._cross_entropies(scores)
        means = losses.mean(axis=1)
        likely = np.exp(-losses[means.argmin()]).mean()
        plain = means[SHARPNESSES.index(INVERSE_TEMPERATURE)]
        return -float(plain), self._align(scores), float(likely)

    def _cross_entropies(self, scores: Floats) -> Floats:
        """Return the cross-entropies at each sharpness: [sharpnesses, facts]."""
        scores = scores - scores.max(axis=1, keepdims=True)
        logits = scores * np.array(SHARPNESSES, np.float32)[:, None, None]
        correct = logits[:, np.arange(len(scores)), self._targets]
        return np.asarray(np.log(np.exp(logits).sum(axis=2)) - correct)

    def _align(self, scores: Floats) -> float:
        apart = scores - scores.mean(axis=1, keepdims=True)
        labels = np.eye(scores.shape[1])[self._targets] - 1 / scores.shape[1]
        lengths = np.linalg.norm(apart) * np.linalg.norm(labels)
        return float((apart * labels).sum() / max(lengths, 1e-12))

    def _left_out(self, kernel: Floats) -> Floats:
        """Return the scores of each own fact by the ridge regression without it: [own, classes].

        The facts of other domains are eliminated first, since they are never left out.
        """
        own, roots = self._own, self._roots
        mean = kernel @ self._share
        centred = kernel - mean[:, None] - mean[None] + mean @ self._share
        centred *= roots[:, None] * roots
        centred.flat[:: len(kernel) + 1] += np.float32(
            RIDGE * np.trace(centred) / self._energy + 1e-6
        )
        weighted = self._targets_centred * roots[:, None]
        across = np.concatenate([centred[own:, :own], weighted[own:]], axis=1)
        across = centred[:own, own:] @ np.linalg.solve(centred[own:, own:], across)
        inverse = np.linalg.inv(centred[:own, :own] - across[:, :own])
        errors = inverse @ (weighted[:own] - across[:, own:]) / np.diag(inverse)[:, None]
        return np.asarray(self._targets_centred[:own] - errors)
