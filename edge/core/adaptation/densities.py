"""The classes of an opening as normal densities, found by expectation and maximisation.

A ridge separates classes where the facts have them apart.  Densities follow the opening's own
classes: their means move each in its own way, and what lies near many others is answered alike.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .basis import Basis
from .centring import PSEUDO_SHARPNESS, balance, softmax

ROUNDS: Final = 5
"""Rounds of assigning samples to classes and fitting these.  Chosen on the development streams of
docs/explanation/adaptation.md, like all below."""

MEAN_SAMPLES: Final = 20
"""Samples of a class at which its mean lies half way from that of its facts to its own."""

HALF_SAMPLES: Final = 500
"""Samples at which the common covariance is half their own, and densities have half of their
weight: fewer say little about 128 directions."""

WEIGHT: Final = 0.7
"""Largest weight of the log densities relative to the known scores.  Both use the same directions,
so a weight below 1 does better."""

Doubles = NDArray[np.float64]


def class_densities(basis: Basis, inputs: Doubles, scores: Doubles) -> tuple[Doubles, Doubles]:
    """Return what densities of the classes add to `scores` [n, labels] of centred samples, inputs
    [n, directions]: weights [directions, labels] and intercepts [labels].

    The classes have one covariance, so that the difference of their logarithms is linear (Hastie,
    Tibshirani & Friedman 2009, section 4.3).  Means start from those of the facts, the covariance
    from that within their classes (maximum a posteriori; Murphy 2012, section 11.4.2.8).  The
    labels' shares stay as varied as those of `scores`.
    """
    count = len(inputs)
    weight = WEIGHT * count / (count + HALF_SAMPLES) / PSEUDO_SHARPNESS
    answers = softmax(PSEUDO_SHARPNESS * scores)
    shares = answers.mean(axis=0)
    moments, prior = inputs.T @ inputs, HALF_SAMPLES * np.linalg.inv(basis.precision)
    weights, more = np.zeros((inputs.shape[1], scores.shape[1])), np.zeros(scores.shape[1])
    for _ in range(ROUNDS):
        counts, sums = answers.sum(axis=0), answers.T @ inputs
        means = (MEAN_SAMPLES * basis.class_means + sums) / (MEAN_SAMPLES + counts)[:, None]
        crossed = sums.T @ means
        scatter = moments - crossed - crossed.T + (means.T * counts) @ means
        scaled = np.linalg.solve((scatter + prior) / (count + HALF_SAMPLES), means.T)
        weights, more = weight * scaled, -0.5 * weight * np.vecdot(means, scaled.T)
        found = scores + inputs @ weights + more
        more = more + balance(found, shares)
        answers = softmax(PSEUDO_SHARPNESS * (scores + inputs @ weights + more))
    return weights, more


def margin(scores: Doubles) -> float:
    """Return the mean lead of the best of scores [n, labels] over the second."""
    best = np.partition(scores, -2, axis=1)[:, -2:]
    return float((best[:, 1] - best[:, 0]).mean())
