"""Methods that choose weights first: a score for each weight, a mask, an inner method."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from .gradients import descend_npo
from .network import Parameters, descend
from .problem import (
    LABELS,
    RATE,
    STEPS,
    NetworkMethod,
    Unlearned,
    UnlearningProblem,
    UnlearningTask,
    answer_with,
)

SALIENT_SHARE = 0.5
"""Weights that SalUn changes: its authors' default."""
WAGLE_SHARE = 0.8
"""Weights that WAGLE changes: within the shares of the published code.  Chosen by hand."""
WAGLE_CURVATURE = 0.1
"""The diagonal curvature by which WAGLE divides the remaining rows' gradient.  Chosen by hand."""
PRUNED_SHARE = 0.8
"""Weights that pruning removes: the authors remove 95 % of larger networks.  Chosen by hand."""
L1_WEIGHT = 1e-4
"""Weight of the l1 norm at strength 1.  Chosen by hand; the strength is tuned."""
L1_END = 20
"""Step at which the l1 term has decayed to zero: as in the published code, the last epochs have
none."""
SSD_ALPHA = 10.0
"""How much more important a weight must be to forgotten rows at strength 1: the authors'
default."""
CORRECTIVE_ALPHAS = (1.0, 3.0, 10.0, 30.0, 100.0)
"""Thresholds from which corrective unlearning chooses, around SSD_ALPHA.  Chosen by hand."""
IMPORTANCE_MIN = 1e-20
"""Keeps the division finite where a weight matters to no row."""


class SaliencyUnlearning(NetworkMethod):
    """SalUn: random labels on the weights with the largest gradient of the forgotten rows' loss
    (Fan et al. 2024, section 4); the other weights keep their value."""

    def unlearn(self, problem: UnlearningProblem, prepared: Parameters) -> Unlearned:
        """See `Unlearner`."""
        random = problem.random
        gradient = gradient_of(problem, prepared, problem.forget)
        mask = keep_largest({name: one.abs() for name, one in gradient.items()}, SALIENT_SHARE)
        wrong, task = problem.random_targets(random), problem.task

        def loss(parameters: Parameters, step: int) -> Tensor:
            del step
            at = problem.batch(random)
            rows = torch.cat([problem.forget, at])
            targets = torch.cat([wrong, task.targets[at]])
            return problem.loss(parameters, rows, targets)

        return answer_with(
            problem, descend(prepared, loss, STEPS, RATE * problem.strength, mask=mask)
        )


class WeightAttribution(NetworkMethod):
    """WAGLE: NPO on the weights that matter to forgotten rows and not to remaining ones (Jia et al.
    2024, section 4: |(w - g_retain / curvature) g_forget|)."""

    answers = LABELS

    def unlearn(self, problem: UnlearningProblem, prepared: Parameters) -> Unlearned:
        """See `Unlearner`."""
        gone = gradient_of(problem, prepared, problem.forget)
        left = gradient_of(problem, prepared, problem.retain)
        scores = {
            name: ((prepared[name] - left[name] / WAGLE_CURVATURE) * gone[name]).abs()
            for name in gone
        }
        return answer_with(
            problem, descend_npo(problem, prepared, keep_largest(scores, WAGLE_SHARE))
        )


class PruneFirst(NetworkMethod):
    """Prune, then unlearn (Jia et al. 2023, Model Sparsity Can Simplify Machine Unlearning, section
    4): remove the smallest weights, then fine-tune the others on the remaining rows."""

    def unlearn(self, problem: UnlearningProblem, prepared: Parameters) -> Unlearned:
        """See `Unlearner`."""
        random = problem.random
        mask = keep_largest({name: one.abs() for name, one in prepared.items()}, 1 - PRUNED_SHARE)
        mask = {**mask, "bias": torch.ones_like(prepared["bias"])}
        sparse = {name: one * mask[name] for name, one in prepared.items()}
        found = descend(
            sparse,
            lambda parameters, _: problem.loss(parameters, problem.batch(random)),
            STEPS,
            RATE * problem.strength,
            decay=0.0,
            mask=mask,
        )
        return answer_with(problem, found)


class SparseFineTune(NetworkMethod):
    """l1-sparse: fine-tune with an l1 norm that decays to zero (Jia et al. 2023, Model Sparsity Can
    Simplify Machine Unlearning, section 4)."""

    changes = False

    def unlearn(self, problem: UnlearningProblem, prepared: Parameters) -> Unlearned:
        """See `Unlearner`."""
        random = problem.random

        def loss(parameters: Parameters, step: int) -> Tensor:
            weight = problem.strength * L1_WEIGHT * max(0.0, 1 - step / L1_END)
            norm = torch.stack([one.abs().sum() for one in parameters.values()]).sum()
            return problem.loss(parameters, problem.batch(random)) + weight * norm

        return answer_with(problem, descend(prepared, loss, STEPS, RATE))


class SynapticDampening(NetworkMethod):
    """SSD: shrink weights whose Fisher information is larger on forgotten rows than on all (Foster
    et al. 2024, its selection and dampening); nothing is trained."""

    strengths = (0.3, 1.0, 3.0, 10.0)

    def unlearn(self, problem: UnlearningProblem, prepared: Parameters) -> Unlearned:
        """See `Unlearner`."""
        dampen = _dampener(problem, prepared)
        return answer_with(problem, dampen(SSD_ALPHA / problem.strength))


class Corrective(NetworkMethod):
    """Corrective unlearning with part of the poison identified (Goel et al. 2024): SSD,
    the one method that its authors find to reach poison that nobody named, with the threshold that
    best trades the identified rows' poisoned answers against the remaining rows' accuracy."""

    answers = LABELS
    strengths = (1.0,)

    def unlearn(self, problem: UnlearningProblem, prepared: Parameters) -> Unlearned:
        """See `Unlearner`."""
        dampen, task = _dampener(problem, prepared), problem.task

        def worth(parameters: Parameters) -> float:
            best = task.network.outputs_of(parameters, task.rows).argmax(1)
            right = (best == task.targets).float()
            return float(right[problem.retain].mean() - right[problem.forget].mean())

        return answer_with(problem, max(map(dampen, CORRECTIVE_ALPHAS), key=worth))


def gradient_of(problem: UnlearningProblem, parameters: Parameters, at: Tensor) -> Parameters:
    """Return the gradient of the mean loss of some rows."""
    leaves = {name: one.detach().clone().requires_grad_() for name, one in parameters.items()}
    found = torch.autograd.grad(problem.loss(leaves, at), list(leaves.values()))
    return dict(zip(leaves, found, strict=True))


def keep_largest(scores: Parameters, share: float) -> Parameters:
    """Return a mask of 1 for that share of all weights with the largest scores, and 0."""
    everything = torch.cat([one.flatten() for one in scores.values()])
    rank = min(len(everything), max(1, round(len(everything) * (1 - share)) + 1))
    threshold = everything.kthvalue(rank).values
    return {name: (one >= threshold).float() for name, one in scores.items()}


def _dampener(problem: UnlearningProblem, parameters: Parameters) -> Callable[[float], Parameters]:
    """Return a function from a threshold to dampened weights."""
    task = problem.task
    everywhere = _importance(task, parameters, torch.arange(len(task.rows)))
    gone = _importance(task, parameters, problem.forget)

    def dampen(alpha: float) -> Parameters:
        made = {}
        for name, weights in parameters.items():
            factor = (everywhere[name] / (gone[name] + IMPORTANCE_MIN)).clamp(max=1.0)
            made[name] = torch.where(
                gone[name] > alpha * everywhere[name], weights * factor, weights
            )
        return made

    return dampen


def _importance(task: UnlearningTask, parameters: Parameters, at: Tensor) -> Parameters:
    """Return the mean squared gradient of single rows, in closed form: the diagonal of the Fisher
    information."""
    rows, targets = task.rows[at], task.targets[at]
    first, second = task.network.layers(parameters, rows)
    outputs = second @ parameters["top"] + parameters["bias"]
    if task.network.answers == "labels":
        error = torch.softmax(outputs, 1) - functional.one_hot(targets, task.network.outputs)
    else:
        error = 2 * (outputs - targets[:, None])
    back = (error @ parameters["top"].t()) * (second > 0)
    further = (back @ parameters["W1"].t()) * (first > 0)
    parts = {"W0": (rows, further), "W1": (first, back), "top": (second, error)}
    found = {
        name: inputs.square().t() @ errors.square() / len(rows)
        for name, (inputs, errors) in parts.items()
    }
    return {**found, "bias": error.square().mean(0)}
