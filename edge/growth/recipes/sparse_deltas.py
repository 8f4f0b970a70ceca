"""Composable sparse deltas: train all entries, keep those that moved most, rewind, train those.

Lottery-ticket sparse fine-tuning (Ansell et al. 2022, abstract; the authors' `lt_sft.py`).  The
delta of the domain learns from its rows without labels, that of the task from labels, each from
the same start; the adaptor adds them.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from torch import Tensor

from ..torch_kinds import TORCH_KINDS
from ..training_steps import TOP, Floats, Loss, descend, weighted_entropy
from .denoising import denoising_loss, draw_mask
from .recipe import PLAIN_RATES, TrainingTask

DENOISED: Final = 128
"""Most rows that the delta of the domain learns from: they bound the time of a step, in which every
entry is trained.  Chosen by hand; effect not measured."""


def train_sparse(task: TrainingTask) -> dict[str, Floats]:
    """Train the delta of the task, and at depth 2 or more those of the domain, each with its own
    masks, and list their entries."""
    parts = [_train_delta(task, _task_losses(task), {TOP: task.start()[TOP]})]
    for number in range(1, task.blueprint.depth):
        parts += [_train_delta(task, _domain_losses(task, number), {})]
    return {
        name: np.concatenate([part[name] for part in parts]) for name in ("row", "column", "value")
    }


def _train_delta(
    task: TrainingTask, losses: tuple[Loss, Loss], beside: dict[str, Tensor]
) -> dict[str, Floats]:
    """Return the entries of one delta.  losses: of the whole matrix, and of listed entries.
    beside: what is trained with them and not kept."""
    read = sum(task.sizes)
    count = task.blueprint.rank * read
    whole = descend({**beside, "delta": torch.zeros(read, read)}, losses[0], PLAIN_RATES)
    moved = whole["delta"].abs().flatten()
    most = torch.topk(moved, min(count, len(moved))).indices.sort().values
    listed = {
        **beside,
        "row": (most // read).to(torch.float32),
        "column": (most % read).to(torch.float32),
        "value": torch.zeros(len(most)),
    }
    made = descend(listed, losses[1], PLAIN_RATES, frozen={"row", "column"})
    # Fewer entries than places: the rest is zero.
    return {
        name: np.pad(made[name].numpy(), (0, count - len(most)))
        for name in ("row", "column", "value")
    }


def _task_losses(task: TrainingTask) -> tuple[Loss, Loss]:
    facts = task.facts

    def whole(given: Mapping[str, Tensor]) -> Tensor:
        top = given[TOP] + given["delta"] @ given[TOP]
        return weighted_entropy(facts.rows @ top, facts)

    return whole, task.loss()


def _domain_losses(task: TrainingTask, number: int) -> tuple[Loss, Loss]:
    own = task.facts.rows[task.facts.own]
    rows = own[torch.linspace(0, len(own) - 1, min(len(own), DENOISED)).round().to(torch.int64)]
    random = np.random.default_rng([task.seed, number])

    def whole(given: Mapping[str, Tensor]) -> Tensor:
        return denoising_loss(lambda some: some + some @ given["delta"], rows, draw(rows))

    def listed(given: Mapping[str, Tensor]) -> Tensor:
        sparse = TORCH_KINDS["sparse"]
        return denoising_loss(
            lambda some: sparse.columns(task.blueprint, given, task.sizes, some), rows, draw(rows)
        )

    def draw(some: Tensor) -> Tensor:
        return draw_mask(random, some)

    return whole, listed
