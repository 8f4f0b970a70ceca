"""Gradients for training over devices: the networks of adaptors and forecasters, on numpy arrays.

The optimiser is not here: federated strategies decide on rates and steps (`edge.federation`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import nas

from .forecaster_training import ForecastTrainingSet, network_loss
from .optimisation import deterministic
from .torch_adaptors import torch_logits

Floats = NDArray[np.float32]
Losses = tuple[float, dict[str, Floats]]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AdaptorRows:
    """Standardised rows float32 [n, columns] of one device with label numbers int64 [n], for a
    blueprint whose taps have `sizes` columns."""

    blueprint: nas.Blueprint
    sizes: tuple[int, ...]
    rows: Floats = field(repr=False)
    targets: NDArray[np.int64] = field(repr=False)

    def gradient(self, arrays: Mapping[str, NDArray[Any]], at: NDArray[np.intp]) -> Losses:
        """Return the mean cross-entropy of some rows and its gradient by the names of `arrays`:
        those of the transform, and `top` [out, labels]."""
        leaves = _leaves(arrays)
        with deterministic():
            scores = torch_logits(
                self.blueprint, leaves, self.sizes, torch.from_numpy(self.rows[at])
            )
            targets = torch.from_numpy(self.targets[at])
            return _backward(torch.nn.functional.cross_entropy(scores, targets), leaves)

    def score(self, arrays: Mapping[str, NDArray[Any]]) -> Floats:
        """Return the scores of all rows, float32 [n, labels]."""
        leaves = {name: torch.from_numpy(value) for name, value in arrays.items()}
        with torch.no_grad():
            made = torch_logits(self.blueprint, leaves, self.sizes, torch.from_numpy(self.rows))
        return np.asarray(made.numpy())


def forecaster_gradient(
    kind: str,
    arrays: Mapping[str, NDArray[Any]],
    corpus: Sequence[ForecastTrainingSet],
    random: np.random.Generator,
) -> Losses:
    """Return the Huber loss of a forecasting network on random windows of streams, each longer than
    a window, and its gradient by the names of `arrays`.  kind: "cfc" or "gru"."""
    leaves = _leaves(arrays)
    with deterministic():
        return _backward(network_loss(kind, leaves, corpus, random), leaves)


def _leaves(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(one.copy()).requires_grad_() for name, one in arrays.items()}


def _backward(loss: Tensor, leaves: Mapping[str, Tensor]) -> Losses:
    found = torch.autograd.grad(loss, list(leaves.values()))
    named = zip(leaves, found, strict=True)
    return float(loss.detach()), {name: np.asarray(one.numpy()) for name, one in named}
