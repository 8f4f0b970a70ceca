"""Strategies of continual learning in the harness: for comparison only, none of them serves."""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .comparison import StrategyReport, compare_strategies
    from .few_shot import Tricks
    from .kinds import STRATEGIES, StrategyKind, left_out
    from .report import figure_row, ranking_rows, write_strategies
    from .strategy import (
        LabelledPart,
        Strategy,
        StreamShape,
        StreamTask,
        TaskStream,
        TrainingDivergedError,
    )
    from .summary import StreamSummary
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "few_shot": ("Tricks",),
            "comparison": ("StrategyReport", "compare_strategies"),
            "kinds": ("STRATEGIES", "StrategyKind", "left_out"),
            "report": ("figure_row", "ranking_rows", "write_strategies"),
            "strategy": (
                "LabelledPart",
                "Strategy",
                "StreamShape",
                "StreamTask",
                "TaskStream",
                "TrainingDivergedError",
            ),
            "summary": ("StreamSummary",),
        },
    )

__all__ = [
    "STRATEGIES",
    "LabelledPart",
    "Strategy",
    "StrategyKind",
    "StrategyReport",
    "StreamShape",
    "StreamSummary",
    "StreamTask",
    "TaskStream",
    "TrainingDivergedError",
    "Tricks",
    "compare_strategies",
    "figure_row",
    "left_out",
    "ranking_rows",
    "write_strategies",
]
