"""Logit-swap self-distillation: a model keeps its own beliefs, with the right label on top.

The teacher is the model before it is adapted.  Where its highest logit is not that of the label,
the two change places; the adapted model is trained on the labels and on these answers, so that the
order of all other labels is kept.  (Mix-CPT, Jiang et al. 2024, abstract; the update after a public
reimplementation.)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

import nas

from ..torch_adaptors import torch_logits
from ..training_steps import Floats, descend, weighted_entropy
from .continual import KINDS
from .recipe import PLAIN_RATES, TrainingTask, kept

SHARE: Final = 0.3
"""Weight of the teacher's answers against the labels: that of the reimplementation."""


def swap_logits(logits: Tensor, targets: Tensor) -> Tensor:
    """Return logits [n, labels] with the highest one and that of the target exchanged."""
    rows = torch.arange(len(logits))
    highest = logits.argmax(dim=1)
    swapped = logits.clone()
    swapped[rows, highest] = logits[rows, targets]
    swapped[rows, targets] = logits[rows, highest]
    return swapped


@dataclass(frozen=True, slots=True)
class LogitSwapRecipe:
    """Trains on old facts, then on all of them with the swapped answers of the model so far.  Cost:
    twice plain training."""

    kinds: tuple[str, ...] = KINDS

    def applies(self, blueprint: nas.Blueprint) -> bool:
        """See `TrainingRecipe`: always."""
        del blueprint
        return True

    def train(self, task: TrainingTask) -> dict[str, Floats]:
        """See `TrainingRecipe`."""
        old, facts = task.split()[0], task.facts
        parameters = task.start()
        if len(old.rows):
            parameters = task.train_plainly(parameters, old)
        with torch.no_grad():
            logits = torch_logits(task.blueprint, parameters, task.sizes, facts.rows)
            taught = functional.softmax(swap_logits(logits, facts.targets), dim=1)

        def loss(leaves: Mapping[str, Tensor]) -> Tensor:
            scores = torch_logits(task.blueprint, leaves, task.sizes, facts.rows)
            apart = functional.kl_div(
                functional.log_softmax(scores, dim=1), taught, reduction="none"
            ).sum(dim=1)
            share = (apart * facts.weights).sum() / facts.weights.sum()
            return weighted_entropy(scores, facts) + SHARE * share

        return kept(task, descend(parameters, loss, PLAIN_RATES))
