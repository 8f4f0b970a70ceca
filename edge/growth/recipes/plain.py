"""Plain training: a fixed number of full-batch steps from a drawn start."""

from dataclasses import dataclass, replace
from typing import Final

import torch

import nas

from ...core.adaptors import SOLVED_KINDS
from ..torch_adaptors import torch_transform
from ..training_steps import STEPS, TOP, Floats, cross_entropy, descend, initial_top
from .recipe import PLAIN_RATES, TrainingTask, kept

TRAINED_KINDS: Final = tuple(kind for kind in nas.KINDS if kind not in SOLVED_KINDS)
"""Kinds with trained parameters."""


@dataclass(frozen=True, slots=True)
class PlainRecipe:
    """Steps of AdamW on the cross-entropy of all facts.  steps: how many."""

    steps: int = STEPS
    kinds: tuple[str, ...] = TRAINED_KINDS

    def applies(self, blueprint: nas.Blueprint) -> bool:
        """See `TrainingRecipe`: always."""
        del blueprint
        return True

    def train(self, task: TrainingTask) -> dict[str, Floats]:
        """See `TrainingRecipe`."""
        if task.blueprint.kind == "sliced":
            return _train_slices(task)
        return kept(task, descend(task.start(), task.loss(), (1.0,) * self.steps))


def _train_slices(task: TrainingTask) -> dict[str, Floats]:
    """Train the blocks of a `sliced` blueprint one after another, each on one more slice of the
    facts; earlier blocks stay as they are (S3T, Chowdhury et al. 2024, section 3)."""
    one = replace(task.blueprint, kind="lowrank", depth=1)
    start = task.start()
    made: dict[str, Floats] = {}
    rows = task.facts.rows
    for layer in range(task.blueprint.depth):
        part = replace(task.facts, rows=rows).part(task.facts.slices <= layer)
        block = {"U0": start[f"U{layer}"], "V0": start[f"V{layer}"]}
        if len(part.rows):
            top = initial_top(rows.shape[1], part.labels, task.seed)
            block = descend({**block, TOP: top}, cross_entropy(one, (), part), PLAIN_RATES)
        made |= {f"{name}{layer}": block[f"{name}0"].numpy().copy() for name in "UV"}
        with torch.no_grad():
            rows = torch_transform(one, block, (), rows)
    return made
