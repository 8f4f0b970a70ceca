"""Weights of facts and model selection for heads: class weights, and the weight of other domains'
facts and the ridge penalty, chosen by the leave-one-out error of the domain's own facts."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..facts import FactBatch
from .gram import inverse_root

Floats = NDArray[np.float32]
Reals = NDArray[np.float64]
LeaveOneOut = Callable[[float, float], Reals | Floats]

RIDGES: Final = (0.1, 0.3, 1.0, 3.0)
"""Candidate penalties, relative to the mean energy of a fact.  Chosen by hand; effect not
measured."""
RIDGE_DEFAULT: Final = 0.3
"""The penalty without a choice.  Chosen by hand; effect not measured."""
WEIGHTS: Final = (0.01, 0.03, 0.1, 0.4)
"""Candidate weights of another domain's fact: docs/decisions/0007."""
WEIGHT_DEFAULT: Final = 0.1
"""The weight without a choice: that of docs/decisions/0004."""
GAIN_MIN: Final = 0.05
"""Relative gain over the default's error that another candidate needs.  Chosen by hand; effect not
measured."""
CHOICE_MIN: Final = 3
"""Fewest own facts per label for a choice: with two, leaving one out leaves one.  Chosen by hand;
effect not measured."""
OWN_WEIGHT_FACTS: Final = 384
"""Own facts in the choice of the weight: time grows with the cube.  Chosen by hand; effect not
measured."""
OWN_PENALTY_FACTS: Final = 768
"""Own facts in the choice of the penalty, which needs fewer solves.  Chosen by hand; effect not
measured."""
OTHER_FACTS: Final = 384
"""Facts of other domains in both choices: time grows with the cube.  Chosen by hand; effect not
measured."""
CLASS_EXPONENT: Final = -0.5
"""A label with n facts weighs n ** 0.5 in all instead of n.  Between no weights (0) and equal
labels (-1); measured in docs/decisions/0015.  The router weights domains alike."""
PENALTY_MIN: Final = 1e-6
"""Added to each penalty: rows of zeros must stay solvable."""


def has_choice(labels: Sequence[str]) -> bool:
    """Return whether there are enough own facts for a choice."""
    return min(labels.count(label) for label in set(labels)) >= CHOICE_MIN


def sampling_step(count: int, size: int) -> int:
    """Return the step that takes at most `size` of so many facts."""
    return -(-count // size)


def lowest_hashes(facts: FactBatch, count: int = OWN_PENALTY_FACTS) -> NDArray[np.intp]:
    """Return the rows, ascending, of the `count` facts whose ids have the lowest hashes, or of all:
    a fact more or less changes one of these rows at most."""
    if len(facts) <= count:
        return np.arange(len(facts))
    return np.sort(facts.hash_order[:count])


def class_weights(labels: Sequence[str]) -> Floats:
    """Return a weight for each fact, float32 [n] with mean 1: a fact of a rare label counts more.

    Numbers of facts reflect what was enrolled, not what will be observed, and least squares
    neglects a label with few facts among many.
    """
    if not labels:
        return np.ones(0, np.float32)
    _, numbers, counts = np.unique(np.array(labels), return_inverse=True, return_counts=True)
    weights = (counts.astype(np.float64) ** CLASS_EXPONENT)[numbers]
    return np.asarray(weights / weights.mean(), np.float32)


def choose_weight(inputs: Floats, targets: Floats, count: int, represented: float) -> float:
    """Choose the weight with the least squared leave-one-out error of own facts.

    inputs: float32 [n, out], targets: [n, k], centred, times the roots of their class weights,
    `count` own facts first.  represented: facts that one of the others represents, relative to an
    own one.  Errors are in closed form (Allen 1974).  Cost: the products of all rows or of all
    columns, whichever are fewer, and one or two small solves per weight.
    """
    leave_one_out, energy = _leave_one_out(inputs, targets, count)
    penalty = RIDGE_DEFAULT * energy + PENALTY_MIN
    tried = {one: leave_one_out(penalty, represented * one) for one in WEIGHTS}
    return _least(tried, WEIGHT_DEFAULT)


def choose_ridge(
    sample: tuple[Floats, Floats, int], weight: float, ridges: Sequence[float] = RIDGES
) -> tuple[float, NDArray[np.floating]]:
    """Choose the penalty with the least squared leave-one-out error of own facts, and return it
    with the leave-one-out residuals [count, k] of their targets.

    sample: inputs, targets and count as in `choose_weight`, cost too.  weight: of another domain's
    fact, relative to an own one.  ridges: the candidates.
    """
    leave_one_out, energy = _leave_one_out(*sample)
    tried = {one: leave_one_out(one * energy + PENALTY_MIN, weight) for one in ridges}
    best = _least(tried, RIDGE_DEFAULT if RIDGE_DEFAULT in tried else ridges[0])
    return best, tried[best]


def exact_residuals(
    sample: tuple[Floats, Floats, int], weight: float, ridge: float, means: Floats
) -> Floats:
    """Return leave-one-out residuals [count, k] of the own facts, their mean left out with each.

    sample, weight: as in `choose_ridge`; ridge: the penalty.  means: float32 [count], the share of
    each own fact in the mean that they are centred on.  `choose_ridge` keeps that mean, which
    tells a few facts in many columns the label of the one left out.  Cost: the products of all
    rows, and two small solves.
    """
    inputs, targets, count = sample
    gram = inputs @ inputs.T
    penalty = ridge * float(np.trace(gram)) / len(gram) + PENALTY_MIN
    return _dual_residuals(gram, targets, count, penalty, weight, means=means)


def _leave_one_out(inputs: Floats, targets: Floats, count: int) -> tuple[LeaveOneOut, float]:
    """Return a function from penalty and weight to the leave-one-out residuals of the own facts,
    and the mean energy of a row."""
    if 2 * inputs.shape[1] <= count:
        own, other = inputs[:count].astype(np.float64), inputs[count:].astype(np.float64)
        sums = own.T @ own, other.T @ other
        products = own.T @ targets[:count], other.T @ targets[count:]
        energy = float(np.trace(sums[0]) + np.trace(sums[1])) / len(inputs)
        return partial(_primal_residuals, own, targets[:count], sums, products), energy
    gram = inputs @ inputs.T
    energy = float(np.trace(gram)) / len(gram)
    return partial(_dual_residuals, gram, targets, count), energy


def _least(tried: Mapping[float, NDArray[np.floating]], default: float) -> float:
    """Return the candidate with the least squared residuals, or the default if that is hardly
    worse."""
    errors = {one: float(np.square(residuals).sum()) for one, residuals in tried.items()}
    best = min(errors, key=errors.__getitem__)
    return best if errors[best] < (1 - GAIN_MIN) * errors[default] else default


def _primal_residuals(
    own: Reals,
    targets: Floats,
    sums: tuple[Reals, Reals],
    products: tuple[Reals, Reals],
    penalty: float,
    weight: float,
) -> Reals:
    """Return residuals from systems of columns.  sums, products: those of own and of other facts
    with themselves and with their targets."""
    matrix = sums[0] + weight * sums[1]
    matrix.flat[:: len(matrix) + 1] += penalty
    inverse = np.linalg.inv(matrix)
    residuals = targets - own @ (inverse @ (products[0] + weight * products[1]))
    leverage = np.vecdot(own @ inverse, own)
    return np.asarray(residuals / (1 - leverage)[:, None])


def _dual_residuals(
    gram: Floats,
    targets: Floats,
    count: int,
    penalty: float,
    weight: float,
    *,
    means: Floats | None = None,
) -> Floats:
    """Return residuals from systems of facts.  gram: products of all rows, own ones first.  means:
    see `exact_residuals`; None keeps the own facts' mean.

    Penalties are no less than about 0.08 of the mean energy of a row, so that both systems are
    positive definite in single precision, too.
    """
    support = gram[count:, count:].copy()
    support.flat[:: len(support) + 1] += np.float32(penalty / weight)
    other = inverse_root(support)
    across = other @ gram[count:, :count]
    inner = gram[:count, :count] - across.T @ across
    inner.flat[:: count + 1] += np.float32(penalty)
    root = inverse_root(inner)
    solved = root.T @ (root @ (targets[:count] - across.T @ (other @ targets[count:])))
    kept = np.square(root).sum(axis=0)
    if means is not None:
        # The roots of the weights are an eigenvector of the inner system, with the penalty as its
        # value: an intercept takes that part out of the inverse.
        kept -= means / np.float32(penalty)
    return np.asarray(solved / kept[:, None])
