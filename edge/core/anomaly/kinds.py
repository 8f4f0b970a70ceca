"""The table of anomaly scorers, by name."""

from collections.abc import Callable
from typing import Final

from .scorer import FALSE_ALARMS_PER_DAY, AnomalyScorer, ScoringTask
from .window_scorer import WindowScorer

SCORERS: Final[dict[str, Callable[[ScoringTask], AnomalyScorer]]] = {
    "windows": WindowScorer,
}
"""Constructors by name, each from a scoring task."""


def make_scorer(
    channels: int, false_alarms_per_day: float = FALSE_ALARMS_PER_DAY, kind: str = "windows"
) -> AnomalyScorer:
    """Return a scorer of a series of so many channels."""
    return SCORERS[kind](ScoringTask(channels, false_alarms_per_day))
