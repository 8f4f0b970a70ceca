"""Kinds that plain training trains in stages, or with a loss of their own."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from ..torch_adaptors import torch_transform
from ..torch_kinds import choose_keys
from ..training_set import AdaptorTrainingSet
from ..training_steps import TOP, Floats, Loss, cross_entropy, descend, initial_top
from .domain_mixture import train_mixture
from .recipe import PLAIN_RATES, TrainingTask, kept
from .routed_skills import train_averaged, train_routed, train_routing
from .sparse_deltas import train_sparse

PULL: Final = 0.5
"""Weight of the cosine between rows and the keys that they match, beside the cross-entropy.  Chosen
by hand; effect not measured."""


def train_slices(task: TrainingTask) -> dict[str, Floats]:
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


def train_hydra(task: TrainingTask) -> dict[str, Floats]:
    """Train the projection on the facts of other domains, as the layer that was there before, then
    freeze it and train the branches on all facts (Hydra, Kim et al. 2024, abstract).

    Without other domains the projection is trained on the own facts.  Width 0: the branches alone.
    """
    start = task.start()
    if not task.blueprint.width:
        return kept(task, descend(start, task.loss(), PLAIN_RATES))
    facts = task.facts
    before = facts if bool(facts.own.all()) else facts.part(~facts.own)
    linear = replace(task.blueprint, kind="linear", rank=0, activation="none")
    layer = {"W": start["W"], TOP: start[TOP]}
    layer = descend(layer, cross_entropy(linear, task.sizes, before), PLAIN_RATES)
    return kept(task, descend(start | layer, task.loss(), PLAIN_RATES, frozen={"W"}))


def train_taps(task: TrainingTask) -> dict[str, Floats]:
    """Train adapters that read columns before their scaling, which stays as it is."""
    loss, factor = task.loss(), task.facts.factor
    start = task.start()
    return kept(task, descend(start, lambda given: loss({**given, "factor": factor}), PLAIN_RATES))


def train_pool(task: TrainingTask) -> dict[str, Floats]:
    """Train a pool of modulators: each by the rows that match its key, and the keys by a pull
    towards those rows (L2M, Schmied et al. 2023; the authors' `l2p.py`, without its count penalty,
    an option there)."""
    facts = task.facts
    return kept(task, descend(task.start(), _pulled(task.loss(), facts), PLAIN_RATES))


def _pulled(loss: Loss, facts: AdaptorTrainingSet) -> Loss:
    lengths = facts.rows.norm(dim=1).clamp(min=1e-12)

    def pulled(parameters: Mapping[str, Tensor]) -> Tensor:
        keys = parameters["K"]
        keys = keys / keys.norm(dim=1, keepdim=True).clamp(min=1e-12)
        matched = keys[choose_keys(keys.detach(), facts.rows)]
        cosines = (facts.rows * matched).sum(dim=1) / lengths
        pull = (cosines * facts.weights).sum() / facts.weights.sum()
        return loss(parameters) - PULL * pull

    return pulled


STAGED: Final[Mapping[str, Callable[[TrainingTask], dict[str, Floats]]]] = {
    "sliced": train_slices,
    "hydra": train_hydra,
    "adapter": train_taps,
    "adapter_parallel": train_taps,
    "adapter_direct": train_taps,
    "sparse": train_sparse,
    "pool": train_pool,
    "mhr": train_routed,
    "mhr_z": train_routing,
    "mhr_mu": train_averaged,
    "mixture": train_mixture,
}
"""Kinds whose plain training is more than steps on the cross-entropy of all facts."""
