"""Multi-head routing over an inventory of skills, trained on the home's other domains.

Caccia et al. 2023 (abstract; `poly` in the authors' `mttl` and in `peft`).  A skill is a low-rank
adapter; a domain's adapter is their sum, weighted apart in each block of columns.  The other
domains train the inventory together, each with its own weights; then the domain finds its weights
(MHR-z), tunes the skills with them (MHR), or tunes the mean of the skills (MHR-mu).
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..torch_adaptors import torch_logits
from ..training_steps import SMOOTHING, TOP, Floats, Loss, Tensors, descend
from .recipe import PLAIN_RATES, TrainingTask, kept

BLOCKS: Final = 4
"""Blocks of columns with weights of their own.  Chosen by hand; effect not measured."""

SKILLS: Final = frozenset({"A", "B"})
"""Names of the inventory: A [skills, read, rank], B [skills, rank, read]."""


def train_routed(task: TrainingTask) -> dict[str, Floats]:
    """Train a domain's weights of the skills and the skills (MHR)."""
    return _routed(task, frozenset())


def train_routing(task: TrainingTask) -> dict[str, Floats]:
    """Train a domain's weights of the skills alone (MHR-z)."""
    return _routed(task, SKILLS)


def train_averaged(task: TrainingTask) -> dict[str, Floats]:
    """Train the mean of the skills (MHR-mu)."""
    inventory = _pretrained(task)
    start = {"U": inventory["A"].mean(dim=0), "V": inventory["B"].mean(dim=0), TOP: inventory[TOP]}
    return kept(task, descend(start, task.loss(), PLAIN_RATES))


def _routed(task: TrainingTask, frozen: frozenset[str]) -> dict[str, Floats]:
    inventory = _pretrained(task)
    skills = {name: inventory[name] for name in (*sorted(SKILLS), TOP)}
    # Every skill weighs the same at first, as for a new task of the authors.
    skills["R"] = torch.zeros(BLOCKS, task.blueprint.depth)
    plain = task.loss()

    def loss(given: Mapping[str, Tensor]) -> Tensor:
        return plain({**_sum_skills(given, given["R"]), TOP: given[TOP]})

    tuned = descend(skills, loss, PLAIN_RATES, frozen=frozen)
    with torch.no_grad():
        return kept(task, _sum_skills(tuned, tuned["R"]))


def _pretrained(task: TrainingTask) -> Tensors:
    """Train the inventory and a top over the other domains, or over the own facts without any."""
    domains = [int(one) for one in torch.unique(task.facts.domains).tolist() if one]
    start = _inventory(task, domains or [0])
    return descend(start, _shared_loss(task, domains or [0]), PLAIN_RATES)


def _inventory(task: TrainingTask, domains: list[int]) -> Tensors:
    random = np.random.default_rng(task.seed)
    read, rank, skills = sum(task.sizes), task.blueprint.rank, task.blueprint.depth
    drawn = random.standard_normal((skills, read, rank)) / np.sqrt(read)
    made = {"A": _single(drawn), "B": torch.zeros(skills, rank, read), TOP: task.start()[TOP]}
    # The authors start within 0.001 of equal weights; so few steps would not tell skills apart.
    weights = {f"R{one}": _single(random.standard_normal((BLOCKS, skills))) for one in domains}
    return made | weights


def _shared_loss(task: TrainingTask, domains: list[int]) -> Loss:
    """Return the mean cross-entropy of the domains' facts, each through its own weights."""
    parts = {one: task.facts.part(task.facts.domains == one) for one in domains}
    total = sum(float(part.weights.sum()) for part in parts.values())

    def loss(given: Mapping[str, Tensor]) -> Tensor:
        losses = []
        for one, part in parts.items():
            adapter = {**_sum_skills(given, given[f"R{one}"]), TOP: given[TOP]}
            scores = torch_logits(task.blueprint, adapter, task.sizes, part.rows)
            each = functional.cross_entropy(
                scores, part.targets, reduction="none", label_smoothing=SMOOTHING
            )
            losses.append((each * part.weights).sum())
        return torch.stack(losses).sum() / total

    return loss


def _sum_skills(given: Mapping[str, Tensor], routing: Tensor) -> Tensors:
    """Return the adapter of weights [blocks, skills]: their logistic values, normalised."""
    read = given["A"].shape[1]
    shares = torch.sigmoid(routing)
    shares = shares / shares.sum(dim=1, keepdim=True)
    by_column = shares[torch.arange(read) * BLOCKS // read]
    down = (by_column.t()[:, :, None] * given["A"]).sum(dim=0)
    return {"U": down, "V": (by_column.t()[:, None, :] * given["B"]).sum(dim=0)}


def _single(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
