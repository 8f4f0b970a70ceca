"""What every training recipe has in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from torch import Tensor

import nas

from ..training_set import AdaptorTrainingSet
from ..training_steps import (
    STEPS,
    TOP,
    Floats,
    Loss,
    Tensors,
    cross_entropy,
    descend,
    initial_parameters,
    initial_top,
)

PLAIN_RATES: Final = (1.0,) * STEPS
"""Rates of plain training, relative to RATE: constant."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TrainingTask:
    """What to train.  shapes: of the trained parameters, by name.  sizes: columns of each tap that
    the blueprint reads."""

    blueprint: nas.Blueprint
    shapes: Mapping[str, tuple[int, ...]]
    sizes: tuple[int, ...]
    facts: AdaptorTrainingSet
    seed: int

    def start(self) -> Tensors:
        """Draw the parameters, and the temporary classifier on top of them."""
        drawn = initial_parameters(self.shapes, self.seed)
        out = self.blueprint.width or sum(self.sizes)
        return {**drawn, TOP: initial_top(out, self.facts.labels, self.seed)}

    def loss(self, facts: AdaptorTrainingSet | None = None) -> Loss:
        """Return the loss of plain training on all or some of the facts."""
        return cross_entropy(self.blueprint, self.sizes, self.facts if facts is None else facts)

    def train_plainly(
        self, start: Mapping[str, Tensor] | None = None, facts: AdaptorTrainingSet | None = None
    ) -> Tensors:
        """Train as plain training does; from other parameters or on some of the facts."""
        given = self.start() if start is None else start
        return descend(given, self.loss(facts), PLAIN_RATES)

    def split(self) -> tuple[AdaptorTrainingSet, AdaptorTrainingSet]:
        """Return the facts from before the newest ones, and the newest ones.

        The facts of other domains are older than a new domain; where there are none, the older half
        of the own facts is old, by time of capture.  The first part is empty for a single fact.
        """
        facts = self.facts
        old = ~facts.own
        if not bool(old.any()):
            old = facts.ages < len(facts.ages) // 2
        return facts.part(old), facts.part(~old)


class TrainingRecipe(Protocol):
    """A way to train the parameters of a blueprint, as a pure function of facts and seed."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of adaptor that it trains."""

    def applies(self, blueprint: nas.Blueprint) -> bool:
        """Return whether it trains this blueprint, which is of one of its kinds."""

    def train(self, task: TrainingTask) -> dict[str, Floats]:
        """Return the trained parameters, float32, by name: finite, and bit-equal on one machine
        for equal tasks."""


def kept(task: TrainingTask, parameters: Mapping[str, Tensor]) -> dict[str, Floats]:
    """Return the parameters that are kept: those of the blueprint, in the order of a draw."""
    return {name: parameters[name].detach().numpy().copy() for name in sorted(task.shapes)}
