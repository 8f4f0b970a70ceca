"""Training recipes: how the parameters of a blueprint are trained, apart from its architecture."""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .kinds import RECIPES, recipe_applies
    from .plain import PlainRecipe
    from .recipe import TrainingRecipe, TrainingTask
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "kinds": ("RECIPES", "recipe_applies"),
            "plain": ("PlainRecipe",),
            "recipe": ("TrainingRecipe", "TrainingTask"),
        },
    )

__all__ = ["RECIPES", "PlainRecipe", "TrainingRecipe", "TrainingTask", "recipe_applies"]
