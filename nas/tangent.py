"""Our score: the held-out error of ridge regression with the kernel an adaptor would have.

A network of random weights has a kernel (the dual of its activation: Daniely, Frostig & Singer
2016, section 4), so does one trained by small steps (the neural tangent kernel: Jacot, Gabriel &
Hongler 2018), and for ridge regression with a kernel the error of every left-out fact is known in
closed form (Allen 1974).  So nothing is built and nothing trained: each blueprint is a formula on
small matrices of products between facts, and all share the same few products.

A layer of w numbers is drawn as w Gaussian directions of its kernel, the same directions for every
blueprint, so that narrow layers lose what they would lose and comparisons are paired.
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
FACTS_CLOSER: Final = (256, 128)
"""Facts of the domain and of the others, at the first look and at the best ones' second."""

CLOSER: Final = 24
RIDGE: Final = 0.3
SHARPNESS: Final = 8.0
"""Scores of ridge regression are near 1 for a sure answer: so many times that is a logit."""

TRAINED: Final = {"linear": 0.2, "lowrank": 0.2, "bottleneck": 0.75, "fusion": 0.2}
"""Share of the tangent kernel in that of a trained kind: how much a short training changes it."""

_JITTER: Final = np.float32(1e-3)
_DEGREE: Final = 8
_WIDTH_MAX: Final = 4_096


def score(blueprints: Sequence[Blueprint], sketch: TaskSketch, seed: int) -> NDArray[np.float64]:
    """Score blueprints by minus the cross-entropy of left-out facts of the domain: float64 [n].

    Sees FACTS of the domain and of the others at most, labels included.  Cost: about ten products
    and one inverse of matrices of that size a blueprint.
    """
    few = sample(sketch, *FACTS, seed)
    kernels, judge = TangentKernels(few, seed), TangentJudge(few)
    return np.array([judge.score(kernels.of(blueprint)) for blueprint in blueprints])


def look_closer(ranking: Sequence[Blueprint], sketch: TaskSketch, seed: int) -> list[Blueprint]:
    """Rank the best CLOSER of a ranking once more, with more facts, by how well the left-out
    answers are aligned with the labels; the rest stays as it is."""
    few = sample(sketch, *FACTS_CLOSER, seed)
    kernels, judge = TangentKernels(few, seed), TangentJudge(few)
    best = list(ranking[:CLOSER])
    aligned = np.array([judge.align(kernels.of(blueprint)) for blueprint in best])
    return [*(best[place] for place in np.argsort(-aligned, kind="stable")), *ranking[CLOSER:]]


class TangentKernels:
    """Kernels of blueprints on the facts of a sketch, all from one product matrix a tap.

    What blueprints of the same taps share is computed once, as long as they come one after another.
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
        self._spreads: dict[int, Floats] = {}
        self._taps: tuple[int, ...] = ()
        self._plain = self._products[0]
        self._duals: dict[str, tuple[Floats, Floats]] = {}
        self._roots: dict[str, Floats] = {}

    def of(self, blueprint: Blueprint) -> Floats:
        """Return the kernel float32 [n, n] of a blueprint after training, mean diagonal 1."""
        if blueprint.taps != self._taps:
            self._taps, self._duals, self._roots = blueprint.taps, {}, {}
            self._plain = _level(np.sum([self._products[tap] for tap in blueprint.taps], axis=0))
        if blueprint.kind == "none":
            return self._plain
        if blueprint.kind == "kernel":
            return self._gaussian(self._plain)
        if blueprint.kind == "random":
            return _level(self._bent(blueprint.activation, blueprint.width))
        start, tangent = self._trained(blueprint)
        share = np.float32(TRAINED[blueprint.kind])
        return (1 - share) * _level(start) + share * _level(tangent)

    def _gaussian(self, plain: Floats) -> Floats:
        """Kernel of comparisons with the domain's own facts; the others' are not compared with."""
        lengths = np.diag(plain)
        apart = np.maximum(lengths[:, None] + lengths - 2 * plain, np.float32(0))
        middle = np.maximum(np.median(apart[self._own, :][:, self._own]), np.float32(1e-12))
        alike = np.equal.outer(self._own, self._own)
        return np.asarray(np.where(alike, np.exp(-apart / middle), np.float32(0)))

    def _trained(self, blueprint: Blueprint) -> tuple[Floats, Floats]:
        """Kernel of the columns before training, and of the steps that training may take."""
        plain, activation = self._plain, blueprint.activation
        if blueprint.kind == "linear":
            return self._bent("none", blueprint.width), plain
        if blueprint.kind == "lowrank":
            return plain, blueprint.depth * self._bent(activation, blueprint.rank)
        if blueprint.kind == "fusion":
            parts = [self._products[t] / np.float32(self._columns[t]) for t in blueprint.taps]
            even = _level(np.sum(parts, axis=0))
            value, slope = _dual(even, activation)
            return self._drawn(_root(value), blueprint.width), even * slope
        tangent = plain * self._dual(activation)[1]
        start = self._bent(activation, blueprint.rank)
        for _ in range(blueprint.depth):
            value, slope = _dual(start, activation)
            tangent = (tangent + start) * slope
            start = self._drawn(_root(value), blueprint.width)
        return start, tangent

    def _dual(self, activation: str) -> tuple[Floats, Floats]:
        """Kernels of an activation's values and slopes on the columns read."""
        if activation not in self._duals:
            self._duals[activation] = _dual(self._plain, activation)
        return self._duals[activation]

    def _bent(self, activation: str, width: int) -> Floats:
        """Kernel of `width` random columns with an activation, on the columns read."""
        if activation not in self._roots:
            self._roots[activation] = _root(self._dual(activation)[0])
        return self._drawn(self._roots[activation], width)

    def _drawn(self, root: Floats, width: int) -> Floats:
        """Kernel of `width` random columns whose kernel, with any number of them, has this root."""
        if width not in self._spreads:
            drawn = self._directions[:, :width]
            self._spreads[width] = drawn @ drawn.T / np.float32(width)
        return np.asarray(root @ self._spreads[width] @ root.T)


class TangentJudge:
    """Weights and targets of a sketch's facts, own first, to judge kernels by."""

    def __init__(self, sketch: TaskSketch) -> None:
        self._own = int(sketch.own.sum())
        self._targets = sketch.targets[: self._own]
        weights = np.where(sketch.own, np.float32(1), np.float32(sketch.support))
        self._energy = weights.sum()
        self._share = weights / self._energy
        self._roots = np.sqrt(weights)
        sought = np.eye(sketch.shape.classes, dtype=np.float32)[sketch.targets]
        self._sought = sought - self._share @ sought

    def score(self, kernel: Floats) -> float:
        """Minus the mean cross-entropy of the domain's facts, each left out in turn."""
        left = self._left_out(kernel) * np.float32(SHARPNESS)
        top = left.max(axis=1)
        spread = np.log(np.exp(left - top[:, None]).sum(axis=1)) + top
        right = left[np.arange(len(left)), self._targets]
        return float((right - spread).mean())

    def align(self, kernel: Floats) -> float:
        """Cosine between left-out answers and labels, both centred: how sure they are is nothing.

        Cortes, Mohri & Rostamizadeh 2012, definition 4, for answers in place of kernels.
        """
        left = self._left_out(kernel)
        left = left - left.mean(axis=1, keepdims=True)
        sought = np.eye(left.shape[1])[self._targets] - 1 / left.shape[1]
        lengths = np.linalg.norm(left) * np.linalg.norm(sought)
        return float((left * sought).sum() / max(lengths, 1e-12))

    def _left_out(self, kernel: Floats) -> Floats:
        """Score each of the domain's facts by the ridge regression without it: [own, classes].

        The others' facts are eliminated first, since only the domain's own are left out.
        """
        own, roots = self._own, self._roots
        mean = kernel @ self._share
        centred = kernel - mean[:, None] - mean[None] + mean @ self._share
        centred *= roots[:, None] * roots
        centred.flat[:: len(kernel) + 1] += np.float32(
            RIDGE * np.trace(centred) / self._energy + 1e-6
        )
        sought = self._sought * roots[:, None]
        across = np.concatenate([centred[own:, :own], sought[own:]], axis=1)
        across = centred[:own, own:] @ np.linalg.solve(centred[own:, own:], across)
        inverse = np.linalg.inv(centred[:own, :own] - across[:, :own])
        missed = inverse @ (sought[:own] - across[:, own:]) / np.diag(inverse)[:, None]
        return np.asarray(self._sought[:own] - missed)


def _root(kernel: Floats) -> Floats:
    root = np.linalg.cholesky(kernel + _JITTER * np.eye(len(kernel), dtype=np.float32))
    return np.asarray(root, np.float32)


def _level(kernel: Floats) -> Floats:
    """Scale a kernel to a mean diagonal of 1."""
    mean = np.maximum(np.trace(kernel) / np.float32(len(kernel)), np.float32(1e-12))
    return np.asarray(kernel / mean)


def _dual(kernel: Floats, activation: str) -> tuple[Floats, Floats]:
    """Kernel of an activation's values, and of its slopes, where inputs have this kernel."""
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
    """Energy of an activation in each Hermite polynomial, to 1 in all; the rest in the last."""
    points, weights = hermegauss(80)
    values = _BENDS[activation](points)
    weights = weights / weights.sum()
    energy = (weights * values * values).sum()
    parts = [
        (weights * values * hermeval(points, one)).sum() ** 2 / factorial(order)
        for order, one in enumerate(np.eye(_DEGREE))
    ]
    return np.array([*parts, max(0.0, energy - sum(parts))], np.float32) / np.float32(energy)


_BENDS: Final[dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]]] = {
    "relu": lambda x: np.maximum(x, 0.0),
    "tanh": np.tanh,
    "gelu": lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
}
