"""The small networks that methods of unlearning work on: the bottleneck of adaptors with its
classifier or its regression output, and training as growth does it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...growth import AdamW, deterministic

Parameters = Mapping[str, Tensor]
Loss = Callable[[Parameters, int], Tensor]
"""From parameters and the number of the step to a scalar."""

RANK: Final = 64
"""Width of the inner layer: 141,000 parameters on the 2,064 columns of the shipped encoder."""
WIDTH: Final = 128
"""Inputs of the last layer: as RANK."""
DECAY: Final = 1e-2
"""Weight decay: that of growth."""


@dataclass(frozen=True, slots=True)
class TrainingRecipe:
    """How a network is trained.  steps: of AdamW; rate: its learning rate; smoothing: of labels;
    batch: rows in a step, 0 for all."""

    steps: int
    rate: float
    smoothing: float = 0.0
    batch: int = 0


@dataclass(frozen=True, slots=True)
class PeerNetwork:
    """relu(relu(x W0) W1) top + bias.  columns: width of the rows; outputs: labels, or 1 for a
    forecast; answers: "labels" (cross-entropy) or "values" (squared error)."""

    columns: int
    outputs: int
    answers: Literal["labels", "values"] = "labels"

    def initial(self, seed: int) -> Parameters:
        """Draw parameters that keep the variance; the bias is zero."""
        random = np.random.default_rng(seed)
        shapes = {"W0": (self.columns, RANK), "W1": (RANK, WIDTH), "top": (WIDTH, self.outputs)}
        drawn = {
            name: torch.from_numpy(
                (random.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)
            )
            for name, shape in shapes.items()
        }
        return {**drawn, "bias": torch.zeros(self.outputs)}

    def layers(self, parameters: Parameters, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the activations of both hidden layers: float32 [n, 64] and [n, 128]."""
        first = torch.relu(rows @ parameters["W0"])
        return first, torch.relu(first @ parameters["W1"])

    def outputs_of(self, parameters: Parameters, rows: Tensor) -> Tensor:
        """Return logits or forecasts: float32 [n, outputs]."""
        return self.layers(parameters, rows)[1] @ parameters["top"] + parameters["bias"]

    def losses(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """Return the loss of each row."""
        if self.answers == "values":
            return (outputs[:, 0] - targets).square()
        return functional.cross_entropy(
            outputs, targets, reduction="none", label_smoothing=smoothing
        )

    def train(self, rows: Tensor, targets: Tensor, recipe: TrainingRecipe, seed: int) -> Parameters:
        """Train from the seed: bit-equal on one machine for the same arguments."""
        random = np.random.default_rng(seed)

        def loss(parameters: Parameters, step: int) -> Tensor:
            del step
            at = sample_rows(torch.arange(len(rows)), recipe.batch or len(rows), random)
            outputs = self.outputs_of(parameters, rows[at])
            return self.losses(outputs, targets[at], recipe.smoothing).mean()

        return descend(self.initial(seed), loss, recipe.steps, recipe.rate)


def descend(
    start: Parameters,
    loss: Loss,
    steps: int,
    rate: float,
    decay: float = DECAY,
    mask: Parameters | None = None,
) -> Parameters:
    """Take steps of AdamW down a loss; return new parameters, and leave `start` alone.

    mask: 0 or 1 for each weight; those at 0 keep their value.  Stops before a step that is not
    finite.  Parameters that the loss does not use keep their value.
    """

    def gradients(parameters: Parameters, step: int) -> Sequence[Tensor]:
        leaves = list(parameters.values())
        found = torch.autograd.grad(loss(parameters, step), leaves, allow_unused=True)
        # torch declares no None, which it returns for parameters that the loss does not use.
        return [
            torch.zeros_like(leaf) if one is None else one  # type: ignore[redundant-expr]
            for leaf, one in zip(leaves, found, strict=True)
        ]

    return descend_along(start, gradients, steps, rate, decay=decay, mask=mask)


def descend_along(
    start: Parameters,
    gradients: Callable[[Parameters, int], Sequence[Tensor]],
    steps: int,
    rate: float,
    decay: float = DECAY,
    mask: Parameters | None = None,
) -> Parameters:
    """As `descend`, along directions that `gradients` computes from parameters and step."""
    with deterministic():
        parameters = {name: one.detach().clone().requires_grad_() for name, one in start.items()}
        leaves = list(parameters.values())
        kept = [torch.ones_like(one) for one in leaves] if mask is None else list(mask.values())
        optimiser = AdamW(leaves, rate, decay)
        for step in range(steps):
            before = [leaf.detach().clone() for leaf in leaves]
            found = gradients(parameters, step)
            optimiser.step([one * each for one, each in zip(found, kept, strict=True)])
            finite = all(torch.isfinite(leaf.detach().sum()) for leaf in leaves)
            with torch.no_grad():
                for leaf, old, each in zip(leaves, before, kept, strict=True):
                    leaf.copy_(torch.where(each > 0, leaf, old) if finite else old)
            if not finite:
                break
    return {name: one.detach() for name, one in parameters.items()}


def sample_rows(at: Tensor, count: int, random: np.random.Generator) -> Tensor:
    """Return at most `count` of the row numbers, drawn without replacement."""
    if len(at) <= count:
        return at
    return at[torch.from_numpy(random.choice(len(at), count, replace=False))]


def squared_distance(one: Parameters, other: Parameters) -> Tensor:
    """Return the squared Euclidean distance between two sets of parameters."""
    return torch.stack([(one[name] - other[name]).square().sum() for name in one]).sum()


def solve_head(hidden: Tensor, targets: Tensor, labels: int) -> Callable[[Tensor], Tensor]:
    """Solve ridge regression of one column for each label; return its scores, times SHARPNESS."""
    mean = hidden.mean(0)
    wanted = functional.one_hot(targets, labels).float()
    base = wanted.mean(0)
    centred = hidden - mean
    gram = centred.t() @ centred
    gram += torch.eye(len(gram)) * (PENALTY * torch.trace(gram) / len(gram) + RIDGE_MIN)
    weights = torch.linalg.solve(gram, centred.t() @ (wanted - base))
    return lambda rows: SHARPNESS * ((rows - mean) @ weights + base)


PENALTY: Final = 0.3
"""Ridge penalty as a share of the mean eigenvalue: the middle of the product's choices."""
RIDGE_MIN: Final = 1e-3
"""Keeps the system solvable where all columns are zero."""
SHARPNESS: Final = 8.0
"""From regression scores to logits: a lead of 0.5 becomes odds of 50.  Chosen by hand."""
