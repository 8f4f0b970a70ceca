"""Plain training: a fixed number of full-batch steps from a drawn start."""

from dataclasses import dataclass
from typing import Final

import nas

from ...core.adaptors import SOLVED_KINDS
from ..training_steps import STEPS, Floats, descend
from .recipe import TrainingTask, kept
from .stages import STAGED

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
        if task.blueprint.kind in STAGED:
            return STAGED[task.blueprint.kind](task)
        return kept(task, descend(task.start(), task.loss(), (1.0,) * self.steps))
