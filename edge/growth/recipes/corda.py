"""CorDA: a low-rank start that is oriented by the covariance of facts.

A weight W times the covariance C of its inputs is decomposed, W C = U S V^T; with C divided out
again, W = U S V^T C^-1.  Some components become the trained part, B A with B = U S and
A = V^T C^-1 up to a scale of each component; the rest of W stays as it is.  (CorDA, Yang et al.
2024, abstract, and the implementation in the library PEFT.)

What there is to decompose here: for `lowrank` the identity, the map that its residual blocks add
to; its components are the principal directions of the facts.  For `linear`, the ridge regression of
the labels on the columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import nas

from ..training_steps import TOP, Floats, Loss, Tensors, descend
from .recipe import PLAIN_RATES, TrainingTask, kept
from .ridge import ridge_map

Doubles = NDArray[np.float64]

DAMPING: Final = 0.01
"""Added to the diagonal of the covariance, relative to its mean: the value in PEFT."""
EMPTY: Final = 1e-30
"""Length of a component that is rounding: where all weights are zero."""
SCALE: Final = 8.0
"""Logits per unit of a ridge regression on labels: that of the search (nas/tangent.py)."""


@dataclass(frozen=True, slots=True, eq=False)
class DampedCovariance:
    """The covariance of rows plus a multiple of the identity, without a matrix of columns squared.

    directions: float64 [columns, k], orthonormal; values: [k], descending; damping: the value of
    every other direction, and a part of `values`.
    """

    directions: Doubles
    values: Doubles
    damping: float

    def times(self, weights: Doubles) -> Doubles:
        """Return weights [m, columns] @ C."""
        return self._scaled(weights, self.values, self.damping)

    def divided(self, weights: Doubles) -> Doubles:
        """Return weights [m, columns] @ C^-1."""
        return self._scaled(weights, 1 / self.values, 1 / self.damping)

    def _scaled(self, weights: Doubles, values: Doubles, rest: float) -> Doubles:
        inside = weights @ self.directions
        return rest * weights + (inside * (values - rest)) @ self.directions.T


def measure_covariance(rows: Floats) -> DampedCovariance:
    """Measure the damped covariance of rows [n, columns], about zero.  Cost: the eigenvectors of a
    matrix of the smaller of n and columns, squared."""
    wide = rows.astype(np.float64)
    count, columns = wide.shape
    mean = max(float(np.einsum("ij,ij->", wide, wide)) / count / columns, 1e-12)
    if count < columns:
        found, left = np.linalg.eigh(wide @ wide.T / count)
        good = found > 1e-9 * max(float(found[-1]), 1e-12)
        values, directions = found[good], wide.T @ left[:, good] / np.sqrt(found[good] * count)
    else:
        values, directions = np.linalg.eigh(wide.T @ wide / count)
    damping = DAMPING * mean
    kept_values = np.maximum(values[::-1], 0.0) + damping
    return DampedCovariance(np.ascontiguousarray(directions[:, ::-1]), kept_values, damping)


def decompose(
    weights: Doubles, covariance: DampedCovariance, rank: int, *, largest: bool
) -> tuple[Doubles, Doubles]:
    """Return B [outputs, rank] and A [rank, columns] of the largest or the smallest components of
    weights [outputs, columns]; with all components B A equals the weights."""
    left, sizes, right = np.linalg.svd(covariance.times(weights), full_matrices=False)
    chosen = slice(None, rank) if largest else slice(max(0, len(sizes) - rank), None)
    return _balanced(left[:, chosen] * sizes[chosen], covariance.divided(right[chosen]))


def decompose_identity(
    covariance: DampedCovariance, rank: int, seed: int, *, largest: bool
) -> tuple[Doubles, Doubles]:
    """Return B [columns, rank] and A [rank, columns] of the identity; see `decompose`.

    I C = C, whose components are known.  Directions without facts are all equal: some are drawn.
    """
    columns, known = covariance.directions.shape
    free = min(columns - known, rank if not largest else max(0, rank - known))
    drawn = np.random.default_rng(seed).standard_normal((columns, free))
    for _ in range(2):  # Twice: rounding leaves a trace of the known directions the first time.
        drawn -= covariance.directions @ (covariance.directions.T @ drawn)
    fresh = np.linalg.qr(drawn)[0]
    few = rank - free
    part = slice(None, few) if largest else slice(known - few, None)
    directions = np.concatenate([covariance.directions[:, part], fresh], axis=1)
    return directions, directions.T


def _balanced(outer: Doubles, inner: Doubles) -> tuple[Doubles, Doubles]:
    """Return B and A with the same product and equal lengths of each component in both.

    The authors give either side the root of S, and A also C^-1.  AdamW moves all numbers at the
    same rate, so that very short rows of A would lose their start in the first step.
    """
    inward, outward = np.linalg.norm(inner, axis=1), np.linalg.norm(outer, axis=0)
    some = outward > EMPTY
    scale = np.sqrt(inward[some] / outward[some])
    even, turned = np.zeros_like(outer), np.zeros_like(inner)
    even[:, some], turned[some] = outer[:, some] * scale, inner[some] / scale[:, None]
    return even, turned


@dataclass(frozen=True, slots=True)
class CordaRecipe:
    """Low-rank training from components oriented by facts.

    largest: train the largest components, with the covariance of the own facts (the authors'
    instruction-previewed adaptation).  Otherwise the smallest ones, with the covariance of the
    other domains' facts, whose answers change least (knowledge-preserved adaptation); of the own
    facts where there are no others.
    """

    largest: bool
    kinds: tuple[str, ...]

    def applies(self, blueprint: nas.Blueprint) -> bool:
        """See `TrainingRecipe`: one block without an activation, since the start must be equal to
        the identity; half of its rank holds the start."""
        if blueprint.kind == "linear":
            return True
        return blueprint.depth == 1 and blueprint.activation == "none" and blueprint.rank > 1

    def train(self, task: TrainingTask) -> dict[str, Floats]:
        """See `TrainingRecipe`."""
        facts = task.facts
        chosen = facts.own if self.largest or bool(facts.own.all()) else ~facts.own
        covariance = measure_covariance(facts.rows[chosen].numpy())
        if task.blueprint.kind == "linear":
            return _train_linear(task, covariance)
        columns = sum(task.sizes)
        rank = min(task.blueprint.rank // 2, columns)
        outer, inner = decompose_identity(covariance, rank, task.seed, largest=self.largest)
        return _train_residual(task, _tensor(inner.T), _tensor(outer.T))


def _train_linear(task: TrainingTask, covariance: DampedCovariance) -> dict[str, Floats]:
    """Start with the components of the ridge regression; further columns are drawn.

    Fewer columns than labels cannot hold the regression; they are trained plainly.  A start from
    the largest components was behind a drawn one on all six tasks of `benchmarks kinds`.
    """
    facts, start = task.facts, task.start()
    if task.blueprint.width < facts.labels:
        return kept(task, task.train_plainly(start))
    weights = ridge_map(facts, facts.rows).astype(np.float64).T
    outer, inner = decompose(weights, covariance, task.blueprint.width, largest=True)
    count = len(inner)
    start["W"][:, :count] = _tensor(inner.T)
    start[TOP][:count] = _tensor(SCALE * outer.T)
    return kept(task, task.train_plainly(start))


def _train_residual(task: TrainingTask, inner: Tensor, outer: Tensor) -> dict[str, Floats]:
    """Train rows + rows (A B - A0 B0), which starts as the identity.  The start A0 B0 is subtracted
    in the second half of the rank, as PEFT does when it stores such an adapter."""
    start = {"A": inner, "B": outer, TOP: task.start()[TOP]}
    loss = task.loss()

    def joined(parameters: Mapping[str, Tensor]) -> Tensors:
        return {
            "U0": torch.cat([parameters["A"], inner], dim=1),
            "V0": torch.cat([parameters["B"], -outer], dim=0),
        }

    def residual_loss(parameters: Mapping[str, Tensor]) -> Tensor:
        return loss({**joined(parameters), TOP: parameters[TOP]})

    step: Loss = residual_loss
    made = joined(descend(start, step, PLAIN_RATES))
    spare = task.blueprint.rank - made["U0"].shape[1]
    padded = {
        "U0": torch.nn.functional.pad(made["U0"], (0, spare)),
        "V0": torch.nn.functional.pad(made["V0"], (0, 0, 0, spare)),
    }
    return kept(task, padded)


def _tensor(values: Doubles) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
