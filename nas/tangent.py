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

Floats = NDArray[np.float32]

FACTS: Final = (96, 48)
"""Facts of the domain and of the others: 160 and 80 gain 0.005 in Kendall's tau at three times the
cost (docs/decisions/0006)."""
FACTS_RESCORED: Final = (256, 128)
"""The same when the best are rescored.  Chosen by hand; docs/decisions/0006 has the gain."""

RESCORED: Final = 24
"""Blueprints that are rescored: docs/decisions/0006 has the gain.  Chosen by hand."""
RIDGE: Final = 0.3
"""Penalty relative to the mean energy of a fact: that of the heads."""
INVERSE_TEMPERATURE: Final = 8.0
"""Logits per unit of a score, which is near 1 for a confident prediction.  Chosen by hand; effect
not measured."""

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


def score(blueprints: Sequence[Blueprint], sketch: TaskSketch, seed: int) -> NDArray[np.float64]:
    """Score blueprints by minus the leave-one-out cross-entropy of facts of the domain: float64
    [n].

    Uses at most FACTS of the domain and of the others, labels included.  Cost: about ten products
    and one inverse of matrices of that size per blueprint.
    """
    few = sample(sketch, *FACTS, seed)
    kernels, scorer = TangentKernels(few, seed), LeaveOneOutScorer(few)
    return np.array([scorer.score(kernels.of(blueprint)) for blueprint in blueprints])


def rescore(ranking: Sequence[Blueprint], sketch: TaskSketch, seed: int) -> list[Blueprint]:
    """Reorder the best RESCORED of a ranking, with more facts, by the alignment of leave-one-out
    predictions with the labels; the rest keeps its order."""
    few = sample(sketch, *FACTS_RESCORED, seed)
    kernels, scorer = TangentKernels(few, seed), LeaveOneOutScorer(few)
    best = list(ranking[:RESCORED])
    aligned = np.array([scorer.align(kernels.of(blueprint)) for blueprint in best])
    return [*(best[place] for place in np.argsort(-aligned, kind="stable")), *ranking[RESCORED:]]


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

    def score(self, kernel: Floats) -> float:
        """Return minus the mean leave-one-out cross-entropy of the domain's facts."""
        logits = self._left_out(kernel) * np.float32(INVERSE_TEMPERATURE)
        top = logits.max(axis=1)
        total = np.log(np.exp(logits - top[:, None]).sum(axis=1)) + top
        correct = logits[np.arange(len(logits)), self._targets]
        return float((correct - total).mean())

    def align(self, kernel: Floats) -> float:
        """Return the cosine between leave-one-out predictions and labels, both centred; their scale
        has no effect.

        Cortes, Mohri & Rostamizadeh 2012, definition 4, for predictions in place of kernels.
        """
        scores = self._left_out(kernel)
        scores = scores - scores.mean(axis=1, keepdims=True)
        labels = np.eye(scores.shape[1])[self._targets] - 1 / scores.shape[1]
        lengths = np.linalg.norm(scores) * np.linalg.norm(labels)
        return float((scores * labels).sum() / max(lengths, 1e-12))

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
