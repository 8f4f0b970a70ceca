"""A warm-up with a frozen model, after which old facts take no part.

Efficient Online Reinforcement Learning Fine-Tuning Need Not Retain Offline Data (WSRL, Zhou et al.
2024, abstract): a model trained on old data first meets the new stream frozen; what reads it out is
recalibrated to the new distribution, and the old data is then let go of.
"""

from dataclasses import dataclass
from typing import Final

import nas

from ..training_steps import Floats, descend
from .continual import KINDS
from .recipe import PLAIN_RATES, TrainingTask, kept

WARM_STEPS: Final = 8
"""Steps in which only the classifier on top follows the new facts.  Chosen by hand; effect not
measured."""


@dataclass(frozen=True, slots=True)
class WarmStartRecipe:
    """Trains on old facts, recalibrates the classifier on top to the new ones, and goes on with
    these alone.  Cost: twice plain training."""

    kinds: tuple[str, ...] = KINDS

    def applies(self, blueprint: nas.Blueprint) -> bool:
        """See `TrainingRecipe`: always."""
        del blueprint
        return True

    def train(self, task: TrainingTask) -> dict[str, Floats]:
        """See `TrainingRecipe`."""
        old, new = task.split()
        parameters = task.start()
        if len(old.rows):
            parameters = task.train_plainly(parameters, old)
        rates = (1.0,) * WARM_STEPS
        parameters = descend(parameters, task.loss(new), rates, frozen=frozenset(task.shapes))
        return kept(task, descend(parameters, task.loss(new), PLAIN_RATES))
