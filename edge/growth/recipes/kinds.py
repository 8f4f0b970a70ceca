"""The table of recipes.  To add one: one file with one class, one line here and its name in
`nas.RECIPES`."""

from collections.abc import Mapping
from typing import Final

import nas

from .continual import ContinualRecipe
from .corda import CordaRecipe
from .emulated import EmulatedRecipe
from .guidance import GuidedRecipe
from .learngene import LearngeneRecipe
from .logit_swap import LogitSwapRecipe
from .plain import PlainRecipe
from .recipe import TrainingRecipe
from .warm_start import WarmStartRecipe

RECIPES: Final[Mapping[str, TrainingRecipe]] = {
    nas.PLAIN: PlainRecipe(),
    "corda": CordaRecipe(largest=True, kinds=("linear", "lowrank")),
    "corda-kept": CordaRecipe(largest=False, kinds=("lowrank",)),
    "learngene": LearngeneRecipe(),
    "guided": GuidedRecipe(trained=True),
    "guided-untrained": GuidedRecipe(trained=False),
    "rewarm": ContinualRecipe(rewarmed=True),
    "budget-free": ContinualRecipe(rewarmed=False),
    "warm-start": WarmStartRecipe(),
    "logit-swap": LogitSwapRecipe(),
    "emulated": EmulatedRecipe(),
}


def recipe_applies(blueprint: nas.Blueprint) -> bool:
    """Return whether a blueprint's recipe exists and trains it."""
    recipe = RECIPES.get(blueprint.recipe)
    return recipe is not None and blueprint.kind in recipe.kinds and recipe.applies(blueprint)
