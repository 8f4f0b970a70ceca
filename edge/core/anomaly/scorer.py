"""The interface of anomaly scorers: task, score, and the limits of both."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
State = Mapping[str, NDArray[Any]]

FALSE_ALARMS_PER_DAY: Final = 1 / 7
"""Default rate of false alarms of a series: one a week, so that a person can look at each.
At five-minute samples it is close to the rate at which the score on half of NAB is best, 0.17 a
day."""


FALSE_ALARMS_PER_DAY_MAX: Final = 1_000.0
"""Highest rate: about one a minute.  More would be a typing error.  Chosen by hand."""


class ScoringTask(msgspec.Struct, frozen=True):
    """A scoring task.  channels: C, 1 or more.  false_alarms_per_day: of one series, above 0."""

    channels: int
    false_alarms_per_day: float = FALSE_ALARMS_PER_DAY


class AnomalyScore(msgspec.Struct, frozen=True, kw_only=True):
    """The anomaly score of one sample.

    p_value: estimated share of the samples of a normal series that reach this score; 1 during the
    warm-up.  score: surprise, 0 or more, before the calibration by the series' own past.  limit:
    score from which the series is in alarm.  channels: the surprising ones, the most surprising
    first; empty for an unsurprising sample.  scale: length in samples of the window that surprises
    most, 1 for a value beyond the range, 0 for an unsurprising sample.  alarm: whether the series
    is in alarm at this sample.  raised: whether an alarm starts at this sample.
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
