"""Anomaly scores for time series: how surprising is each sample, in which channels, at which scale.

`make_scorer(8).step(values, at_ns)` scores one sample.  To add a kind: one file with one class, and
one line in `kinds.SCORERS`.
"""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .alarms import alarm_starts
    from .kinds import SCORERS, make_scorer
    from .scorer import (
        FALSE_ALARMS_PER_DAY,
        FALSE_ALARMS_PER_DAY_MAX,
        AnomalyScore,
        AnomalyScorer,
        ScoringTask,
    )
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "alarms": ("alarm_starts",),
            "kinds": ("SCORERS", "make_scorer"),
            "scorer": (
                "AnomalyScore",
                "AnomalyScorer",
                "FALSE_ALARMS_PER_DAY",
                "FALSE_ALARMS_PER_DAY_MAX",
                "ScoringTask",
            ),
        },
    )

__all__ = [
    "FALSE_ALARMS_PER_DAY",
    "FALSE_ALARMS_PER_DAY_MAX",
    "SCORERS",
    "AnomalyScore",
    "AnomalyScorer",
    "ScoringTask",
    "alarm_starts",
    "make_scorer",
]
