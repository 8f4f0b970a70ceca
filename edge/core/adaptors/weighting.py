"""How much the other domains' facts weigh in a domain's head, and how strongly it is penalised:
chosen by leaving own facts out."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Reals = NDArray[np.float64]
Left = Callable[[float, float], float]

RIDGES: Final = (0.1, 0.3, 1.0, 3.0)
RIDGE_USUAL: Final = 0.3
"""Penalties, over the mean energy of a fact."""
WEIGHTS: Final = (0.01, 0.03, 0.1, 0.4)
"""Tried for another domain's fact: other domains may hinder, help, or be much the same."""
WEIGHT_USUAL: Final = 0.1
"""Where there is no choice, or nothing to choose between."""
GAIN_MIN: Final = 0.05
"""Share of the error at the usual weight by which another has to be better."""
CHOICE_MIN: Final = 3
"""Fewest own facts a label at which a choice is more than chance."""
OWN_TRIED: Final = 384
OWN_PENALISED: Final = 768
SUPPORT_TRIED: Final = 384
"""Facts that take part in the choice: more would hardly change it and cost time."""
PENALTY_MIN: Final = 1e-6


def has_choice(labels: Sequence[str]) -> bool:
    """Say whether there are own facts enough to choose by."""
    return min(labels.count(label) for label in set(labels)) >= CHOICE_MIN


def choose_weight(inputs: Floats, targets: Floats, count: int, stands: float) -> float:
    """Choose the weight with the least squared error of left-out own facts.

    inputs: float32 [n, out], targets: [n, k], about their means, unweighted, `count` own facts
    first.  stands: how many facts one of the others stands for, over how many an own one does.
    Every error is in closed form (Allen 1974).  Cost: the products of all rows or of all
    columns, whichever are fewer, and one or two small solves a weight.
    """
    left_out, energy = _leaver(inputs, targets, count)
    penalty = RIDGE_USUAL * energy + PENALTY_MIN
    return _least({one: left_out(penalty, stands * one) for one in WEIGHTS}, WEIGHT_USUAL)


def choose_ridge(inputs: Floats, targets: Floats, count: int, weight: float) -> float:
    """Choose the penalty with the least squared error of left-out own facts.

    Arguments and cost as in `choose_weight`; weight: of one of the others, over that of an own one.
    """
    left_out, energy = _leaver(inputs, targets, count)
    errors = {one: left_out(one * energy + PENALTY_MIN, weight) for one in RIDGES}
    return _least(errors, RIDGE_USUAL)


def _leaver(inputs: Floats, targets: Floats, count: int) -> tuple[Left, float]:
    """Return what sums the squared errors of the own facts, each left out once, at a penalty and a
    weight; and the mean energy of a row."""
    if 2 * inputs.shape[1] <= count:
        own, other = inputs[:count].astype(np.float64), inputs[count:].astype(np.float64)
        sums = own.T @ own, other.T @ other
        sought = own.T @ targets[:count], other.T @ targets[count:]
        energy = float(np.trace(sums[0]) + np.trace(sums[1])) / len(inputs)
        return partial(_left_out_primal, own, targets[:count], sums, sought), energy
    gram = inputs @ inputs.T
    energy = float(np.trace(gram)) / len(gram)
    return partial(_left_out, gram, targets, count), energy


def _least(errors: dict[float, float], usual: float) -> float:
    """Return what has the least error, or the usual where that is hardly worse."""
    best = min(errors, key=errors.__getitem__)
    return best if errors[best] < (1 - GAIN_MIN) * errors[usual] else usual


def _left_out_primal(
    own: Reals,
    targets: Floats,
    sums: tuple[Reals, Reals],
    sought: tuple[Reals, Reals],
    penalty: float,
    weight: float,
) -> float:
    """Sum the errors by columns, where they are few.  sums, sought: of the products of own and of
    other facts, with themselves and with their targets."""
    matrix = sums[0] + weight * sums[1]
    matrix.flat[:: len(matrix) + 1] += penalty
    inverse = np.linalg.inv(matrix)
    left = targets - own @ (inverse @ (sought[0] + weight * sought[1]))
    leverage = np.vecdot(own @ inverse, own)
    return float(np.square(left / (1 - leverage)[:, None]).sum())


def _left_out(gram: Floats, targets: Floats, count: int, penalty: float, weight: float) -> float:
    """Sum the errors by facts: products of all rows, own ones first."""
    support = gram[count:, count:].copy()
    support.flat[:: len(support) + 1] += penalty / weight
    across = np.linalg.solve(support, gram[count:, :count])
    inner = gram[:count, :count] - gram[:count, count:] @ across
    inner.flat[:: count + 1] += penalty
    inverse = np.linalg.inv(inner)
    solved = inverse @ (targets[:count] - across.T @ targets[count:])
    return float(np.square(solved / np.diag(inverse)[:, None]).sum())
