"""Old facts first, then new ones: re-warming, re-decaying and replay, and a schedule without end.

Simple and Scalable Strategies to Continually Pre-train Large Language Models (Ibrahim et al. 2024,
abstract).
"""

from dataclasses import dataclass, replace
from typing import Final

import nas

from ..schedules import annealing, rewarm, unbounded
from ..training_set import AdaptorTrainingSet
from ..training_steps import STEPS, Floats, descend
from .recipe import TrainingTask, kept

REPLAY: Final = 0.05
"""Share of the old facts in the loss on new ones: small, as in the abstract.  Chosen by hand;
effect not measured."""
KINDS: Final = ("linear", "lowrank", "bottleneck", "fusion")
"""Kinds that are trained in one stage; the others follow a schedule of facts of their own."""


def replayed(old: AdaptorTrainingSet, facts: AdaptorTrainingSet) -> AdaptorTrainingSet:
    """Return the facts, weighted so that the old ones among them have the share REPLAY.

    old: a part of the facts, by their ages."""
    among = (facts.ages[:, None] == old.ages).any(dim=1)
    weights = facts.weights.clone()
    weights[among] *= REPLAY / max(float(weights[among].sum()), 1e-9)
    weights[~among] *= (1 - REPLAY) / max(float(weights[~among].sum()), 1e-9)
    return replace(facts, weights=weights)


@dataclass(frozen=True, slots=True)
class ContinualRecipe:
    """Trains on old facts, then on new ones with a little replay.  rewarmed: the rate rises and
    falls for each; otherwise it stays constant in between and falls at the end.  Cost: twice plain
    training."""

    rewarmed: bool
    kinds: tuple[str, ...] = KINDS

    def applies(self, blueprint: nas.Blueprint) -> bool:
        """See `TrainingRecipe`: always."""
        del blueprint
        return True

    def train(self, task: TrainingTask) -> dict[str, Floats]:
        """See `TrainingRecipe`."""
        old = task.split()[0]
        first, second = self._rates()
        parameters = task.start()
        if len(old.rows):
            parameters = descend(parameters, task.loss(old), first)
        return kept(task, descend(parameters, task.loss(replayed(old, task.facts)), second))

    def _rates(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        if self.rewarmed:
            return rewarm(STEPS), rewarm(STEPS)
        end = STEPS // 4
        whole = (*unbounded(2 * STEPS - end), *annealing(end))
        return whole[:STEPS], whole[STEPS:]
