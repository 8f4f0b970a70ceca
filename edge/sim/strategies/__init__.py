"""Strategies of continual learning in the harness: for comparison only, none of them serves."""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .kinds import STRATEGIES, StrategyKind, left_out
    from .strategy import (
        LabelledPart,
        Strategy,
        StreamShape,
        StreamTask,
        TaskStream,
        TrainingDivergedError,
    )
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "kinds": ("STRATEGIES", "StrategyKind", "left_out"),
            "strategy": (
                "LabelledPart",
                "Strategy",
                "StreamShape",
                "StreamTask",
                "TaskStream",
                "TrainingDivergedError",
            ),
        },
    )

__all__ = [
    "STRATEGIES",
    "LabelledPart",
    "Strategy",
    "StrategyKind",
    "StreamShape",
    "StreamTask",
    "TaskStream",
    "TrainingDivergedError",
    "left_out",
]
