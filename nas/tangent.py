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

    def tap_features(self, activation: str, width: int) -> Floats:
        """Return the sum of the kernels of `width` random features of each tap read."""
        for tap in self._taps:
            if (tap, activation) not in self._tap_roots:
                value = dual(normalised(self._products[tap]), activation)[0]
                self._tap_roots[tap, activation] = root(value)
        roots = [self._tap_roots[tap, activation] for tap in self._taps]
        return np.asarray(np.sum([self.sampled(one, width) for one in roots], axis=0), np.float32)

    def same_choice(self, count: int) -> Floats:
        """Return 1 where two facts match the same of `count` random directions best, else 0."""
        if "none" not in self._roots:
            self._roots["none"] = root(self.dual("none")[0])
        chosen = (self._roots["none"] @ self._directions[:, :count]).argmax(axis=1)
        return np.asarray(np.equal.outer(chosen, chosen), np.float32)

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
