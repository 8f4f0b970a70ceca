"""Methods that put a gate before an unchanged network: they withhold, and erase nothing."""

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .network import WIDTH, Parameters, descend
from .problem import LABELS, STEPS, NetworkMethod, Unlearned, UnlearningProblem

GATE_RATE: Final = 1e-2
"""Learning rate of ECO's linear classifier.  Chosen by hand."""
GATE_STEPS: Final = 60
"""Steps of ECO's linear classifier.  Chosen by hand."""
NOISE_STEPS: Final = 12
"""Two-point estimates in ECO's search of the noise.  Chosen by hand."""
NOISE_STEP: Final = 0.5
"""Step of that search, on a logarithmic scale.  Chosen by hand."""
LOW_RANK: Final = 8
"""Rank of O3's added matrices.  The authors use 8 (LoRA)."""
LOW_RANK_RATE: Final = 1e-2
"""Learning rate of O3's added matrices: few parameters, few steps.  Chosen by hand."""
SCALING: Final = 10.0
"""Slope of O3's weight: as in the published code."""
OFFSET: Final = 2.0
"""Offset of O3's weight: as in the published code."""


class CorruptedInputs(NetworkMethod):
    """ECO: embedding-corrupted prompts (Liu et al. 2024, section 3).

    A classifier is trained to recognise forgotten rows; noise is added to those it flags before the
    unchanged network answers.  The noise's strength is found without gradients (two-point
    estimates), so that the forgotten rows are answered as badly as a stand-in for a model without
    them answers them: here the label of the nearest remaining centre.
    """

    answers = LABELS
    strengths = (1.0,)

    def unlearn(self, problem: UnlearningProblem, prepared: Parameters) -> Unlearned:
        """See `Unlearner`."""
        network, task = problem.task.network, problem.task
        flagged = _classifier(problem)
        generator = torch.Generator().manual_seed(task.seed)
        noise = torch.randn(network.columns, generator=generator)
        rows, targets = task.rows[problem.forget], task.targets[problem.forget]
        wanted = _stand_in(problem)

        def answer(inputs: Tensor, level: float) -> Tensor:
            marked = flagged(inputs)[:, None]
            return network.outputs_of(prepared, torch.where(marked, inputs + level * noise, inputs))

        def distance(level: float) -> float:
            right = (answer(rows, level).argmax(1) == targets).float().mean()
            return abs(float(right) - wanted)

        level = float(np.exp(_search(lambda power: distance(float(np.exp(power))), 0.0)))
        return Unlearned(lambda inputs: answer(inputs, level))


class OrthogonalGate(NetworkMethod):
    """O3: an out-of-distribution detector weighs a low-rank adapter (Gao et al. 2024, section 3).

    Needs no remaining row.  The detector measures, on both hidden layers, how near a row is to the
    forgotten ones; the adapter is trained to answer these at random, and its weight rises with
    nearness.  Adapters of later requests are orthogonal to earlier ones; here there is one request.
    """

    answers = LABELS
    strengths = (0.5, 1.0, 2.0)

    def unlearn(self, problem: UnlearningProblem, prepared: Parameters) -> Unlearned:
        """See `Unlearner`."""
        network, random = problem.task.network, problem.random
        rows, wrong = problem.task.rows[problem.forget], problem.random_targets(random)
        generator = torch.Generator().manual_seed(problem.task.seed)
        start = {
            "down": torch.randn(WIDTH, LOW_RANK, generator=generator) / WIDTH**0.5,
            "up": torch.zeros(LOW_RANK, network.outputs),
        }

        def added(parameters: Parameters, inputs: Tensor) -> Tensor:
            return network.layers(prepared, inputs)[1] @ parameters["down"] @ parameters["up"]

        def loss(parameters: Parameters, step: int) -> Tensor:
            del step
            outputs = network.outputs_of(prepared, rows) + added(parameters, rows)
            return functional.cross_entropy(outputs, wrong)

        adapter = descend(start, loss, STEPS, LOW_RANK_RATE)
        weigh = _nearness(problem, prepared)

        def answer(inputs: Tensor) -> Tensor:
            share = problem.strength * weigh(inputs)[:, None]
            return network.outputs_of(prepared, inputs) + share * added(adapter, inputs)

        return Unlearned(answer)


def _classifier(problem: UnlearningProblem) -> Callable[[Tensor], Tensor]:
    """Train a logistic classifier of forgotten (true) against remaining rows, equally weighted."""
    rows = problem.task.rows
    start = {"weights": torch.zeros(rows.shape[1]), "bias": torch.zeros(1)}

    def score(parameters: Parameters, inputs: Tensor) -> Tensor:
        return inputs @ parameters["weights"] + parameters["bias"]

    def loss(parameters: Parameters, step: int) -> Tensor:
        del step
        scores = score(parameters, rows)
        flagged = functional.softplus(-scores[problem.forget]).mean()
        return flagged + functional.softplus(scores[problem.retain]).mean()

    found = descend(start, loss, GATE_STEPS, GATE_RATE)
    return lambda inputs: score(found, inputs) > 0


def _stand_in(problem: UnlearningProblem) -> float:
    """Return how many forgotten rows the nearest centre of remaining rows answers correctly."""
    task = problem.task
    labels, targets = task.network.outputs, task.targets[problem.retain]
    members = functional.one_hot(targets, labels).float()
    sizes = members.sum(0)[:, None]
    centres = members.t() @ task.rows[problem.retain] / sizes.clamp(min=1)
    distances = torch.cdist(task.rows[problem.forget], centres)
    best = distances.masked_fill(sizes[:, 0] == 0, torch.inf).argmin(1)
    return float((best == task.targets[problem.forget]).float().mean())


def _search(distance: Callable[[float], float], start: float) -> float:
    """Descend a function by two-point estimates with shrinking steps; return the best point."""
    at, step, seen = start, NOISE_STEP, {start: distance(start)}
    for _ in range(NOISE_STEPS):
        for other in (at - step, at + step):
            seen.setdefault(other, distance(other))
        slope = (seen[at + step] - seen[at - step]) / (2 * step)
        moved = at - step * float(np.sign(slope))
        step = step if moved != at and distance(moved) < seen[at] else step / 2
        at = moved
        seen.setdefault(at, distance(at))
    return min(seen, key=seen.__getitem__)


def _nearness(problem: UnlearningProblem, parameters: Parameters) -> Callable[[Tensor], Tensor]:
    """Return a function from rows to weights in [0, 1]: how typical their nearness to forgotten
    rows is of forgotten rows themselves."""
    network, gone = problem.task.network, problem.task.rows[problem.forget]
    known = [functional.normalize(one) for one in network.layers(parameters, gone)]

    def similar(inputs: Tensor, *, own: bool = False) -> Tensor:
        layers = [functional.normalize(one) for one in network.layers(parameters, inputs)]
        each = [one @ other.t() for one, other in zip(layers, known, strict=True)]
        if own and len(gone) > 1:
            each = [one.fill_diagonal_(-1.0) for one in each]
        return torch.stack([one.max(1).values for one in each]).mean(0)

    scores = similar(gone, own=True)
    normal = torch.distributions.Normal(
        scores.mean(), scores.std(correction=0).clamp(min=1e-3), validate_args=False
    )

    def weigh(inputs: Tensor) -> Tensor:
        found = similar(inputs)
        # A row nearer than typical is a copy: it counts as typical.
        below = normal.cdf(found)  # type: ignore[no-untyped-call]  # torch has no types there
        typical = torch.where(found > normal.loc, 1.0, 2 * below)
        return torch.sigmoid(SCALING * typical - OFFSET)

    return weigh
