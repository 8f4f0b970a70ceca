"""Growth of adaptors: architecture search, training and acceptance test, in the worker process.

Only this package and nas/proxies import torch; serving never does.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from . import torch_adaptors
    from .acceptance import (
        ScoredCandidate,
        choose_candidate,
        is_accepted,
        score_blueprint,
        score_head,
        screen_candidates,
        split_holdout,
    )
    from .adaptor_training import train_adaptor, train_by
    from .federated_gradients import AdaptorRows, forecaster_gradient
    from .forecaster_training import (
        ForecastTrainingSet,
        initial_network,
        make_training_set,
        predict_network,
        train_forecaster,
        train_network,
    )
    from .growth_job import grow_adaptor
    from .network_recipes import NETWORK_RECIPES
    from .optimisation import AdamW, deterministic
    from .recipes.kinds import RECIPES, recipe_applies
    from .recipes.plain import PlainRecipe
    from .recipes.recipe import AdaptorRecipe
    from .search import record_scores, sketch_task
    from .torch_adaptors import torch_transform
    from .torch_kinds import torch_activate
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "acceptance": (
                "ScoredCandidate",
                "choose_candidate",
                "is_accepted",
                "score_blueprint",
                "score_head",
                "screen_candidates",
                "split_holdout",
            ),
            "adaptor_training": ("train_adaptor", "train_by"),
            "federated_gradients": ("AdaptorRows", "forecaster_gradient"),
            "forecaster_training": (
                "ForecastTrainingSet",
                "initial_network",
                "make_training_set",
                "predict_network",
                "train_forecaster",
                "train_network",
            ),
            "growth_job": ("grow_adaptor",),
            "network_recipes": ("NETWORK_RECIPES",),
            "optimisation": ("AdamW", "deterministic"),
            "recipes.kinds": ("RECIPES", "recipe_applies"),
            "recipes.plain": ("PlainRecipe",),
            "recipes.recipe": ("AdaptorRecipe",),
            "search": ("record_scores", "sketch_task"),
            "torch_adaptors": ("torch_transform",),
            "torch_kinds": ("torch_activate",),
        },
    )

__all__ = [
    "NETWORK_RECIPES",
    "RECIPES",
    "AdamW",
    "AdaptorRecipe",
    "AdaptorRows",
    "ForecastTrainingSet",
    "PlainRecipe",
    "ScoredCandidate",
    "choose_candidate",
    "deterministic",
    "forecaster_gradient",
    "grow_adaptor",
    "initial_network",
    "is_accepted",
    "make_training_set",
    "predict_network",
    "recipe_applies",
    "record_scores",
    "score_blueprint",
    "score_head",
    "screen_candidates",
    "sketch_task",
    "split_holdout",
    "torch_activate",
    "torch_adaptors",
    "torch_transform",
    "train_adaptor",
    "train_by",
    "train_forecaster",
    "train_network",
]
