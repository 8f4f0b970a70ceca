"""Learngene: the layers of a deep block as points on one line, learned once for any depth.

Layer l of L is theta_B + (l / L) theta_A.  The pair is distilled from a trained deep network into
an auxiliary one whose layers lie on the line; networks of any depth then start from it.
(Transformer as Linear Expansion of Learngene, Xia et al. 2024, abstract.)
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

import nas

from ..torch_adaptors import torch_logits
from ..training_steps import Floats, Loss, Tensors, descend, weighted_entropy
from .recipe import PLAIN_RATES, TrainingTask, kept

LAYERS: Final = 4
"""Layers of the teacher and of the auxiliary network: more than any blueprint of the search has.
Chosen by hand; effect not measured."""
DISTILLED: Final = 1.0
"""Weight of the teacher's answers against the labels.  Chosen by hand; effect not measured."""


def expand(base: Tensor, slope: Tensor, layers: int) -> list[Tensor]:
    """Return the layers: base + (l / layers) slope for l from 1."""
    return [base + (layer / layers) * slope for layer in range(1, layers + 1)]


@dataclass(frozen=True, slots=True)
class LearngeneRecipe:
    """Trains a deep blueprint from a start that lies on a line (see the file).  Cost: three times
    plain training, of LAYERS layers twice."""

    kinds: tuple[str, ...] = ("lowrank", "bottleneck")

    def applies(self, blueprint: nas.Blueprint) -> bool:
        """See `TrainingRecipe`: two layers or more of the same shape."""
        return _like_layers(blueprint) > 1

    def train(self, task: TrainingTask) -> dict[str, Floats]:
        """See `TrainingRecipe`."""
        deep = _at_depth(task, LAYERS)
        teacher = deep.train_plainly()
        with torch.no_grad():
            taught = torch_logits(deep.blueprint, teacher, task.sizes, task.facts.rows)
        line = descend(_line(deep), _line_loss(deep, taught), PLAIN_RATES)
        return kept(task, task.train_plainly(from_line(line, task.blueprint)))


def _like_layers(blueprint: nas.Blueprint) -> int:
    """Return how many layers of the blueprint have the same shape, and so lie on the line."""
    return blueprint.depth - 1 if blueprint.kind == "bottleneck" else blueprint.depth


def _chains(blueprint: nas.Blueprint) -> Iterable[tuple[str, range]]:
    """Return the names of the matrices on a line, with their numbers."""
    if blueprint.kind == "bottleneck":
        return (("W", range(2, blueprint.depth + 1)),)
    return tuple((name, range(blueprint.depth)) for name in "UV")


def _at_depth(task: TrainingTask, layers: int) -> TrainingTask:
    """Return the task with so many layers on the line."""
    depth = layers + task.blueprint.depth - _like_layers(task.blueprint)
    blueprint = replace(task.blueprint, depth=depth)
    shapes = dict(task.shapes)
    for name, numbers in _chains(blueprint):
        shape = shapes[f"{name}{numbers[0]}"]
        shapes |= {f"{name}{number}": shape for number in numbers}
    return replace(task, blueprint=blueprint, shapes=shapes)


def _line(task: TrainingTask) -> Tensors:
    """Draw a start: the base of each chain from its first layer, a slope of zero."""
    start = task.start()
    for name, numbers in _chains(task.blueprint):
        first, *_ = [start.pop(f"{name}{number}") for number in numbers]
        start |= {f"{name}_base": first, f"{name}_slope": torch.zeros_like(first)}
    return start


def from_line(line: Mapping[str, Tensor], blueprint: nas.Blueprint) -> Tensors:
    """Return the parameters of a blueprint of any depth."""
    made = dict(line)
    for name, numbers in _chains(blueprint):
        base, slope = made.pop(f"{name}_base"), made.pop(f"{name}_slope")
        layers = expand(base, slope, len(numbers))
        made |= {f"{name}{number}": one for number, one in zip(numbers, layers, strict=True)}
    return made


def _line_loss(task: TrainingTask, taught: Tensor) -> Loss:
    expected = functional.softmax(taught, dim=1)
    facts = task.facts

    def loss(line: Mapping[str, Tensor]) -> Tensor:
        made = from_line(line, task.blueprint)
        scores = torch_logits(task.blueprint, made, task.sizes, facts.rows)
        apart = functional.kl_div(
            functional.log_softmax(scores, dim=1), expected, reduction="none"
        ).sum(dim=1)
        return weighted_entropy(scores, facts) + DISTILLED * apart.mean()

    return loss
