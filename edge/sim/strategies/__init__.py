"""Strategies of continual learning on one harness: the table, streams and figures.

For comparison only: none of them serves, and nothing here writes a knowledge file.
"""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .comparison import StrategyReport, compare_strategies
    from .few_shot import Tricks
    from .kinds import STRATEGIES, StrategyKind, left_out
    from .report import figure_row, ranking_rows, write_strategies
    from .small_tasks import SMALL_TASKS, small_stream
    from .strategy import (
        LabelledPart,
        Strategy,
        StreamShape,
        StreamTask,
        TaskStream,
        TrainingDivergedError,
    )
    from .streams import STREAMS, StreamSource, current_rows
    from .summary import ComparedStream, StrategyLine, summarise_strategies
    from .trial import StrategyOutcome, run_strategy
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "comparison": ("StrategyReport", "compare_strategies"),
            "few_shot": ("Tricks",),
            "kinds": ("STRATEGIES", "StrategyKind", "left_out"),
            "report": ("figure_row", "ranking_rows", "write_strategies"),
            "small_tasks": ("SMALL_TASKS", "small_stream"),
            "strategy": (
                "LabelledPart",
                "Strategy",
                "StreamShape",
                "StreamTask",
                "TaskStream",
                "TrainingDivergedError",
            ),
            "streams": ("STREAMS", "StreamSource", "current_rows"),
            "summary": ("ComparedStream", "StrategyLine", "summarise_strategies"),
            "trial": ("StrategyOutcome", "run_strategy"),
        },
    )

__all__ = [
    "SMALL_TASKS",
    "STRATEGIES",
    "STREAMS",
    "ComparedStream",
    "LabelledPart",
    "Strategy",
    "StrategyKind",
    "StrategyLine",
    "StrategyOutcome",
    "StrategyReport",
    "StreamShape",
    "StreamSource",
    "StreamTask",
    "TaskStream",
    "TrainingDivergedError",
    "Tricks",
    "compare_strategies",
    "current_rows",
    "figure_row",
    "left_out",
    "ranking_rows",
    "run_strategy",
    "small_stream",
    "summarise_strategies",
    "write_strategies",
]
