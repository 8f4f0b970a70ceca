"""What a method of unlearning is given, what it returns, and its interface."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np
import torch
from torch import Tensor

from .network import Parameters, PeerNetwork, TrainingRecipe, sample_rows

STEPS: Final = 30
"""Steps of a method that descends: about the time of training again with the recipe of growth (24
full steps), beyond which no approximate method is of use."""
RATE: Final = 1e-3
"""Learning rate of a method at strength 1: a third of that of training.  Chosen by hand; each
method's strength is chosen on a development seed."""
BATCH: Final = 512
"""Remaining rows in a step: bounds its time.  Chosen by hand."""


@dataclass(frozen=True, kw_only=True)
class UnlearningTask:
    """A trained network with everything it was trained on.

    rows: float32 [n, columns], standardised; targets: int64 [n] label numbers or float32 [n]
    values; seed: of the training.
    """

    network: PeerNetwork
    recipe: TrainingRecipe
    rows: Tensor = field(repr=False)
    targets: Tensor = field(repr=False)
    seed: int

    @cached_property
    def original(self) -> Parameters:
        """The network trained on all rows."""
        return self.train(torch.arange(len(self.rows)), self.seed)

    def train(self, at: Tensor, seed: int) -> Parameters:
        """Train a network on some rows from a seed."""
        return self.network.train(self.rows[at], self.targets[at], self.recipe, seed)


@dataclass(frozen=True, slots=True)
class UnlearningProblem:
    """A request: forget and retain are sorted row numbers, int64; together they are all rows.
    strength: one of the method's own."""

    task: UnlearningTask
    retain: Tensor
    forget: Tensor
    strength: float

    @property
    def random(self) -> np.random.Generator:
        """A generator that depends on the task's seed alone."""
        return np.random.default_rng([self.task.seed, 1])

    def loss(self, parameters: Parameters, at: Tensor, targets: Tensor | None = None) -> Tensor:
        """Return the mean loss of some rows, with other targets where given."""
        task = self.task
        wanted = task.targets[at] if targets is None else targets
        outputs = task.network.outputs_of(parameters, task.rows[at])
        return task.network.losses(outputs, wanted).mean()

    def batch(self, random: np.random.Generator) -> Tensor:
        """Draw remaining rows for a step."""
        return sample_rows(self.retain, BATCH, random)

    def random_targets(self, random: np.random.Generator) -> Tensor:
        """Draw a target for each forgotten row: any label, or a value of the remaining ones' mean
        and spread."""
        count = len(self.forget)
        if self.task.network.answers == "labels":
            drawn = random.integers(0, self.task.network.outputs, count)
            return torch.from_numpy(drawn.astype(np.int64))
        known = self.task.targets[self.retain]
        values = random.normal(float(known.mean()), float(known.std()), count)
        return torch.from_numpy(values.astype(np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class Unlearned:
    """The result of a method.  answer: from rows float32 [n, columns] to outputs [n, outputs];
    parameters: those of the network, None where a method answers with other parts."""

    answer: Callable[[Tensor], Tensor] = field(repr=False)
    parameters: Parameters | None = field(default=None, repr=False)


class Unlearner(Protocol):
    """A method of unlearning.

    answers: the kinds of output that it is defined for.  strengths: from which the harness chooses
    on a development seed.  changes: whether it promises other answers on the forgotten rows.
    """

    @property
    def answers(self) -> frozenset[str]:
        """See above."""

    @property
    def strengths(self) -> tuple[float, ...]:
        """See above."""

    @property
    def changes(self) -> bool:
        """See above."""

    def prepare(self, task: UnlearningTask) -> Any:
        """Train what the method keeps from before a request; most keep the network as it is."""

    def unlearn(self, problem: UnlearningProblem, prepared: Any) -> Unlearned:
        """Forget, from what `prepare` returned: the same arguments give the same result, and no
        argument changes."""


BOTH: Final = frozenset({"labels", "values"})
LABELS: Final = frozenset({"labels"})
VALUES: Final = frozenset({"values"})


class NetworkMethod:
    """Base of the methods that start from the trained network."""

    answers = BOTH
    strengths: tuple[float, ...] = (0.3, 1.0, 3.0)
    changes = True

    def prepare(self, task: UnlearningTask) -> Parameters:
        """See `Unlearner`: the network itself."""
        return task.original


def answer_with(problem: UnlearningProblem, parameters: Parameters) -> Unlearned:
    """Return the result of a method that changed the network's parameters."""
    network = problem.task.network
    return Unlearned(lambda rows: network.outputs_of(parameters, rows), parameters)
