"""Smoothing of zero-shot scores over the space: near blueprints share their evidence.

A score of one blueprint is a sample: of the facts, of the directions that stand for its layers, of
what the formula misses about its kind.  The best of a thousand samples is mostly a lucky one.  The
scores of near blueprints err in other directions, so the expected score of a blueprint, given all
of them, is that of a Gaussian process over designs (Rasmussen & Williams 2006, equations 2.25 and
2.26), and its standard deviation says how much is known.  docs/decisions/0022 has the measurements.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .blueprint import Blueprint
from .designs import describe, read_taps

Doubles = NDArray[np.float64]

NOISE: Final = 3.0
"""Variance of the noise of a score, relative to that of the process: of 0.03 to 10, chosen on seven
development tasks by the accuracy of the first choice.  The leave-one-out error of the scores
themselves chooses 0.03, since a score repeats its own errors (docs/decisions/0022)."""
SHARPNESS: Final = 2.0
"""Exponent of the similarity at the median squared distance of two designs.  Of 1, 2 and 4, chosen
like NOISE."""
TAP_WEIGHT: Final = 0.5
"""Weight of a tap that only one of two designs reads, against one for a column of the description.
Chosen by hand; effect not measured."""


def smooth(blueprints: Sequence[Blueprint], taps: int, scores: Doubles) -> tuple[Doubles, Doubles]:
    """Return the expected score of each blueprint, and its standard deviation: two float64 [n].

    scores: float64 [n], finite.  taps: of the encoder.  Cost: O(n^3), 0.2 s of one core for a
    thousand blueprints.
    """
    points = np.concatenate(
        [describe(blueprints, taps), TAP_WEIGHT * read_taps(blueprints, taps)], axis=1
    )
    similar = _similarities(points)
    inverse = np.linalg.inv(similar + NOISE * np.eye(len(similar)))
    apart = scores - scores.mean()
    weights = inverse @ apart
    left = np.maximum(1 - np.vecdot(similar @ inverse, similar), 0)
    # The scale that makes these scores most likely.
    unit = float(apart @ weights) / len(scores)
    return scores.mean() + similar @ weights, np.sqrt(max(unit, 0.0) * left)


def _similarities(points: Doubles) -> Doubles:
    lengths = np.square(points).sum(axis=1)
    distances = np.maximum(lengths[:, None] + lengths - 2 * points @ points.T, 0)
    median = max(float(np.median(distances)), 1e-12)
    return np.asarray(np.exp(-SHARPNESS / median * distances))
