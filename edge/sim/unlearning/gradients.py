"""Methods that descend a loss of forgotten and remaining rows."""

import torch
from torch import Tensor
from torch.nn import functional

from .network import Parameters, descend, squared_distance
from .problem import (
    LABELS,
    RATE,
    STEPS,
    NetworkMethod,
    Unlearned,
    UnlearningProblem,
    answer_with,
)

ASCENT_MAX = 4.0
"""Loss at which ascent stops, twice that of guessing among seven: without it a few rows drive the
weights to infinity."""
NPO_BETA = 0.5
"""Inverse temperature: between the 0.1 and 1 of the authors' code; a larger one bounds the update
sooner.  Chosen by hand."""
FLAT_RATE = 3e-4
"""Learning rate of FLAT, which no remaining row holds back.  Chosen by hand."""
FLAT_STEPS = 10
"""Steps of FLAT: as FLAT_RATE."""
ADAPT_STEPS = 15
"""Steps towards the forgotten rows before the repulsion: half of STEPS."""
UNIFORM_WEIGHT = 2.0
"""Weight of the uniform answers on remaining rows in ULD.  Chosen by hand."""


class Retrain(NetworkMethod):
    """Train the same network from the same seed on the remaining rows: the oracle, and what the
    product does (exact unlearning)."""

    strengths = (1.0,)

    def unlearn(self, problem: UnlearningProblem, prepared: Parameters) -> Unlearned:
        """See `Unlearner`."""
        del prepared
        return answer_with(problem, problem.task.train(problem.retain, problem.task.seed))


class FineTune(NetworkMethod):
    """Continue training on the remaining rows (Golatkar et al. 2020; the baseline of most
    papers below)."""

    changes = False

    def unlearn(self, problem: UnlearningProblem, prepared: Parameters) -> Unlearned:
        """See `Unlearner`."""
        random = problem.random
        found = descend(
            prepared,
            lambda parameters, _: problem.loss(parameters, problem.batch(random)),
            STEPS,
            RATE * problem.strength,
        )
        return answer_with(problem, found)


class GradientDifference(NetworkMethod):
    """Descend the loss of remaining rows and ascend that of forgotten ones (Liu et al. 2022,
    Continual Learning and Private Unlearning)."""

    def unlearn(self, problem: UnlearningProblem, prepared: Parameters) -> Unlearned:
        """See `Unlearner`."""
        random = problem.random

        def loss(parameters: Parameters, step: int) -> Tensor:
            del step
            gone = problem.loss(parameters, problem.forget).clamp(max=ASCENT_MAX)
            return problem.loss(parameters, problem.batch(random)) - problem.strength * gone

        return answer_with(problem, descend(prepared, loss, STEPS, RATE))


class NegativePreference(NetworkMethod):
    """Negative Preference Optimization with the remaining rows' loss (Zhang et al. 2024, equation
    3): 2/b log(1 + (p / p_original)^b) of the forgotten labels, which stops to act once they are
    unlikely."""

    answers = LABELS

    def unlearn(self, problem: UnlearningProblem, prepared: Parameters) -> Unlearned:
        """See `Unlearner`."""
        return answer_with(problem, descend_npo(problem, prepared))


def descend_npo(
    problem: UnlearningProblem, start: Parameters, mask: Parameters | None = None
) -> Parameters:
    """Take the steps of NPO, on the weights of a mask."""
    task, random = problem.task, problem.random
    rows, targets = task.rows[problem.forget], task.targets[problem.forget]
    with torch.no_grad():
        before = -task.network.losses(task.network.outputs_of(start, rows), targets)

    def loss(parameters: Parameters, step: int) -> Tensor:
        del step
        now = -task.network.losses(task.network.outputs_of(parameters, rows), targets)
        preference = functional.softplus(NPO_BETA * (now - before)).mean() * 2 / NPO_BETA
        return preference + problem.loss(parameters, problem.batch(random))

    return descend(start, loss, STEPS, RATE * problem.strength, mask=mask)


class ForgetDataOnly(NetworkMethod):
    """FLAT: forget data only (Wang et al. 2024, section 3).  Raises the probability of a template
    answer, here the most likely other label, and lowers that of the forgotten one, as the total
    variation in its variational form; no remaining row is used."""

    answers = LABELS

    def unlearn(self, problem: UnlearningProblem, prepared: Parameters) -> Unlearned:
        """See `Unlearner`."""
        network, rows = problem.task.network, problem.task.rows[problem.forget]
        targets = problem.task.targets[problem.forget][:, None]
        with torch.no_grad():
            others = network.outputs_of(prepared, rows).scatter(1, targets, -torch.inf)
            template = others.argmax(1, keepdim=True)

        def loss(parameters: Parameters, step: int) -> Tensor:
            del step
            shares = torch.softmax(network.outputs_of(parameters, rows), 1)
            good, gone = shares.gather(1, template), shares.gather(1, targets)
            return (torch.tanh(gone) - torch.tanh(good)).mean() / 2

        rate = FLAT_RATE * problem.strength
        return answer_with(problem, descend(prepared, loss, FLAT_STEPS, rate, decay=0.0))


class LogitDifference(NetworkMethod):
    """ULD: reversed objectives (Ji et al. 2024, section 3).  An assistant learns the forgotten
    rows and uniform answers on the remaining ones; its logits are subtracted from the original's.

    The assistant starts from the original's weights, of which its authors take the lower layers.
    """

    answers = LABELS
    strengths = (0.25, 0.5, 1.0)

    def unlearn(self, problem: UnlearningProblem, prepared: Parameters) -> Unlearned:
        """See `Unlearner`."""
        network, random = problem.task.network, problem.random

        def loss(parameters: Parameters, step: int) -> Tensor:
            del step
            at = problem.batch(random)
            scores = network.outputs_of(parameters, problem.task.rows[at])
            uniform = -torch.log_softmax(scores, 1).mean()
            return problem.loss(parameters, problem.forget) + UNIFORM_WEIGHT * uniform

        assistant = descend(prepared, loss, STEPS, RATE)

        def answer(rows: Tensor) -> Tensor:
            known = network.outputs_of(prepared, rows)
            return known - problem.strength * network.outputs_of(assistant, rows)

        return Unlearned(answer)


class Repulsion(NetworkMethod):
    """Adapt-then-Unlearn (Tiwary et al. 2025, its two stages).

    Adapt a copy to the forgotten rows; then train the original on the remaining ones while a term
    exp(-|w - w_a|^2) repels its weights from the copy's.
    Distances count in units of the way that the copy went.
    """

    def unlearn(self, problem: UnlearningProblem, prepared: Parameters) -> Unlearned:
        """See `Unlearner`."""
        random = problem.random
        adapted = descend(
            prepared, lambda one, _: problem.loss(one, problem.forget), ADAPT_STEPS, RATE
        )
        unit = squared_distance(adapted, prepared)

        def loss(parameters: Parameters, step: int) -> Tensor:
            del step
            near = torch.exp(-squared_distance(parameters, adapted) / unit)
            return problem.loss(parameters, problem.batch(random)) + problem.strength * near

        return answer_with(problem, descend(prepared, loss, STEPS, RATE))
