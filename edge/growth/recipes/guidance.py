"""Guidance: representations are aligned with those of a guide network while they are trained.

The loss adds one minus the linear CKA (Kornblith et al. 2019, section 3) of each layer with a layer
of the guide at the same relative depth; the guide stays as it is, trained or not.  (Training the
Untrainable, Subramaniam et al. 2024, abstract, and its authors' code.)
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

import nas

from ..torch_adaptors import torch_transform
from ..training_steps import Floats, descend
from .recipe import PLAIN_RATES, TrainingTask, kept

GUIDE_RANK: Final = 128
"""Width of the guide's first layer: that of the widest blueprint of the search."""
GUIDE_WIDTH: Final = 256
"""Width of the guide's further layers.  Chosen by hand; effect not measured."""
GUIDE_DEPTH: Final = 2
"""Layers of the guide after the first one.  Chosen by hand; effect not measured."""
TINY: Final = 1e-12
"""Added to the energy of a representation, which may be zero."""


def centred_products(rows: Tensor) -> Tensor:
    """Return the products of rows [n, k] about their mean, [n, n], with a norm of one."""
    centred = rows - rows.mean(dim=0)
    products = centred @ centred.t()
    return products / (products.square().sum() + TINY).sqrt()


def alignment(rows: Tensor, guide: Tensor) -> Tensor:
    """Return the linear CKA of rows [n, k] with the `centred_products` of a guide: 0 to 1."""
    return (centred_products(rows) * guide).sum()


def guide_layer(layer: int, layers: int, guides: int) -> int:
    """Return the guide's layer for a layer, at the same relative depth; a single one gets the
    last."""
    return round(layer * (guides - 1) / (layers - 1)) if layers > 1 else guides - 1


@dataclass(frozen=True, slots=True)
class GuidedRecipe:
    """Training with a guide: a network of ReLU layers on the same columns.  trained: on the same
    facts; otherwise it stays as it was drawn.  Cost: twice plain training, and n^2 products per
    step."""

    trained: bool
    kinds: tuple[str, ...] = ("linear", "lowrank", "bottleneck", "fusion")

    def applies(self, blueprint: nas.Blueprint) -> bool:
        """See `TrainingRecipe`: always."""
        del blueprint
        return True

    def train(self, task: TrainingTask) -> dict[str, Floats]:
        """See `TrainingRecipe`."""
        guides = self._guides(task)
        plain, rows = task.loss(), task.facts.rows
        layers = _layers(task.blueprint)

        def loss(parameters: Mapping[str, Tensor]) -> Tensor:
            total = plain(parameters)
            for number, layer in enumerate(layers):
                made = torch_transform(layer, parameters, task.sizes, rows)
                at = guide_layer(number, len(layers), len(guides))
                total = total + 1 - alignment(made, guides[at])
            return total

        return kept(task, descend(task.start(), loss, PLAIN_RATES))

    def _guides(self, task: TrainingTask) -> list[Tensor]:
        """Return the `centred_products` of the guide's layers."""
        read = sum(task.sizes)
        blueprint = nas.Blueprint(
            kind="bottleneck",
            taps=task.blueprint.taps,
            width=GUIDE_WIDTH,
            rank=GUIDE_RANK,
            activation="relu",
            depth=GUIDE_DEPTH,
        )
        shapes = {"W0": (read, GUIDE_RANK), "W1": (GUIDE_RANK, GUIDE_WIDTH)}
        shapes |= {f"W{at}": (GUIDE_WIDTH, GUIDE_WIDTH) for at in range(2, GUIDE_DEPTH + 1)}
        # Another seed than that of the blueprint, which may have the same shapes.
        guide = replace(task, blueprint=blueprint, shapes=shapes, seed=task.seed + 1)
        parameters = guide.train_plainly() if self.trained else guide.start()
        with torch.no_grad():
            return [
                centred_products(torch_transform(layer, parameters, task.sizes, task.facts.rows))
                for layer in _layers(blueprint)
            ]


def _layers(blueprint: nas.Blueprint) -> list[nas.Blueprint]:
    """Return blueprints that end after each layer."""
    return [replace(blueprint, depth=depth) for depth in range(1, blueprint.depth + 1)]
