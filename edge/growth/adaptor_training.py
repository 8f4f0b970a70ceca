"""Training the parameters of a blueprint, a fixed number of full-batch steps from a fixed seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import nas

from ..core import FactBatch
from ..core.adaptors import (
    LEVELS,
    Spans,
    Standardisation,
    standardise,
    standardising_arrays,
    transform_shapes,
    tune_kernel,
)
from .adamw import AdamW
from .determinism import repeatable
from .torch_adaptors import torch_logits, torch_transform

STEPS: Final = 24
RATE: Final = 3e-3
DECAY: Final = 1e-2
SMOOTHING: Final = 0.1
SUPPORT_FACTS: Final = 512
SUPPORT_WEIGHT: Final = 0.3

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class AdaptorTrainingSet:
    """Standardised rows float32 [n, read] of all facts, label numbers and weights [n]."""

    rows: Tensor
    targets: Tensor
    weights: Tensor
    labels: int


def train_adaptor(
    blueprint: nas.Blueprint, own: FactBatch, others: FactBatch, spans: Spans, seed: int
) -> dict[str, Floats]:
    """Train a blueprint on a domain's facts; return all arrays of its transform.

    own: at least one fact; others: support, of which 512 at most take part.  A throw-away linear
    classifier on top gives the gradients (cross-entropy, AdamW).  Bit-equal on one machine for the
    same arguments.  Steps whose loss is not finite are not taken: the arrays are always finite.
    Raises StateCorruptError for a blueprint that does not fit the spans.
    """
    standard = standardise(own, others, spans)
    if blueprint.kind == "kernel":
        return tune_kernel(blueprint, own, standard, spans)
    arrays = standardising_arrays(blueprint, standard, spans)
    wanted = {n: s for n, s in transform_shapes(blueprint, spans).items() if n not in arrays}
    if not wanted:
        return arrays
    lessons = _lessons(blueprint, own, others, standard, spans)
    sizes = tuple(spans[tap][1] - spans[tap][0] for tap in blueprint.taps)
    return arrays | _descend(blueprint, wanted, sizes, lessons, seed)


def _lessons(
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
    numbers = torch.from_numpy(targets.astype(np.int64))
    return AdaptorTrainingSet(
        torch.from_numpy(rows), numbers, torch.from_numpy(weights), len(labels)
    )


def _descend(
    blueprint: nas.Blueprint,
    wanted: Mapping[str, tuple[int, ...]],
    sizes: tuple[int, ...],
    lessons: AdaptorTrainingSet,
    seed: int,
) -> dict[str, Floats]:
    """Take the steps, so that they repeat."""
    with repeatable():
        return _steps(blueprint, _start(wanted, seed), sizes, lessons, seed)


def _start(wanted: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    """Draw parameters: variance-preserving, with residual branches and gates at rest."""
    random = np.random.default_rng(seed)
    made = {}
    for name, shape in sorted(wanted.items()):
        values = random.standard_normal(shape) / np.sqrt(shape[0])
        made[name] = values * (0.0 if name[0] in "VgF" else 1.0)
    return {name: torch.from_numpy(values.astype(np.float32)) for name, values in made.items()}


def _steps(
    blueprint: nas.Blueprint,
    start: dict[str, Tensor],
    sizes: tuple[int, ...],
    lessons: AdaptorTrainingSet,
    seed: int,
) -> dict[str, Floats]:
    with torch.no_grad():
        out = torch_transform(blueprint, start, sizes, lessons.rows[:1]).shape[1]
    top = np.random.default_rng(seed).standard_normal((out, lessons.labels)) / np.sqrt(out)
    parameters = {**start, "top": torch.from_numpy(top.astype(np.float32))}
    leaves = [value.requires_grad_() for value in parameters.values()]
    steps = AdamW(leaves, RATE, DECAY)
    for _ in range(STEPS):
        scores = torch_logits(blueprint, parameters, sizes, lessons.rows)
        losses = torch.nn.functional.cross_entropy(
            scores, lessons.targets, reduction="none", label_smoothing=SMOOTHING
        )
        loss = (losses * lessons.weights).sum() / lessons.weights.sum()
        kept = [value.detach().clone() for value in leaves]
        steps.take(torch.autograd.grad(loss, leaves))
        # A sum is finite only where all of its terms are.
        if not all(torch.isfinite(value.detach().sum()) for value in leaves):
            with torch.no_grad():
                for value, before in zip(leaves, kept, strict=True):
                    value.copy_(before)
            break
    return {name: parameters[name].detach().numpy().copy() for name in start}
