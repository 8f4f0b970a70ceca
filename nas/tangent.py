"""The tangent proxy: the leave-one-out error of ridge regression with the kernel of an adaptor.

A network with random weights has a kernel (the dual of its activation: Daniely, Frostig & Singer
2016, section 4), and so has a network trained by small steps (the neural tangent kernel: Jacot,
Gabriel & Hongler 2018).  The leave-one-out errors of kernel ridge regression have a closed form
(Allen 1974).  So no network is built or trained: a blueprint is a formula on small matrices of
products between facts, and all blueprints share a few of them.

A layer of w units is sampled as w Gaussian directions of its kernel, the same for every blueprint,
so that narrow layers lose accuracy as they would, and comparisons are paired.
"""

from collections.abc import Callable, Sequence
from functools import cache
from math import factorial
from typing import Final

import numpy as np
from numpy.polynomial.hermite_e import hermegauss, hermeval
from numpy.typing import NDArray

from .blueprint import Blueprint
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

TRAINED: Final = {
    "linear": 0.2,
    "lowrank": 0.2,
    "sliced": 0.2,
    "bottleneck": 0.75,
    "fusion": 0.2,
}
"""Share of the tangent kernel by kind, which models how far a short training moves a network
(docs/decisions/0006)."""

_JITTER: Final = np.float32(1e-3)
# Hermite polynomials of an activation; the energy of the rest goes to the last term.  Chosen by
# hand; effect not measured.
_DEGREE: Final = 8
# Widest layer of the space: random features of 4,096 columns.
_WIDTH_MAX: Final = 4_096


def score(blueprints: Sequence[Blueprint], sketch: TaskSketch, seed: int) -> Doubles:
    """Score blueprints by minus the leave-one-out cross-entropy of facts of the domain: float64
    [n].

    Uses at most FACTS of the domain and of the others, labels included.  Cost: about ten products
    and one inverse of matrices of that size per blueprint.
    """
    return np.asarray(measure(blueprints, sketch, seed)[0], np.float64)


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
        self._plain = self._products[0]
        self._duals: dict[str, tuple[Floats, Floats]] = {}
        self._roots: dict[str, Floats] = {}

    def of(self, blueprint: Blueprint) -> Floats:
        """Return the kernel float32 [n, n] of a blueprint after training, with a mean diagonal of
        1."""
        if blueprint.taps != self._taps:
            self._taps, self._duals, self._roots = blueprint.taps, {}, {}
            self._plain = _normalised(
                np.sum([self._products[tap] for tap in blueprint.taps], axis=0)
            )
        if blueprint.kind == "none":
            return self._plain
        if blueprint.kind == "kernel":
            return self._gaussian(self._plain)
        if blueprint.kind == "random":
            return _normalised(self._random_features(blueprint.activation, blueprint.width))
        start, tangent = self._trained(blueprint)
        share = np.float32(TRAINED[blueprint.kind])
        return (1 - share) * _normalised(start) + share * _normalised(tangent)

    def _gaussian(self, plain: Floats) -> Floats:
        """Return the Gaussian kernel of the domain's own facts, 0 between own and other facts."""
        lengths = np.diag(plain)
        distances = np.maximum(lengths[:, None] + lengths - 2 * plain, np.float32(0))
        median = np.maximum(np.median(distances[self._own, :][:, self._own]), np.float32(1e-12))
        same = np.equal.outer(self._own, self._own)
        return np.asarray(np.where(same, np.exp(-distances / median), np.float32(0)))

    def _trained(self, blueprint: Blueprint) -> tuple[Floats, Floats]:
        """Return the kernel before training, and the tangent kernel."""
        plain, activation = self._plain, blueprint.activation
        if blueprint.kind == "linear":
            return self._random_features("none", blueprint.width), plain
        if blueprint.kind in {"lowrank", "sliced"}:
            return plain, blueprint.depth * self._random_features(activation, blueprint.rank)
        if blueprint.kind == "fusion":
            parts = [self._products[t] / np.float32(self._columns[t]) for t in blueprint.taps]
            even = _normalised(np.sum(parts, axis=0))
            value, slope = _dual(even, activation)
            return self._sampled(_root(value), blueprint.width), even * slope
        tangent = plain * self._dual(activation)[1]
        start = self._random_features(activation, blueprint.rank)
        for _ in range(blueprint.depth):
            value, slope = _dual(start, activation)
            tangent = (tangent + start) * slope
            start = self._sampled(_root(value), blueprint.width)
        return start, tangent

    def _dual(self, activation: str) -> tuple[Floats, Floats]:
        """Return the kernels of an activation's values and slopes on the columns read."""
        if activation not in self._duals:
            self._duals[activation] = _dual(self._plain, activation)
        return self._duals[activation]

    def _random_features(self, activation: str, width: int) -> Floats:
        """Return the kernel of `width` random features with an activation, on the columns read."""
        if activation not in self._roots:
            self._roots[activation] = _root(self._dual(activation)[0])
        return self._sampled(self._roots[activation], width)

    def _sampled(self, root: Floats, width: int) -> Floats:
        """Return the kernel of `width` random features, given a root of the kernel in the limit."""
        if width not in self._samples:
            directions = self._directions[:, :width]
            self._samples[width] = directions @ directions.T / np.float32(width)
        return np.asarray(root @ self._samples[width] @ root.T)


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


def _root(kernel: Floats) -> Floats:
    root = np.linalg.cholesky(kernel + _JITTER * np.eye(len(kernel), dtype=np.float32))
    return np.asarray(root, np.float32)


def _normalised(kernel: Floats) -> Floats:
    """Scale a kernel to a mean diagonal of 1."""
    mean = np.maximum(np.trace(kernel) / np.float32(len(kernel)), np.float32(1e-12))
    return np.asarray(kernel / mean)


def _dual(kernel: Floats, activation: str) -> tuple[Floats, Floats]:
    """Return the kernels of an activation's values and slopes for inputs with this kernel."""
    if activation == "none":
        return kernel, np.ones_like(kernel)
    lengths = np.sqrt(np.maximum(np.diag(kernel), np.float32(1e-12)))
    scale = np.outer(lengths, lengths)
    angle = np.clip(kernel / scale, np.float32(-1), np.float32(1))
    powers = _energies(activation)
    value, slope = np.full_like(kernel, powers[-1]), np.zeros_like(kernel)
    for energy in powers[-2::-1]:
        slope = np.asarray(slope * angle + value, np.float32)
        value = np.asarray(value * angle + energy, np.float32)
    return value * scale, slope


@cache
def _energies(activation: str) -> Floats:
    """Return the energy of an activation by Hermite polynomial; they sum to 1, with the rest in the
    last."""
    points, weights = hermegauss(80)
    values = _ACTIVATIONS[activation](points)
    weights = weights / weights.sum()
    energy = (weights * values * values).sum()
    parts = [
        (weights * values * hermeval(points, one)).sum() ** 2 / factorial(order)
        for order, one in enumerate(np.eye(_DEGREE))
    ]
    return np.array([*parts, max(0.0, energy - sum(parts))], np.float32) / np.float32(energy)


_ACTIVATIONS: Final[dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]]] = {
    "relu": lambda x: np.maximum(x, 0.0),
    "tanh": np.tanh,
    "gelu": lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
}
