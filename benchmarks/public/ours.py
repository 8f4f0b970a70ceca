"""Auricle's anomaly scorer and change detectors, as the daemon runs them: one default for all."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.core.anomaly import make_scorer
from edge.core.drift import DETECTORS, DetectedChange, default_detector

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class ScoredSeries:
    """What the scorer reports for each sample: its score and p-value, whether it is in alarm, and
    whether an alarm starts at it."""

    scores: Floats
    p_values: Floats
    alarms: Flags
    raised: Flags


def scored(values: Floats, seconds: Floats) -> ScoredSeries:
    """Score a series [n, channels] sample by sample."""
    scorer = make_scorer(values.shape[1])
    found = [scorer.step(sample, int(at * 1e9)) for sample, at in zip(values, seconds, strict=True)]
    return ScoredSeries(
        np.array([one.score for one in found]),
        np.array([one.p_value for one in found]),
        np.array([one.alarm for one in found]),
        np.array([one.raised for one in found]),
    )


def changes(values: Floats, kind: str = "") -> list[DetectedChange]:
    """Return the changes that a detector reports, by default the one that the number of channels
    chooses."""
    channels = values.shape[1]
    detector = DETECTORS[kind or default_detector(channels)](channels)
    return [change for sample in values for change in detector.step(sample)]


def change_finder(kind: str = "") -> Callable[[Floats], list[int]]:
    """Return a function that gives the starts of the reported changes of a series."""
    return lambda values: [change.start for change in changes(values, kind)]
