"""How uncertain answers are."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from .pool import Floats

SHARPNESS: Final = 4.0
"""Factor of scores, near 0 and 1, before their softmax.  Chosen by hand; effect not measured."""


def margins(answers: Floats) -> Floats:
    """Return how far the best of at least two scores is above the second: float32 [n]."""
    best = np.partition(answers, -2, axis=1)
    return np.asarray(best[:, -1] - best[:, -2])


def doubts(answers: Floats) -> Floats:
    """Return one minus the margin, 0 to 1, of scores [n, k]: 1 without two labels."""
    if answers.shape[1] < 2:
        return np.ones(len(answers), np.float32)
    return np.clip(1 - margins(answers), 0, 1)


def entropies(answers: Floats) -> Floats:
    """Return the entropy of the softmax of scores: float32 [n]."""
    powers = np.exp(SHARPNESS * (answers - answers.max(axis=1, keepdims=True)))
    powers /= powers.sum(axis=1, keepdims=True)
    return np.asarray(-(powers * np.log(powers + np.float32(1e-9))).sum(axis=1))


def score_candidates(answers: Sequence[Floats]) -> Floats:
    """Concatenate the answers of several domains: float32 [n, all labels].

    answers: of one domain each, float32 [n, labels].  Each is centred per row and scaled, so that
    only differences between labels count.
    """
    centred = [scores - scores.mean(axis=1, keepdims=True) for scores in answers]
    return np.concatenate([scores / (scores.std() + 1e-6) for scores in centred], axis=1)
