"""Training a stream's own forecasting network, and judging it on what it has not seen."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.forecasting import ForecasterTrainingJob, ForecasterTrainingResult
from .liquid_training import (
    WINDOW,
    ForecastTrainingSet,
    make_training_set,
    predict_network,
    train_network,
)

HELD_OUT = 0.2


def train_forecaster(job: ForecasterTrainingJob) -> ForecasterTrainingResult:
    """Train on the first four fifths of a recording, judge on the rest.

    The network is handed out where its mean error over all horizons is below that of the one it
    started from.  Bit-equal on one machine for the same job.  Cost: about 20 ms a round.
    """
    lessons = make_training_set(job.values, job.elapsed_s, job.period or None)
    cut = int(len(job.values) * (1 - HELD_OUT))
    learned = ForecastTrainingSet(lessons.inputs[:cut], lessons.ratios[:cut], lessons.targets[:cut])
    if cut <= WINDOW or np.isnan(learned.targets).all():
        return ForecasterTrainingResult(
            {}, "nothing in the recording moves for long enough to learn from"
        )
    made = train_network(job.kind, [learned], [1.0], job.rounds, job.seed, job.start)
    own, start = (_errors(job.kind, arrays, lessons, cut) for arrays in (made, job.start))
    if not sum(own) < sum(start):
        return ForecasterTrainingResult(
            {}, "it does no better than the network it started from", own, start
        )
    return ForecasterTrainingResult(made, "better", own, start)


def _errors(
    kind: str, arrays: Mapping[str, NDArray[Any]], lessons: ForecastTrainingSet, cut: int
) -> tuple[float, ...]:
    """Mean |error| from a sample on, over that of last value, by horizon."""
    wanted = lessons.targets[cut:]
    usable = ~np.isnan(wanted)
    apart = np.where(usable, np.abs(predict_network(kind, arrays, lessons)[cut:] - wanted), 0.0)
    usual = np.where(usable, np.abs(wanted), 0.0)
    ratios = apart.sum(axis=(0, 1)) / np.maximum(usual.sum(axis=(0, 1)), 1e-300)
    return tuple(float(ratio) for ratio in ratios)
