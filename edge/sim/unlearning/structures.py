"""Methods whose model is built for forgetting: slices in sequence, and one expert among several."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .network import (
    Parameters,
    PeerNetwork,
    TrainingRecipe,
    descend,
    sample_rows,
    solve_head,
)
from .problem import BATCH, LABELS, RATE, STEPS, Unlearned, UnlearningProblem, UnlearningTask

SLICES: Final = 4
"""Disjoint slices of the rows: each costs one block.  Chosen by hand; effect in the evidence of
docs/benchmarks."""
SLICE_RANK: Final = 32
"""Inner width of a slice's block: half of the network's, so that four are twice as large."""
EXPERTS: Final = 4
"""Experts of the mixture.  Chosen by hand."""
EXPERT_RANK: Final = 16
"""Inner width of an expert: all together as wide as the network."""
EXPERT_WIDTH: Final = 32
"""Outer width of an expert: as EXPERT_RANK."""
ANCHOR: Final = 1.0
"""Weight of the router's anchor loss: the authors' default."""
BALANCE: Final = 0.1
"""Weight of equal use of the experts while the mixture is trained, so that none starves.  Chosen by
hand."""
FORGET_MAX: Final = 4.0
"""Loss at which ascent on forgotten rows stops: as in gradient difference."""


@dataclass(frozen=True, slots=True)
class SlicedModel:
    """slices: of each row, int64 [n]; orders: of the slices, one for each sequence; blocks: of each
    sequence, in order."""

    slices: Tensor = field(repr=False)
    orders: tuple[tuple[int, ...], ...]
    blocks: tuple[tuple[Parameters, ...], ...] = field(repr=False)

    def prefix(self, hit: frozenset[int]) -> tuple[Parameters, ...]:
        """Return the longest run of blocks, from the start of a sequence, that no hit slice has
        shaped."""
        runs = [
            blocks[: next((at for at, one in enumerate(order) if one in hit), len(order))]
            for order, blocks in zip(self.orders, self.blocks, strict=True)
        ]
        return max(runs, key=len)


class SlicedTraining:
    """S3T (Chowdhury et al. 2024, section 3).

    Residual blocks of low rank are trained one after another, each on one more disjoint slice of
    the rows than the block before, in several cyclic orders of the slices.  A request switches off
    the blocks from the first hit slice on, in every order, and the order that keeps most serves;
    the head is solved from the remaining rows.  Exact: no block that serves has seen a forgotten
    row.
    """

    answers = LABELS
    strengths: tuple[float, ...] = (1.0,)
    changes = True

    def prepare(self, task: UnlearningTask) -> SlicedModel:
        """See `Unlearner`: trains all blocks, which costs about ten trainings of the network."""
        random = np.random.default_rng([task.seed, 2])
        slices = torch.from_numpy(random.permutation(len(task.rows)) % SLICES)
        orders = tuple(tuple((at + one) % SLICES for at in range(SLICES)) for one in range(SLICES))
        return SlicedModel(
            slices, orders, tuple(self._sequence(task, slices, order) for order in orders)
        )

    def unlearn(self, problem: UnlearningProblem, prepared: SlicedModel) -> Unlearned:
        """See `Unlearner`."""
        task = problem.task
        hit = frozenset(prepared.slices[problem.forget].tolist())
        blocks = prepared.prefix(hit)
        rows, targets = task.rows[problem.retain], task.targets[problem.retain]
        head = solve_head(_through(blocks, rows), targets, task.network.outputs)
        return Unlearned(lambda rows: head(_through(blocks, rows)))

    @staticmethod
    def _sequence(
        task: UnlearningTask, slices: Tensor, order: tuple[int, ...]
    ) -> tuple[Parameters, ...]:
        blocks: tuple[Parameters, ...] = ()
        for place in range(len(order)):
            seen = torch.isin(slices, torch.tensor(order[: place + 1]))
            blocks = (*blocks, _train_block(task, seen.nonzero()[:, 0], blocks, order[place]))
        return blocks


@dataclass(frozen=True, slots=True)
class ExpertMixture:
    """Several small networks and a router that weighs their logits.  parameters: the experts' as
    stacks [experts, ...], and "route" [columns, experts]."""

    network: PeerNetwork
    parameters: Parameters = field(repr=False)

    @staticmethod
    def initial(network: PeerNetwork, seed: int) -> Parameters:
        """Draw parameters that keep the variance; the router starts undecided."""
        random = np.random.default_rng([seed, 3])
        shapes = {
            "first": (EXPERTS, network.columns, EXPERT_RANK),
            "second": (EXPERTS, EXPERT_RANK, EXPERT_WIDTH),
            "last": (EXPERTS, EXPERT_WIDTH, network.outputs),
        }
        drawn = {
            name: torch.from_numpy(
                (random.standard_normal(shape) / np.sqrt(shape[1])).astype(np.float32)
            )
            for name, shape in shapes.items()
        }
        return {**drawn, "route": torch.zeros(network.columns, EXPERTS)}


def route_rows(parameters: Parameters, rows: Tensor) -> Tensor:
    """Return each expert's share of a row: float32 [n, experts]."""
    return torch.softmax(rows @ parameters["route"], 1)


def mix_experts(parameters: Parameters, rows: Tensor) -> Tensor:
    """Return the logits of the mixture: float32 [n, labels]."""
    inner = torch.relu(torch.einsum("nd,edr->enr", rows, parameters["first"]))
    outer = torch.relu(inner @ parameters["second"])
    logits = outer @ parameters["last"]
    return torch.einsum("enk,ne->nk", logits, route_rows(parameters, rows))


class OneExpert:
    """UOE: unlearning one expert is enough (Zhuang et al. 2024, section 4).

    The expert that the router gives the forgotten rows to, on average, is attributed to them; only
    it and its column of the router change, by gradient difference, and an anchor loss keeps the
    router's choice of this expert.
    """

    answers = LABELS
    strengths: tuple[float, ...] = (0.3, 1.0, 3.0)
    changes = True

    def prepare(self, task: UnlearningTask) -> ExpertMixture:
        """See `Unlearner`: trains the mixture on all rows."""
        start = ExpertMixture.initial(task.network, task.seed)

        def loss(parameters: Parameters, step: int) -> Tensor:
            del step
            shares = route_rows(parameters, task.rows).mean(0)
            fit = task.network.losses(
                mix_experts(parameters, task.rows), task.targets, task.recipe.smoothing
            ).mean()
            return fit + BALANCE * EXPERTS * shares.square().sum()

        return ExpertMixture(
            task.network, descend(start, loss, task.recipe.steps, task.recipe.rate)
        )

    def unlearn(self, problem: UnlearningProblem, prepared: ExpertMixture) -> Unlearned:
        """See `Unlearner`."""
        task, start, random = problem.task, prepared.parameters, problem.random
        gone = task.rows[problem.forget]
        chosen = int(route_rows(start, gone).mean(0).argmax())
        mask = {name: torch.zeros_like(one) for name, one in start.items()}
        for name in ("first", "second", "last"):
            mask[name][chosen] = 1.0
        mask["route"][:, chosen] = 1.0
        wanted = functional.one_hot(torch.tensor(chosen), EXPERTS).float()

        def losses(parameters: Parameters, at: Tensor) -> Tensor:
            logits = mix_experts(parameters, task.rows[at])
            return task.network.losses(logits, task.targets[at]).mean()

        def loss(parameters: Parameters, step: int) -> Tensor:
            del step
            at = sample_rows(problem.retain, BATCH, random)
            ascent = losses(parameters, problem.forget).clamp(max=FORGET_MAX)
            anchor = (route_rows(parameters, gone) - wanted).square().sum(1).mean()
            return losses(parameters, at) - problem.strength * ascent + ANCHOR * anchor

        found = descend(start, loss, STEPS, RATE, mask=mask)
        return Unlearned(lambda rows: mix_experts(found, rows))


def _through(blocks: tuple[Parameters, ...], rows: Tensor) -> Tensor:
    """Apply residual blocks one after another."""
    for block in blocks:
        rows = rows + torch.relu(rows @ block["down"]) @ block["up"]
    return rows


def _train_block(
    task: UnlearningTask, at: Tensor, blocks: tuple[Parameters, ...], seed: int
) -> Parameters:
    """Train one more block, with a temporary classifier on top, on some rows."""
    generator = torch.Generator().manual_seed(task.seed * SLICES + seed)
    rows, columns = _through(blocks, task.rows[at]), task.network.columns
    start = {
        "down": torch.randn(columns, SLICE_RANK, generator=generator) / columns**0.5,
        "up": torch.zeros(SLICE_RANK, columns),
        "top": torch.randn(columns, task.network.outputs, generator=generator) / columns**0.5,
    }
    recipe: TrainingRecipe = task.recipe

    def loss(parameters: Parameters, step: int) -> Tensor:
        del step
        outputs = _through((parameters,), rows) @ parameters["top"]
        return task.network.losses(outputs, task.targets[at], recipe.smoothing).mean()

    found = descend(start, loss, recipe.steps, recipe.rate)
    return {name: found[name] for name in ("down", "up")}
