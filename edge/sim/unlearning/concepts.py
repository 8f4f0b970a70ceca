"""Methods that work on concepts: relabelling by concepts, and correction towards an anchor."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from .network import Parameters, descend, descend_along
from .problem import (
    LABELS,
    RATE,
    STEPS,
    NetworkMethod,
    Unlearned,
    UnlearningProblem,
    answer_with,
)

CONCEPTS: Final = 16
"""Concept directions of the bottleneck: twice the labels of PACS.  Chosen by hand."""
ATTRIBUTED: Final = 4
"""Concepts by which a forgotten row is told from others: a quarter.  Chosen by hand."""
CLUSTER_ROUNDS: Final = 10
"""Rounds of k-means: enough that few rows change cluster.  Chosen by hand."""
CRITIC_WIDTH: Final = 32
"""Inner width of the discriminator, which reads a few answers.  Chosen by hand."""
CRITIC_RATE: Final = 1e-2
"""Learning rate of the discriminator: ten times that of the network, so that it keeps up."""
WARM_UP: Final = 5
"""Steps in which only the discriminator learns.  Chosen by hand."""


class ConceptRelabel(NetworkMethod):
    """Class unlearning via concepts (Class Machine Unlearning for Complex Data via Concepts
    Inference and Data Poisoning).

    A post-hoc concept bottleneck describes each row by its scores on concept directions;
    integrated gradients of the forgotten label's score, which are exact on the linear last layer,
    name the concepts that carry it.  The poison is the label that fits the row best without these
    concepts, and the network is fine-tuned on it.  Concept directions are the centres of clusters
    of the remaining rows, as no bank of named concepts exists here.
    """

    answers = LABELS

    def unlearn(self, problem: UnlearningProblem, prepared: Parameters) -> Unlearned:
        """See `Unlearner`."""
        random, task = problem.random, problem.task
        poison = self.poison(problem, prepared)

        def loss(parameters: Parameters, step: int) -> Tensor:
            del step
            at = problem.batch(random)
            targets = torch.cat([poison, task.targets[at]])
            return problem.loss(parameters, torch.cat([problem.forget, at]), targets)

        return answer_with(problem, descend(prepared, loss, STEPS, RATE * problem.strength))

    @staticmethod
    def poison(problem: UnlearningProblem, parameters: Parameters) -> Tensor:
        """Return the label that each forgotten row gets: never its own."""
        task = problem.task
        hidden = task.network.layers(parameters, task.rows)[1]
        base = hidden[problem.retain].mean(0)
        directions = _directions(hidden[problem.retain] - base, problem)
        own = task.targets[problem.forget]
        scores = (hidden[problem.forget] - base) @ directions.t()
        weights = directions @ parameters["top"]
        attribution = scores * weights[:, own].t()
        carrying = attribution.topk(ATTRIBUTED, dim=1).indices
        without = scores.scatter(1, carrying, 0.0)
        fits = without @ weights + parameters["bias"]
        return fits.scatter(1, own[:, None], -torch.inf).argmax(1)


class ConceptCorrection(NetworkMethod):
    """Concept domain correction with concept preserving gradient (Wu et al. 2024, Unlearning
    Concepts in Diffusion Model, both of its parts).

    A discriminator learns to tell the answers on forgotten rows from the original's answers on
    anchors, the nearest remaining rows of another label; the network learns to deceive it.  From
    that gradient, what contradicts the gradient of the remaining rows is removed, array by array.
    """

    answers = LABELS

    def unlearn(self, problem: UnlearningProblem, prepared: Parameters) -> Unlearned:
        """See `Unlearner`."""
        task, random = problem.task, problem.random
        network, gone = task.network, task.rows[problem.forget]
        with torch.no_grad():
            wanted = torch.softmax(network.outputs_of(prepared, _anchors(problem)), 1)
        critic = _Critic(network.outputs, task.seed)

        def directions(parameters: Parameters, step: int) -> Sequence[Tensor]:
            leaves = list(parameters.values())
            answers = torch.softmax(network.outputs_of(parameters, gone), 1)
            critic.learn(wanted, answers.detach())
            if step < WARM_UP:
                return [torch.zeros_like(leaf) for leaf in leaves]
            deceive = torch.autograd.grad(critic.doubt(answers), leaves)
            keep = torch.autograd.grad(problem.loss(parameters, problem.batch(random)), leaves)
            return [_without_conflict(one, other) for one, other in zip(deceive, keep, strict=True)]

        rate = RATE * problem.strength
        found = descend_along(prepared, directions, STEPS + WARM_UP, rate, decay=0.0)
        return answer_with(problem, found)


class _Critic:
    """A discriminator of answers: 1 for those on forgotten rows, 0 for the anchors'."""

    def __init__(self, width: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self._parameters: Parameters = {
            "in": torch.randn(width, CRITIC_WIDTH, generator=generator) / width**0.5,
            "out": torch.randn(CRITIC_WIDTH, 1, generator=generator) / CRITIC_WIDTH**0.5,
            "bias": torch.zeros(1),
        }

    def learn(self, real: Tensor, fake: Tensor) -> None:
        """Take a step."""

        def loss(parameters: Parameters, step: int) -> Tensor:
            del step
            found = self._score(parameters, fake), self._score(parameters, real)
            return _bce(found[0], 1.0) + _bce(found[1], 0.0)

        self._parameters = descend(self._parameters, loss, 1, CRITIC_RATE, decay=0.0)

    def doubt(self, answers: Tensor) -> Tensor:
        """Return how well it tells that answers are not an anchor's."""
        return _bce(self._score(self._parameters, answers), 0.0)

    @staticmethod
    def _score(parameters: Parameters, answers: Tensor) -> Tensor:
        inner = torch.relu(answers @ parameters["in"])
        return (inner @ parameters["out"] + parameters["bias"])[:, 0]


def _bce(scores: Tensor, wanted: float) -> Tensor:
    return functional.binary_cross_entropy_with_logits(scores, torch.full_like(scores, wanted))


def _without_conflict(gradient: Tensor, keeping: Tensor) -> Tensor:
    """Remove from a gradient its part against another, if they conflict."""
    dot = (gradient * keeping).sum()
    square = keeping.square().sum()
    return gradient - dot / square * keeping if dot < 0 and square > 0 else gradient


def _anchors(problem: UnlearningProblem) -> Tensor:
    """Return for each forgotten row the nearest remaining row of another label."""
    task = problem.task
    distances = torch.cdist(task.rows[problem.forget], task.rows[problem.retain])
    same = task.targets[problem.forget][:, None] == task.targets[problem.retain][None, :]
    nearest = distances.masked_fill(same, torch.inf).argmin(1)
    return task.rows[problem.retain[nearest]]


def _directions(rows: Tensor, problem: UnlearningProblem) -> Tensor:
    """Return the unit directions of k-means centres: float32 [concepts, columns]."""
    start = problem.random.permutation(len(rows))[: min(CONCEPTS, len(rows))]
    centres = rows[torch.from_numpy(start)]
    for _ in range(CLUSTER_ROUNDS):
        owner = torch.cdist(rows, centres).argmin(1)
        members = functional.one_hot(owner, len(centres)).float()
        sizes = members.sum(0)[:, None]
        centres = torch.where(sizes > 0, members.t() @ rows / sizes.clamp(min=1), centres)
    return functional.normalize(centres)
