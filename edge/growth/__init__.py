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
        score_blueprint,
        score_head,
        screen_candidates,
        split_holdout,
    )
    from .adaptor_training import train_adaptor
    from .forecaster_training import (
        ForecastTrainingSet,
        make_training_set,
        predict_network,
        train_forecaster,
        train_network,
    )
    from .growth_job import grow_adaptor
    from .optimisation import AdamW, deterministic
    from .search import record_scores, sketch_task
    from .torch_adaptors import torch_activate, torch_transform
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "acceptance": (
                "ScoredCandidate",
                "choose_candidate",
                "score_blueprint",
                "score_head",
                "screen_candidates",
                "split_holdout",
            ),
            "adaptor_training": ("train_adaptor",),
            "forecaster_training": (
                "ForecastTrainingSet",
                "make_training_set",
                "predict_network",
                "train_forecaster",
                "train_network",
            ),
            "growth_job": ("grow_adaptor",),
            "optimisation": ("AdamW", "deterministic"),
            "search": ("record_scores", "sketch_task"),
            "torch_adaptors": ("torch_activate", "torch_transform"),
        },
    )

__all__ = [
    "AdamW",
    "ForecastTrainingSet",
    "ScoredCandidate",
    "choose_candidate",
    "deterministic",
    "grow_adaptor",
    "make_training_set",
    "predict_network",
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
    "train_forecaster",
    "train_network",
]
