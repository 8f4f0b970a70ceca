"""Adapters of several domains, trained without labels, mixed by a gate that labels train.

Mixture-of-Domain-Adapters (Diao et al. 2023, abstract; the authors' `mixda_stage_one.py`).
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from torch import Tensor

from ..torch_kinds import torch_activate
from ..training_steps import Floats, Loss, descend
from .denoising import denoising_loss, draw_mask
from .recipe import PLAIN_RATES, TrainingTask, kept

KNOWLEDGE: Final = 0.5
"""Weight of the domain's own rows beside that of rows of other domains, which the adapter leaves as
they are: the authors' default."""


def train_mixture(task: TrainingTask) -> dict[str, Floats]:
    """Train each domain's adapter to restore masked columns of the domain's rows and to leave other
    rows as they are; then freeze them, and train gate and task adapter on labels.

    The own domain comes first, then the domains with the most facts; places without a domain stay
    at zero.
    """
    start = task.start()
    frozen: set[str] = set()
    for place, domain in enumerate(_chosen_domains(task)):
        names = (f"D{place}", f"V{place}")
        adapter = {name: start[name] for name in names}
        start |= descend(adapter, _domain_loss(task, domain, names), PLAIN_RATES)
    for place in range(task.blueprint.depth):
        frozen |= {f"D{place}", f"V{place}"}
    return kept(task, descend(start, task.loss(), PLAIN_RATES, frozen=frozen))


def _chosen_domains(task: TrainingTask) -> list[int]:
    domains, counts = torch.unique(task.facts.domains, return_counts=True)
    many = dict(zip(domains.tolist(), counts.tolist(), strict=True))
    order = sorted(many, key=lambda one: (one != 0, -many[one], one))
    return order[: task.blueprint.depth]


def _domain_loss(task: TrainingTask, domain: int, names: tuple[str, str]) -> Loss:
    inside = task.facts.domains == domain
    own, rest = task.facts.rows[inside], task.facts.rows[~inside]
    random = np.random.default_rng([task.seed, domain])

    def added(given: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        down, up = (given[name] for name in names)
        return torch_activate(task.blueprint.activation, rows @ down) @ up

    def loss(given: Mapping[str, Tensor]) -> Tensor:
        mask = draw_mask(random, own)
        knowledge = denoising_loss(lambda rows: rows + added(given, rows), own, mask)
        kept_same = added(given, rest).square().mean() if len(rest) else torch.zeros(())
        return KNOWLEDGE * knowledge + kept_same

    return loss
