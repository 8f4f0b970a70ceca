"""Training of a blueprint's parameters: a fixed number of full-batch steps from a fixed seed."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import nas

from ..core import FactBatch
from ..core.adaptors import (
    LEVELS,
    SOLVED_KINDS,
    Spans,
    Standardisation,
    solve_arrays,
    standardise,
    standardising_arrays,
    transform_shapes,
)
from .optimisation import AdamW, deterministic
from .torch_adaptors import torch_logits, torch_transform

STEPS: Final = 24
"""Full-batch steps: a tenth of a second per candidate.  Chosen by hand; effect not measured."""
RATE: Final = 3e-3
"""Learning rate of AdamW: large, since there are few steps.  Chosen by hand; effect not
measured."""
DECAY: Final = 1e-2
"""Weight decay: the default of torch."""
SMOOTHING: Final = 0.1
"""Label smoothing: the value of its authors (Szegedy et al. 2016, section 7)."""
SUPPORT_FACTS: Final = 512
"""Most facts of other domains in a training: they bound its time.  Chosen by hand; effect not
measured."""
SUPPORT_WEIGHT: Final = 0.3
"""Weight of another domain's fact while own facts are as many.  Chosen by hand; effect not
measured."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AdaptorTrainingSet:
    """Standardised rows float32 [n, read] of all facts, with label numbers int64 [n] and weights
    float32 [n].  slices: number of the slice of each fact, int64 [n], of a `sliced` blueprint."""

    rows: Tensor
    targets: Tensor
    weights: Tensor
    slices: Tensor
    labels: int


def train_adaptor(
    blueprint: nas.Blueprint, own: FactBatch, others: FactBatch, spans: Spans, seed: int
) -> dict[str, Floats]:
    """Train a blueprint on a domain's facts; return all arrays of its transform.

    own: at least one fact; others: facts of other domains, of which at most 512 take part.  A
    temporary linear classifier on top provides the gradients (cross-entropy, AdamW).  Bit-equal on
    one machine for the same arguments.  Training stops before a step that is not finite, so that
    the arrays are always finite.  Raises StateCorruptError for a blueprint that does not fit the
    spans.
    """
    if blueprint.kind in SOLVED_KINDS:
        return solve_arrays(blueprint, own, others, spans)
    standard = standardise(own, others, spans)
    arrays = standardising_arrays(blueprint, standard, spans)
    missing = {n: s for n, s in transform_shapes(blueprint, spans).items() if n not in arrays}
    training_set = _training_set(blueprint, own, others, standard, spans)
    sizes = tuple(spans[tap][1] - spans[tap][0] for tap in blueprint.taps)
    return arrays | _train(blueprint, missing, sizes, training_set, seed)


def _training_set(
    blueprint: nas.Blueprint,
    own: FactBatch,
    others: FactBatch,
    standard: Standardisation,
    spans: Spans,
) -> AdaptorTrainingSet:
    columns = np.concatenate([np.arange(*spans[tap]) for tap in blueprint.taps])
    few = np.linspace(0, len(others) - 1, min(len(others), SUPPORT_FACTS)).astype(np.intp)
    rows = LEVELS[own.features[:, columns]] - standard.centre[columns]
    if len(few):
        centres = standard.centres[standard.numbers[few]][:, columns]
        rows = np.concatenate([rows, LEVELS[others.features[few][:, columns]] - centres])
    rows *= standard.factor[columns]
    names = [*own.labels, *(others.labels[row] for row in few)]
    labels, targets = np.unique(np.array(names), return_inverse=True)
    weights = np.ones(len(names), np.float32)
    weights[len(own) :] = SUPPORT_WEIGHT * min(1.0, len(own) / max(1, len(few)))
    ids = [*own.ids, *(others.ids[row] for row in few)]
    return AdaptorTrainingSet(
        rows=torch.from_numpy(rows),
        targets=torch.from_numpy(targets.astype(np.int64)),
        weights=torch.from_numpy(weights),
        slices=torch.tensor([_slice_of(one, blueprint.depth) for one in ids]),
        labels=len(labels),
    )


def _slice_of(fact_id: str, slices: int) -> int:
    """Return a fact's slice, which depends on its id alone: no fact moves when another goes."""
    return hashlib.sha256(fact_id.encode()).digest()[0] % slices


def _train(
    blueprint: nas.Blueprint,
    missing: Mapping[str, tuple[int, ...]],
    sizes: tuple[int, ...],
    training_set: AdaptorTrainingSet,
    seed: int,
) -> dict[str, Floats]:
    """Train reproducibly."""
    with deterministic():
        if blueprint.kind == "sliced":
            return _train_slices(blueprint, missing, training_set, seed)
        return _steps(blueprint, _initial_parameters(missing, seed), sizes, training_set, seed)


def _train_slices(
    blueprint: nas.Blueprint,
    missing: Mapping[str, tuple[int, ...]],
    training_set: AdaptorTrainingSet,
    seed: int,
) -> dict[str, Floats]:
    """Train the blocks of a `sliced` blueprint one after another, each on one more slice of the
    facts; earlier blocks stay as they are (S3T, Chowdhury et al. 2024, section 3)."""
    one = replace(blueprint, kind="lowrank", depth=1)
    start = _initial_parameters(missing, seed)
    made: dict[str, Floats] = {}
    rows = training_set.rows
    for layer in range(blueprint.depth):
        seen = training_set.slices <= layer
        part = replace(
            training_set,
            rows=rows[seen],
            targets=training_set.targets[seen],
            weights=training_set.weights[seen],
        )
        block = {"U0": start[f"U{layer}"], "V0": start[f"V{layer}"]}
        if len(part.rows):
            trained = _steps(one, block, (), part, seed)
        else:
            trained = {name: value.numpy() for name, value in block.items()}
        made |= {f"U{layer}": trained["U0"], f"V{layer}": trained["V0"]}
        with torch.no_grad():
            tensors = {name: torch.from_numpy(value) for name, value in trained.items()}
            rows = torch_transform(one, tensors, (), rows)
    return made


def _initial_parameters(missing: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    """Draw parameters: variance-preserving, with residual branches and gates at zero."""
    random = np.random.default_rng(seed)
    made = {}
    for name, shape in sorted(missing.items()):
        values = random.standard_normal(shape) / np.sqrt(shape[0])
        made[name] = values * (0.0 if name[0] in "VgF" else 1.0)
    return {name: torch.from_numpy(values.astype(np.float32)) for name, values in made.items()}


def _steps(
    blueprint: nas.Blueprint,
    start: dict[str, Tensor],
    sizes: tuple[int, ...],
    training_set: AdaptorTrainingSet,
    seed: int,
) -> dict[str, Floats]:
    with torch.no_grad():
        out = torch_transform(blueprint, start, sizes, training_set.rows[:1]).shape[1]
    top = np.random.default_rng(seed).standard_normal((out, training_set.labels)) / np.sqrt(out)
    parameters = {**start, "top": torch.from_numpy(top.astype(np.float32))}
    leaves = [value.requires_grad_() for value in parameters.values()]
    optimiser = AdamW(leaves, RATE, DECAY)
    for _ in range(STEPS):
        scores = torch_logits(blueprint, parameters, sizes, training_set.rows)
        losses = torch.nn.functional.cross_entropy(
            scores, training_set.targets, reduction="none", label_smoothing=SMOOTHING
        )
        loss = (losses * training_set.weights).sum() / training_set.weights.sum()
        previous = [value.detach().clone() for value in leaves]
        optimiser.step(torch.autograd.grad(loss, leaves))
        # A sum is finite only if all of its terms are.
        if not all(torch.isfinite(value.detach().sum()) for value in leaves):
            with torch.no_grad():
                for value, before in zip(leaves, previous, strict=True):
                    value.copy_(before)
            break
    return {name: parameters[name].detach().numpy().copy() for name in start}
