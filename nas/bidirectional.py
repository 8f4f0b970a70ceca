"""Bidirectional learning: designing a blueprint from the scores of earlier growths.

After *Bidirectional Learning for Offline Model-based Biological Sequence Design* (abstract, and
the authors' code, GGchen1997/BIB-ICML2023-Submission).  The scores of designs that were tried are
all there is; nothing is trained or tested while a new design is sought.  A proxy that is linear
in fixed features of a design has its fit in closed form, in both directions: forward, the known
designs predict the score of a new one; backward, the new design, with a high score assumed,
predicts the known scores.  The forward loss exploits the known scores, the backward loss keeps
the design where they say something.  Gradient steps on a relaxed design lower a mixture of both;
an auxiliary model, whose predicted score should rise, adapts the share of each (Adaptive-gamma)
and the length of the steps (Adaptive-eta).

A biological sequence has a pre-trained language model for features.  A blueprint has its
description and the score of a zero-shot proxy, and all products of two of these numbers: a
polynomial kernel.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .blueprint import Blueprint
from .designs import describe

Doubles = NDArray[np.float64]

TARGET: Final = 10.0
"""The score that a new design is to reach, in standard deviations of the known ones: the authors'
value."""
STEPS: Final = 100
"""Gradient steps: the authors' value."""
RATE: Final = 0.1
"""Length of the first step, and of the steps of the share: the authors' value."""
RATE_SLOPE: Final = 0.01
"""By how much the auxiliary model changes the length of a step: the authors' value."""
RATES: Final = (1e-4, 0.5)
"""Shortest and longest step: the authors' values."""
SHARE: Final = 0.5
"""Share of the forward loss at first: the authors' value."""
MOMENTS: Final = (0.9, 0.999)
"""Decay of the averages of Adam: its authors' values."""
PENALTIES: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Candidate penalties, relative to the mean energy of a design.  The authors' 1e-6 is for scores
without noise; accuracies on held-out facts have some.  Chosen by hand; effect not measured."""
DESIGNS_MIN: Final = 4
"""Fewest known designs: with fewer there is nothing to leave out.  Chosen by hand; effect not
measured."""

STARTS: Final = 8
"""Best known designs that steps start from; the authors take 128 of 5,000.  Chosen by hand; effect
not measured."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TaskScores:
    """The scores of one growth: of each blueprint tried, its zero-shot score and its accuracy.

    taps: of the encoder.  proxies: zero-shot scores, ranks from 0 to 1.  accuracies: on held-out
    facts.  facts: ids of the facts that the scores derive from.  They hold no feature of a fact,
    but they would be others without it: `without_facts` drops them when one is forgotten.
    """

    blueprints: tuple[Blueprint, ...] = field(repr=False)
    taps: int
    proxies: tuple[float, ...] = field(repr=False)
    accuracies: tuple[float, ...] = field(repr=False)
    facts: tuple[str, ...] = field(default=(), repr=False)


def without_facts(history: Sequence[TaskScores], ids: AbstractSet[str]) -> tuple[TaskScores, ...]:
    """Return the scores that none of these facts had a say in."""
    return tuple(one for one in history if ids.isdisjoint(one.facts))


def score_bidirectional(
    blueprints: Sequence[Blueprint], taps: int, proxies: Doubles, history: Sequence[TaskScores]
) -> Doubles:
    """Score blueprints for a new task by the scores of earlier ones: float64 [n], higher is better.

    proxies: zero-shot scores on the new task, ranks from 0 to 1, [n].  history: accuracies count
    relative to their task's mean.  The score is minus the mixture of both losses, with the share
    that gradient steps from the best known designs end with.  With fewer than DESIGNS_MIN known
    designs it is the zero-shot score.  Cost: O(m^3 + m n) for m known designs.
    """
    known = _known_designs(history)
    if known is None:
        return np.asarray(proxies, np.float64)
    proxy = LinearisedProxy(*known)
    shares = [improve(proxy, one)[1] for one in proxy.best(STARTS)]
    forward, backward = proxy.losses(_designs(blueprints, taps, proxies))
    share = float(np.mean(shares))
    return -(share * forward + (1 - share) * backward)


def design_blueprint(
    blueprints: Sequence[Blueprint], taps: int, proxies: Doubles, history: Sequence[TaskScores]
) -> Blueprint:
    """Return the blueprint, of at least one, that is nearest to a design that gradient steps from
    the best known designs lead to; the best by zero-shot score with too few known designs.

    Arguments and cost as for `score_bidirectional`.
    """
    known = _known_designs(history)
    if known is None:
        return blueprints[int(np.argmax(proxies))]
    proxy = LinearisedProxy(*known)
    found = np.array([improve(proxy, one)[0] for one in proxy.best(STARTS)])
    forward, backward = proxy.losses(found)
    aim = found[int(np.argmin(forward + backward))]
    apart = np.square(_designs(blueprints, taps, proxies) - aim).sum(axis=1)
    return blueprints[int(apart.argmin())]


def _designs(
    blueprints: Sequence[Blueprint], taps: int, proxies: Sequence[float] | Doubles
) -> Doubles:
    column = np.asarray(proxies, np.float64)[:, None]
    return np.concatenate([describe(blueprints, taps), column], axis=1)


def _known_designs(history: Sequence[TaskScores]) -> tuple[Doubles, Doubles] | None:
    """Return the designs of all tasks, and their accuracies about the means of their tasks."""
    if sum(len(one.blueprints) for one in history) < DESIGNS_MIN:
        return None
    designs = [_designs(one.blueprints, one.taps, one.proxies) for one in history]
    scores = [np.array(one.accuracies) - np.mean(one.accuracies) for one in history]
    return np.concatenate(designs), np.concatenate(scores)


class LinearisedProxy:
    """A score that is linear in the features of a design, fitted to known designs.

    designs: float64 [n, d], DESIGNS_MIN or more.  scores: float64 [n]; mean and standard deviation
    are those of the known ones.  Features are all products of two numbers of a design, centred on
    the known designs.  The penalty with the least leave-one-out error serves (Allen 1974).
    Predictions are those of a Gaussian process, hence their variances.  Cost: O(n^3).
    """

    def __init__(self, designs: Doubles, scores: Doubles) -> None:
        self.designs = designs
        self.level, self.unit = float(scores.mean()), float(scores.std()) or 1.0
        self.scores = (scores - self.level) / self.unit
        plain = np.square(1 + designs @ designs.T)
        self._means, self._mean = plain.mean(axis=0), float(plain.mean())
        gram = plain - self._means - self._means[:, None] + self._mean
        energy = float(np.trace(gram)) / len(gram)
        fits = [_fit(gram, self.scores, share * energy) for share in PENALTIES]
        self.penalty, self.weights, self._inverse, errors = min(fits, key=lambda one: one[3])
        # The auxiliary model: linear in the design itself.
        spread = designs - designs.mean(axis=0)
        ridge = spread.T @ spread
        ridge.flat[:: len(ridge) + 1] += float(np.trace(ridge)) / len(ridge)
        self.guide = np.linalg.solve(ridge, spread.T @ self.scores)
        # The variance of a left-out score is 1 / (its diagonal of the inverse), in kernel units.
        self._variance = errors / float((1 / np.diag(self._inverse)).mean())

    def predict(self, designs: Doubles) -> tuple[Doubles, Doubles]:
        """Predict the scores of designs [m, d] and their standard deviations, without noise: two
        float64 [m], in the unit of the known scores."""
        across, energies = self.similarity(designs)
        left = energies - np.vecdot(across @ self._inverse, across)
        deviations = np.sqrt(self._variance * np.maximum(left, 0))
        return self.level + self.unit * (across @ self.weights), self.unit * deviations

    def best(self, count: int) -> Doubles:
        """Return the known designs of the best scores, at most `count`: [k, d]."""
        return self.designs[np.argsort(-self.scores, kind="stable")[:count]]

    def similarity(self, designs: Doubles) -> tuple[Doubles, Doubles]:
        """Return products of features with the known designs' [m, n], and with themselves [m]."""
        across = np.square(1 + designs @ self.designs.T)
        shared = across.mean(axis=1)
        energies = np.square(1 + np.square(designs).sum(axis=1)) - 2 * shared + self._mean
        return across - shared[:, None] - self._means + self._mean, energies

    def losses(self, designs: Doubles) -> tuple[Doubles, Doubles]:
        """Return the forward and the backward loss of designs [m, d]: two float64 [m]."""
        across, energies = self.similarity(designs)
        forward = np.square(across @ self.weights - TARGET)
        known = across * (TARGET / (energies + self.penalty))[:, None]
        return forward, np.square(known - self.scores).mean(axis=1)

    def gradients(self, one: Doubles) -> tuple[Doubles, Doubles]:
        """Return the gradients of both losses at a design [d]: two float64 [d]."""
        (across,), (energy,) = self.similarity(one[None])
        slopes = 2 * (1 + self.designs @ one)[:, None] * self.designs
        middle = slopes.mean(axis=0)
        slopes -= middle
        forward = 2 * (across @ self.weights - TARGET) * (self.weights @ slopes)
        scale = TARGET / (energy + self.penalty)
        energy_slope = 4 * (1 + one @ one) * one - 2 * middle
        shift = -scale / (energy + self.penalty) * energy_slope
        errors = scale * across - self.scores
        backward = 2 / len(errors) * (scale * (errors @ slopes) + (errors @ across) * shift)
        return forward, backward


def _fit(gram: Doubles, scores: Doubles, penalty: float) -> tuple[float, Doubles, Doubles, float]:
    """Return penalty, weights, inverse and mean squared leave-one-out error of a ridge fit."""
    inverse = np.linalg.inv(gram + penalty * np.eye(len(gram)))
    weights = inverse @ scores
    return penalty, weights, inverse, float(np.square(weights / np.diag(inverse)).mean())


@dataclass(slots=True)
class _Adam:
    """Running averages of gradients and of their squares."""

    first: Doubles
    second: Doubles
    steps: int = 0

    def direction(self, gradient: Doubles) -> Doubles:
        """Return the direction of the next step (Kingma & Ba 2015, algorithm 1)."""
        self.steps += 1
        short, long = MOMENTS
        self.first = short * self.first + (1 - short) * gradient
        self.second = long * self.second + (1 - long) * np.square(gradient)
        mean = self.first / (1 - short**self.steps)
        return np.asarray(mean / (np.sqrt(self.second / (1 - long**self.steps)) + 1e-8))


def improve(proxy: LinearisedProxy, start: Doubles) -> tuple[Doubles, float]:
    """Improve a design float64 [d] by gradient steps; return it and the last share of the forward
    loss."""
    one, share, guide = start.copy(), SHARE, proxy.guide
    moments, share_moments = _Adam(0 * one, 0 * one), _Adam(np.zeros(1), np.zeros(1))
    for _ in range(STEPS):
        forward, backward = proxy.gradients(one)
        slope = np.array([guide @ (RATE * (forward - backward))])
        share = float(np.clip(share - RATE * share_moments.direction(slope)[0], 0, 1))
        step = moments.direction(share * forward + (1 - share) * backward)
        one -= float(np.clip(RATE - RATE_SLOPE * (guide @ step), *RATES)) * step
    return one, share
