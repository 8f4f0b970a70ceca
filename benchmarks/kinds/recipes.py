"""Every training recipe against plain training of the same blueprint, and against the head alone.

A blueprint has the same bytes and multiply-adds under every recipe.  Some recipes take more steps
than plain training, so plain training with twice and three times the steps competes as well.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

import nas
from edge.core.adaptors import Adaptor, build_transform, fit_head, solve_adaptor, standardise
from edge.growth import RECIPES, PlainRecipe, TrainingRecipe, recipe_applies, train_by

from ..nas.tasks import SearchTask

SEEDS: Final = (0, 1, 2)
"""Of training.  Three tell a gain from the luck of a start."""
LONGER: Final = {"plain, 48 steps": 48, "plain, 72 steps": 72}
"""Plain training with the steps of the recipes that take twice or three times as many."""
SHAPES: Final = (
    {"kind": "linear", "width": 4},
    {"kind": "linear", "width": 32},
    {"kind": "lowrank", "rank": 16},
    {"kind": "lowrank", "rank": 16, "activation": "relu", "depth": 3},
    {"kind": "bottleneck", "width": 64, "rank": 32, "activation": "relu"},
    {"kind": "bottleneck", "width": 64, "rank": 32, "activation": "relu", "depth": 3},
    {"kind": "fusion", "width": 64, "activation": "relu"},
)
"""Small, middle and deep shapes of the kinds that recipes train.  Chosen by hand before any
measurement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeOutcome:
    """Held-out accuracy, 0 to 1, of a blueprint on a task under a recipe, under plain training from
    the same seed, and of the head alone on the same taps.  seconds: of training."""

    recipe: str
    blueprint: nas.Blueprint
    task: str
    seed: int
    accuracy: float
    plain: float
    head: float
    seconds: float


def recipe_rows(
    tasks: Sequence[SearchTask], seeds: Sequence[int] = SEEDS
) -> Iterator[RecipeOutcome]:
    """Yield the outcome of every recipe on every task, shape that it trains, and seed."""
    for task in tasks:
        head = _accuracy(fit_head(task.own, task.others, task.spans), task)
        for blueprint in _blueprints(task):
            for seed in seeds:
                plain, seconds = measure(blueprint, task, PlainRecipe(), seed)
                yield _outcome(task, blueprint, seed, (plain, seconds), (plain, head))
                for name, recipe in _rivals(blueprint).items():
                    found = measure(blueprint, task, recipe, seed)
                    made = _outcome(task, blueprint, seed, found, (plain, head))
                    yield replace(made, recipe=name)


def _outcome(
    task: SearchTask,
    blueprint: nas.Blueprint,
    seed: int,
    found: tuple[float, float],
    rivals: tuple[float, float],
) -> RecipeOutcome:
    return RecipeOutcome(
        recipe=nas.PLAIN,
        blueprint=blueprint,
        task=task.name,
        seed=seed,
        accuracy=found[0],
        plain=rivals[0],
        head=rivals[1],
        seconds=found[1],
    )


def _blueprints(task: SearchTask) -> list[nas.Blueprint]:
    """Return the shapes on all taps; a fusion needs two or more."""
    taps = tuple(range(len(task.spans)))
    made = [nas.Blueprint(taps=taps, **shape) for shape in SHAPES]  # type: ignore[arg-type]
    return [one for one in made if one.kind != "fusion" or len(taps) > 1]


def _rivals(blueprint: nas.Blueprint) -> dict[str, TrainingRecipe]:
    """Return the recipes that train a blueprint, and longer plain training."""
    names = [
        name
        for name in RECIPES
        if name != nas.PLAIN and recipe_applies(replace(blueprint, recipe=name))
    ]
    longer = {name: PlainRecipe(steps) for name, steps in LONGER.items()}
    return {**{name: RECIPES[name] for name in names}, **longer}


def measure(
    blueprint: nas.Blueprint, task: SearchTask, recipe: TrainingRecipe, seed: int
) -> tuple[float, float]:
    """Train a blueprint on the domain's facts: accuracy on held-out facts, CPU seconds."""
    started = time.process_time()
    arrays = train_by(recipe, blueprint, (task.own, task.others), task.spans, seed)
    seconds = time.process_time() - started
    standard = standardise(task.own, task.others, task.spans)
    transform = build_transform((blueprint, arrays), task.spans)
    fitted = solve_adaptor(transform, task.own, task.others, standard)
    return _accuracy(fitted, task), seconds


def _accuracy(fitted: Adaptor, task: SearchTask) -> float:
    answers = np.array(fitted.labels)[fitted.answer(task.held).argmax(axis=1)]
    return float((answers == task.sought).mean())
