"""The blueprints of the search space that name a recipe: some shapes on two tap sets.

Scores do not see how parameters are trained, so that more of them would only make the search
slower; growth compares the ones on its shortlist on held-out facts.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from .blueprint import PLAIN, Blueprint

_Shape = tuple[str, int, int, str, int]
_SHAPES: Final[dict[str, tuple[_Shape, ...]]] = {
    "corda": (("linear", 32, 0, "none", 1), ("lowrank", 0, 32, "none", 1)),
    "corda-kept": (("lowrank", 0, 32, "none", 1),),
    "learngene": (("lowrank", 0, 16, "relu", 3), ("bottleneck", 128, 32, "relu", 3)),
    "guided": (("bottleneck", 128, 32, "relu", 2),),
    "guided-untrained": (("bottleneck", 128, 32, "relu", 2),),
    "rewarm": (("lowrank", 0, 16, "relu", 1),),
    "budget-free": (("lowrank", 0, 16, "relu", 1),),
    "warm-start": (("lowrank", 0, 16, "relu", 1),),
    "logit-swap": (("lowrank", 0, 16, "relu", 1), ("bottleneck", 128, 32, "relu", 1)),
    "emulated": (("linear", 32, 0, "none", 1),),
}
"""(kind, width, rank, activation, depth) by recipe: shapes that it trains.  Chosen by hand; effect
not measured."""
_TAPS_MIN: Final = {"emulated": 2}
"""Fewest taps of recipes that need more than one: `edge.growth.recipes` has the reasons."""
MEASURED: Final = {"linear": "corda"}
"""Recipes that were better than plain training of the same blueprint on every task they were tried
on (docs/explanation/recipes.md), by kind: growth trains by them."""


def with_measured_recipe(blueprint: Blueprint) -> Blueprint:
    """Return a plain blueprint with the recipe that growth trains its kind by; any other as it
    is."""
    if blueprint.recipe != PLAIN:
        return blueprint
    return replace(blueprint, recipe=MEASURED.get(blueprint.kind, PLAIN))


def recipe_blueprints(taps: int) -> Iterator[Blueprint]:
    """Yield the blueprints that name a recipe, on the final features and on all of so many taps."""
    for chosen in sorted({(0,), tuple(range(taps))}):
        for recipe, shapes in _SHAPES.items():
            if len(chosen) >= _TAPS_MIN.get(recipe, 1):
                for kind, width, rank, activation, depth in shapes:
                    yield Blueprint(
                        kind=kind,
                        taps=chosen,
                        width=width,
                        rank=rank,
                        activation=activation,
                        depth=depth,
                        recipe=recipe,
                    )
