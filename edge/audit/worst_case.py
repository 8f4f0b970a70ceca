"""The worst facts to forget: a set of the same size that is hardest to erase.

After Fan et al. 2024, "Challenging forgets: unveiling the worst-case forget sets in machine
unlearning", section 4 (github.com/OPTML-Group/Unlearn-WorstCase, data-wise/main_selmu.py): weights
of all facts are optimised in two levels.  The lower level learns again without the weighted facts;
the upper level moves weight to facts that this model still answers well, and projects onto the
simplex of the wanted size.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..core import FactBatch
from ..core.adaptors import LEVELS

Floats = NDArray[np.float64]

STEPS: Final = 10
"""Alternations: `select_epochs` of the official code."""

RATE: Final = 0.01
"""Step of the upper level: `w_lr` of the official code."""

RIDGE: Final = 0.3
"""Penalty of the lower level relative to the mean energy of a fact: the smallest default of the
head's penalties."""

HALVINGS: Final = 60
"""Steps of the bisection: the width of the bracket falls below the spacing of float64."""


def worst_forget_set(rows: FactBatch, size: int) -> NDArray[np.intp]:
    """Return the rows, ascending, of the `size` facts that are hardest to forget.

    Cost: ten solves of a system of n facts: 0.5 s at 1,000.
    """
    gram, targets = _problem(rows)
    weights = np.full(len(rows), size / len(rows))
    for _ in range(STEPS):
        losses = ((_retrained(gram, targets, 1 - weights) - targets) ** 2).sum(axis=1)
        weights = project(weights - RATE * losses, size)
    return np.sort(np.argsort(-weights, kind="stable")[:size])


def project(values: Floats, size: float) -> Floats:
    """Return the nearest point in [0, 1]^n with sum `size`, by bisection of the shift."""
    low, high = float(values.min()) - 1, float(values.max())
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if np.clip(values - middle, 0, 1).sum() > size:
            low = middle
        else:
            high = middle
    return np.clip(values - high, 0, 1)


def _problem(rows: FactBatch) -> tuple[Floats, Floats]:
    """Return the products [n, n] of standardised facts, and one-hot targets."""
    inputs = LEVELS[rows.features].astype(np.float64)
    inputs -= inputs.mean(axis=0)
    inputs /= inputs.std(axis=0) + 0.1
    _, numbers = np.unique(np.array(rows.labels), return_inverse=True)
    return inputs @ inputs.T / inputs.shape[1], np.eye(int(numbers.max()) + 1)[numbers]


def _retrained(gram: Floats, targets: Floats, shares: Floats) -> Floats:
    """Return the scores of ridge regression on facts with weights `shares`: the lower level, whose
    learning again is exact."""
    system = shares[:, None] * gram
    system.flat[:: len(gram) + 1] += RIDGE * float(gram.trace()) / len(gram)
    return np.asarray(gram @ np.linalg.solve(system, shares[:, None] * targets))
