"""Strategies of continual learning in the harness: for comparison only, none of them serves."""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .comparison import StrategyReport, compare_strategies
    from .few_shot import Tricks
    from .kinds import STRATEGIES, StrategyKind, left_out
    from .report import figure_row, ranking_rows, write_strategies
    from .small_tasks import small_stream
    from .strategy import (
        LabelledPart,
        Strategy,
        StreamShape,
        StreamTask,
        TaskStream,
        TrainingDivergedError,
    )
    from .streams import STREAMS, StreamSource, current_rows
    from .summary import StreamSummary
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "comparison": ("StrategyReport", "compare_strategies"),
            "few_shot": ("Tricks",),
            "kinds": ("STRATEGIES", "StrategyKind", "left_out"),
            "report": ("figure_row", "ranking_rows", "write_strategies"),
            "small_tasks": ("small_stream",),
            "strategy": (
                "LabelledPart",
                "Strategy",
                "StreamShape",
                "StreamTask",
                "TaskStream",
                "TrainingDivergedError",
            ),
            "streams": ("STREAMS", "StreamSource", "current_rows"),
            "summary": ("StreamSummary",),
        },
    )

__all__ = [
    "STRATEGIES",
    "STREAMS",
    "LabelledPart",
    "Strategy",
    "StrategyKind",
    "StrategyReport",
    "StreamShape",
    "StreamSource",
    "StreamSummary",
    "StreamTask",
    "TaskStream",
    "TrainingDivergedError",
    "Tricks",
    "compare_strategies",
    "current_rows",
    "figure_row",
    "left_out",
    "ranking_rows",
    "small_stream",
    "write_strategies",
]
