"""Methods that work on distributions: of representations, of a less informed teacher's answers, of
targets."""

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from .network import DECAY, Parameters, descend
from .problem import (
    BOTH,
    RATE,
    STEPS,
    VALUES,
    NetworkMethod,
    Unlearned,
    UnlearningProblem,
    answer_with,
)

CODE: Final = 16
"""Width of LAF's autoencoders: an eighth of the representation.  Chosen by hand."""
AUTOENCODER_STEPS: Final = 60
"""Steps of LAF's autoencoders, whose networks are small.  Chosen by hand."""
AUTOENCODER_RATE: Final = 3e-3
"""Learning rate of LAF's autoencoders: that of growth."""
TEMPERATURE: Final = 0.5
"""Temperature of LAF's alignment.  Chosen by hand."""
EXPOSED_SHARE: Final = 0.1
"""Share of the remaining rows that Blindspot's second network sees.  Chosen by hand."""
EXPOSURE: Final = 3
"""Blindspot's second network takes one step of training in so many.  Chosen by hand."""
ATTENTION: Final = 50.0
"""Weight of the activations' difference in Blindspot: the default of the published code."""


class LabelAgnostic(NetworkMethod):
    """LAF: forgetting without labels (Shen et al. 2024, section 3).

    Two variational autoencoders learn the representations of remaining and of forgotten rows.  In
    turns, the network moves away from what the second explains while it stays with the first, and
    its representations are aligned with the original's by a contrastive loss.
    """

    answers = BOTH

    def unlearn(self, problem: UnlearningProblem, prepared: Parameters) -> Unlearned:
        """See `Unlearner`."""
        task, random = problem.task, problem.random
        generator = torch.Generator().manual_seed(task.seed)

        def represent(parameters: Parameters, at: Tensor) -> Tensor:
            return task.network.layers(parameters, task.rows[at])[1]

        with torch.no_grad():
            before = represent(prepared, torch.arange(len(task.rows)))
        kept = _autoencoder(before[problem.retain], generator)
        gone = _autoencoder(before[problem.forget], generator)

        def loss(parameters: Parameters, step: int) -> Tensor:
            at = problem.batch(random)
            left, lost = represent(parameters, at), represent(parameters, problem.forget)
            if step % 2 == 0:
                return _misfit(kept, left) - _misfit(gone, lost)
            stays = 1 - torch.cosine_similarity(left, before[at], dim=1)
            leaves = 1 - torch.cosine_similarity(lost, before[problem.forget], dim=1)
            return (stays - torch.logsumexp(leaves / TEMPERATURE, 0)).mean()

        rate = RATE * problem.strength
        return answer_with(problem, descend(prepared, loss, 2 * STEPS, rate))


class Blindspot(NetworkMethod):
    """Blindspot unlearning (Tarun et al. 2023, Deep Regression Unlearning, its section of that
    name).  A fresh network sees a part of the remaining rows for a few steps; on forgotten rows the
    original imitates its answers and activations, on remaining ones it learns the targets.  With
    labels, answers are compared by divergence instead of absolute difference."""

    def unlearn(self, problem: UnlearningProblem, prepared: Parameters) -> Unlearned:
        """See `Unlearner`."""
        task, random = problem.task, problem.random
        network, rows = task.network, task.rows[problem.forget]
        count = max(1, round(EXPOSED_SHARE * len(problem.retain)))
        seen = problem.retain[torch.from_numpy(random.permutation(len(problem.retain))[:count])]
        blind = descend(
            network.initial(task.seed + 1),
            lambda parameters, _: problem.loss(parameters, seen),
            max(1, task.recipe.steps // EXPOSURE),
            task.recipe.rate,
            decay=DECAY,
        )
        with torch.no_grad():
            wanted, attended = network.outputs_of(blind, rows), network.layers(blind, rows)

        def loss(parameters: Parameters, step: int) -> Tensor:
            del step
            at = problem.batch(random)
            found = network.outputs_of(parameters, rows)
            differences = [
                (functional.normalize(one.square()) - functional.normalize(other.square()))
                .square()
                .mean()
                for one, other in zip(network.layers(parameters, rows), attended, strict=True)
            ]
            imitation = _differ(network.answers, found, wanted) + ATTENTION * sum(differences)
            share = len(problem.forget) / (len(problem.forget) + len(at))
            return share * imitation + (1 - share) * problem.loss(parameters, at)

        return answer_with(problem, descend(prepared, loss, STEPS, RATE * problem.strength))


class GaussianAmnesiac(NetworkMethod):
    """Gaussian amnesiac unlearning (Tarun et al. 2023, Deep Regression Unlearning, its section of
    that name): fine-tune with the targets of forgotten rows replaced by draws from a normal
    distribution of the targets."""

    answers = VALUES

    def unlearn(self, problem: UnlearningProblem, prepared: Parameters) -> Unlearned:
        """See `Unlearner`."""
        task, random = problem.task, problem.random
        drawn = problem.random_targets(random)

        def loss(parameters: Parameters, step: int) -> Tensor:
            del step
            at = problem.batch(random)
            targets = torch.cat([drawn, task.targets[at]])
            return problem.loss(parameters, torch.cat([problem.forget, at]), targets)

        return answer_with(problem, descend(prepared, loss, STEPS, RATE * problem.strength))


def _autoencoder(rows: Tensor, generator: torch.Generator) -> Parameters:
    """Train a variational autoencoder of one linear layer each way."""
    width = rows.shape[1]
    start = {
        "mean": torch.randn(width, CODE, generator=generator) / width**0.5,
        "spread": torch.zeros(width, CODE),
        "back": torch.randn(CODE, width, generator=generator) / CODE**0.5,
        "base": rows.mean(0),
    }

    def loss(parameters: Parameters, step: int) -> Tensor:
        del step
        centred = rows - rows.mean(0)
        mean, spread = centred @ parameters["mean"], centred @ parameters["spread"]
        noise = torch.randn(mean.shape, generator=generator)
        code = mean + noise * torch.exp(spread / 2)
        rebuilt = code @ parameters["back"] + parameters["base"]
        prior = (mean.square() + spread.exp() - spread - 1).sum(1).mean() / 2
        return (rebuilt - rows).square().sum(1).mean() + prior

    found = descend(start, loss, AUTOENCODER_STEPS, AUTOENCODER_RATE, decay=0.0)
    return {**found, "centre": rows.mean(0)}


def _misfit(autoencoder: Parameters, rows: Tensor) -> Tensor:
    """Return how badly an autoencoder explains rows, bounded for each row: exp(e / (e + 1))."""
    code = (rows - autoencoder["centre"]) @ autoencoder["mean"]
    error = (code @ autoencoder["back"] + autoencoder["base"] - rows).square().sum(1)
    return torch.exp(error / (error + 1)).mean()


def _differ(answers: str, found: Tensor, wanted: Tensor) -> Tensor:
    if answers == "values":
        return (found - wanted).abs().mean()
    return functional.kl_div(
        torch.log_softmax(found, 1), torch.softmax(wanted, 1), reduction="batchmean"
    )
