"""Steps of gradient descent on the parameters of a blueprint, from a fixed start."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

import nas

from .optimisation import AdamW
from .torch_adaptors import torch_logits
from .training_set import AdaptorTrainingSet

STEPS: Final = 24
"""Full-batch steps: a tenth of a second per candidate.  Chosen by hand; effect not measured."""
RATE: Final = 3e-3
"""Learning rate of AdamW: large, since there are few steps.  Chosen by hand; effect not
measured."""
DECAY: Final = 1e-2
"""Weight decay: the default of torch."""
SMOOTHING: Final = 0.1
"""Label smoothing: the value of its authors (Szegedy et al. 2016, section 7)."""
TOP: Final = "top"
"""Name of the temporary linear classifier on the inputs of the head, which is not kept."""

Floats = NDArray[np.float32]
Tensors = dict[str, Tensor]
Loss = Callable[[Mapping[str, Tensor]], Tensor]
"""From parameters, by name, to a number."""


def initial_parameters(shapes: Mapping[str, tuple[int, ...]], seed: int) -> Tensors:
    """Draw parameters: variance-preserving, with residual branches and gates at zero."""
    random = np.random.default_rng(seed)
    made = {}
    for name, shape in sorted(shapes.items()):
        values = random.standard_normal(shape) / np.sqrt(shape[0])
        made[name] = values * (0.0 if name[0] in "VgF" else 1.0)
    return {name: torch.from_numpy(values.astype(np.float32)) for name, values in made.items()}


def initial_top(out: int, labels: int, seed: int) -> Tensor:
    """Draw the temporary classifier [out, labels]."""
    top = np.random.default_rng(seed).standard_normal((out, labels)) / np.sqrt(out)
    return torch.from_numpy(top.astype(np.float32))


def cross_entropy(
    blueprint: nas.Blueprint, sizes: tuple[int, ...], facts: AdaptorTrainingSet
) -> Loss:
    """Return the loss of plain training: the mean cross-entropy by the weights of the facts."""

    def loss(parameters: Mapping[str, Tensor]) -> Tensor:
        return weighted_entropy(torch_logits(blueprint, parameters, sizes, facts.rows), facts)

    return loss


def weighted_entropy(scores: Tensor, facts: AdaptorTrainingSet) -> Tensor:
    """Return the mean cross-entropy of scores [n, labels] by the weights of the facts."""
    losses = functional.cross_entropy(
        scores, facts.targets, reduction="none", label_smoothing=SMOOTHING
    )
    return (losses * facts.weights).sum() / facts.weights.sum()


def descend(
    start: Mapping[str, Tensor],
    loss: Loss,
    rates: Sequence[float],
    frozen: AbstractSet[str] = frozenset(),
) -> Tensors:
    """Take a step of AdamW per rate, relative to RATE; return all parameters.

    frozen: names of parameters that stay as they are.  Stops before a step that is not finite, so
    that finite parameters stay finite.
    """
    parameters = {name: value.detach().clone() for name, value in start.items()}
    leaves = [one.requires_grad_() for name, one in parameters.items() if name not in frozen]
    optimiser = AdamW(leaves, RATE, DECAY)
    for rate in rates:
        previous = [value.detach().clone() for value in leaves]
        optimiser.step(torch.autograd.grad(loss(parameters), leaves), rate)
        # A sum is finite only if all of its terms are.
        if not all(torch.isfinite(value.detach().sum()) for value in leaves):
            with torch.no_grad():
                for value, before in zip(leaves, previous, strict=True):
                    value.copy_(before)
            break
    return {name: value.detach() for name, value in parameters.items()}
