"""The interface of anomaly scorers: task, score, and the limits of both."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
State = Mapping[str, NDArray[Any]]

FALSE_ALARMS_PER_DAY: Final = 0.05
"""Default rate of false alarms of a series: one in about three weeks, so twenty series raise one a
day in all.  At five-minute samples it is where the score on NAB's development half is best."""


@dataclass(frozen=True, slots=True)
class ScoringTask:
    """A scoring task.  channels: C, 1 or more.  false_alarms_per_day: of one series, above 0."""

    channels: int
    false_alarms_per_day: float = FALSE_ALARMS_PER_DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyScore:
    """The anomaly score of one sample.

    p_value: estimated probability per sample that a normal series raises an alarm at this score or
    above; 1 during the warm-up.  score: surprise, 0 or more, before the calibration by the series'
    own past.  channels: the surprising ones, the most surprising first; empty for an unsurprising
    sample.  limit: score from which the series is in alarm.  scale: length in samples of the window that surprises most, 0 for none.  alarm: whether
    the series is in alarm at this sample.  raised: whether an alarm starts at this sample.
    """

    p_value: float = 1.0
    score: float = 0.0
    limit: float = 0.0
    channels: tuple[int, ...] = ()
    scale: int = 0
    alarm: bool = False
    raised: bool = False


class AnomalyScorer(Protocol):
    """Scores sample by sample.  Memory is bounded; equal samples give equal bits."""

    def step(self, values: Floats, at_ns: int) -> AnomalyScore:
        """Score one sample, then learn from it.

        values: float64 [C]; NaN, infinity and sizes beyond 1e150 count as missing.  The array is
        neither kept nor changed.  at_ns: time of the sample, 0 for an unknown time.  Raises
        ValueError for another shape.
        """

    def state(self) -> State:
        """Return everything learned as arrays of a bounded size; copies."""

    def restore(self, state: State) -> None:
        """Continue from a state.  Raises ValueError for the state of another scorer."""
