"""Emulated fine-tuning: the change of a small model, added to a large one.

logits = large base + (small tuned - small base) (An Emulator for Fine-Tuning Large Language Models
using Small Language Models, Mitchell et al. 2023, abstract).  The models are ridge regressions of
the labels: the large one reads all columns of the blueprint, the small one those of its first tap.
A base knows the facts of other domains, the tuned one also those of the domain.  As all three are
linear, so is their sum: it becomes the first columns of a `linear` adaptor, and the head that is
solved on top scales it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

import nas

from ..training_set import AdaptorTrainingSet
from ..training_steps import TOP, Floats, descend
from .recipe import PLAIN_RATES, TrainingTask, kept
from .ridge import ridge_map


def emulated_map(facts: AdaptorTrainingSet, small: int) -> Floats:
    """Return float32 [columns, labels]: large base + (small tuned - small base).

    small: columns that the small model reads, the first ones.  Without other domains the bases know
    nothing, and the small tuned model is left.
    """
    base = facts.part(~facts.own)
    made = np.zeros((facts.rows.shape[1], facts.labels), np.float32)
    made[:small] = ridge_map(facts, facts.rows[:, :small])
    if len(base.rows):
        made += ridge_map(base, base.rows)
        made[:small] -= ridge_map(base, base.rows[:, :small])
    return made


@dataclass(frozen=True, slots=True)
class EmulatedRecipe:
    """Columns that hold the emulated logits, beside trained ones as far as the width allows; a
    smaller width holds their principal part.  Cost: three ridge regressions, and plain training
    where the width is larger than the labels."""

    kinds: tuple[str, ...] = ("linear",)

    def applies(self, blueprint: nas.Blueprint) -> bool:
        """See `TrainingRecipe`: a small model needs a tap of its own."""
        return len(blueprint.taps) > 1

    def train(self, task: TrainingTask) -> dict[str, Floats]:
        """See `TrainingRecipe`."""
        whole = emulated_map(task.facts, task.sizes[0])
        if task.blueprint.width <= whole.shape[1]:
            left, sizes, _ = np.linalg.svd(whole.astype(np.float64), full_matrices=False)
            few = slice(None, task.blueprint.width)
            narrow = np.zeros((len(whole), task.blueprint.width), np.float32)
            narrow[:, : len(sizes)] = (left[:, few] * sizes[few]).astype(np.float32)
            return {"W": narrow}
        fixed = torch.from_numpy(whole)
        start, loss = task.start(), task.loss()

        def joined(parameters: Mapping[str, Tensor]) -> Tensor:
            return torch.cat([fixed, parameters["W"]], dim=1)

        def joined_loss(parameters: Mapping[str, Tensor]) -> Tensor:
            return loss({"W": joined(parameters), TOP: parameters[TOP]})

        start["W"] = start["W"][:, whole.shape[1] :]
        made = descend(start, joined_loss, PLAIN_RATES)
        return kept(task, {"W": joined(made)})
