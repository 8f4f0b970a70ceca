"""Metrics of continual learning and novelty detection, by their standard names.

Accuracy matrices follow Lopez-Paz & Ranzato 2017, "Gradient episodic memory", section 2; forgetting
follows Chaudhry et al. 2018, "Riemannian walk", section 4.  Rows are checkpoints, columns domains;
`taught[j]` is the row of the first checkpoint after domain j was taught, or None.  Entries that are
not a number (a domain forgotten on request) do not count.  An undefined figure is None.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..core import AlarmCounts, effective_count, wilson_interval
from .recording import DecisionStep, GrowthEpisode, RoutingRecord, StageTiming, TimelineMark

Matrix = NDArray[np.float64]
Taught = Sequence[int | None]

FPR_AT_TPR: Final = 0.95
"""The customary operating point of out-of-distribution detection (Hendrycks and Gimpel 2017)."""


def average_accuracy(matrix: Matrix, taught: Taught) -> float | None:
    """Return the mean of the last row over the domains taught (ACC of GEM)."""
    return _mean(float(matrix[-1, j]) for j, row in enumerate(taught) if row is not None)


def backward_transfer(matrix: Matrix, taught: Taught) -> float | None:
    """Return the mean change from just after a domain was taught to the end (BWT of GEM); negative
    values are forgetting."""
    last = len(matrix) - 1
    return _mean(
        float(matrix[last, j] - matrix[row, j])
        for j, row in enumerate(taught)
        if row is not None and row < last
    )


def forward_transfer(matrix: Matrix, taught: Taught, chance: float) -> float | None:
    """Return the mean gain over chance just before a domain was taught (FWT of GEM)."""
    return _mean(
        float(matrix[row - 1, j]) - chance
        for j, row in enumerate(taught)
        if row is not None and row > 0
    )


def forgetting(matrix: Matrix, taught: Taught) -> float | None:
    """Return the mean drop from the best accuracy since a domain was taught to the end; negative if
    the last accuracy is the best."""
    last = len(matrix) - 1
    return _mean(
        float(np.nanmax(matrix[row:last, j]) - matrix[last, j])
        for j, row in enumerate(taught)
        if row is not None and row < last and not np.isnan(matrix[row:last, j]).all()
    )


def auroc(known: Sequence[float], new: Sequence[float]) -> float | None:
    """Return the area under the ROC curve of novelty scores: the probability that a new sample
    scores higher than a known one."""
    if not known or not new:
        return None
    from sklearn.metrics import roc_auc_score

    truth = [0] * len(known) + [1] * len(new)
    return float(roc_auc_score(truth, [*known, *new]))


def fpr95(known: Sequence[float], new: Sequence[float]) -> float | None:
    """Return the share of new samples below a threshold that accepts 95 % of the known ones."""
    if not known or not new:
        return None
    threshold = np.quantile(known, FPR_AT_TPR)
    return float(np.mean(np.asarray(new) <= threshold))


def false_alarm_rate(steps: Sequence[DecisionStep]) -> float | None:
    """Return the share of known samples called new, where the detector decided."""
    return _mean(
        float(step.known is False)
        for step in steps
        if step.novel is False and step.known is not None
    )


def false_alarm_interval(steps: Sequence[DecisionStep]) -> tuple[float, float] | None:
    """Return the 95 % interval of `false_alarm_rate`, on the number of independent samples that the
    stream amounts to."""
    counts = AlarmCounts()
    for step in steps:
        if step.novel is False and step.known is not None:
            counts.add(novel=step.known is False)
    if not counts.samples:
        return None
    return wilson_interval(counts.alarms / counts.samples, effective_count(counts))


def detection_rate(steps: Sequence[DecisionStep]) -> float | None:
    """Return the share of new samples called new, where the detector decided."""
    return _mean(
        float(step.known is False)
        for step in steps
        if step.novel is True and step.known is not None
    )


def window_false_alarm_rate(steps: Sequence[DecisionStep], window: int) -> float | None:
    """Return the share of observations in alarm among those whose whole window was known."""
    quiet = [
        steps[at]
        for at in range(window - 1, len(steps))
        if all(step.novel is False for step in steps[at - window + 1 : at + 1])
    ]
    return _mean(float(step.alarm) for step in quiet)


def abstention(steps: Sequence[DecisionStep]) -> float | None:
    """Return the share of observations without an answer."""
    return _mean(float(step.label is None) for step in steps)


def degraded(steps: Sequence[DecisionStep]) -> float | None:
    """Return the share of observations answered for a domain without labels."""
    return _mean(float(step.degraded) for step in steps)


def online_accuracy(steps: Sequence[DecisionStep]) -> float | None:
    """Return the share of observations whose best guess was correct, abstentions included."""
    return _mean(float(step.guess == step.truth_label) for step in steps)


def detection_delay(
    steps: Sequence[DecisionStep], marks: Sequence[TimelineMark]
) -> tuple[float | None, int]:
    """Return the mean number of observations from a change to a new domain until the alarm, and the
    number of missed changes: no alarm before the next change or the end."""
    changes = [mark.index for mark in marks if mark.kind == "domain"]
    ends = [*changes[1:], len(steps)]
    delays: list[float] = []
    missed = 0
    for start, end in zip(changes, ends, strict=True):
        stretch = steps[start:end]
        if not stretch or stretch[0].novel is not True or stretch[0].known is None:
            continue
        first = next((at for at, step in enumerate(stretch) if step.alarm), None)
        missed += first is None
        delays += [] if first is None else [float(first + 1)]
    return _mean(delays), missed


def routing_accuracy(homes: Sequence[int | None], counts: Sequence[Sequence[int]]) -> float | None:
    """Return the share of samples routed to the device's domain with most of the facts learned of
    their true domain; a macro average over the learned true domains."""
    shares = [
        row[home] / sum(row)
        for row, home in zip(counts, homes, strict=True)
        if home is not None and any(row)
    ]
    return _mean(shares)


def measure_growth(
    episodes: Sequence[GrowthEpisode], routing: RoutingRecord
) -> dict[str, float | None]:
    """Return the metrics of growth and routing.  Gains are on held-out facts."""
    grown = [one for one in episodes if one.state == "serving"]
    gains = [
        one.accuracy - one.incumbent
        for one in grown
        if one.accuracy is not None and one.incumbent is not None
    ]
    return {
        "adaptors_grown": float(len(grown)),
        "growths_refused": float(sum(one.state == "refused" for one in episodes)),
        "growths_abandoned": float(sum(one.state == "abandoned" for one in episodes)),
        "held_out_gain": _mean(gains),
        "domains_opened": float(len(routing.columns)),
        "routing_accuracy": routing_accuracy(routing.homes, routing.counts),
        "routing_accuracy_window": routing_accuracy(routing.homes, routing.windows),
    }


def time_stage(stage: str, microseconds: Sequence[float]) -> StageTiming:
    """Return the latency of a stage: median and 99th percentile."""
    if not microseconds:
        return StageTiming(stage, 0, 0.0, 0.0)
    p50, p99 = np.quantile(microseconds, (0.5, 0.99))
    return StageTiming(stage, len(microseconds), float(p50), float(p99))


def measure_steps(
    steps: Sequence[DecisionStep], marks: Sequence[TimelineMark], window: int
) -> dict[str, float | None]:
    """Return the metrics of decisions and marks.

    Scores count only where the detector decided: otherwise the domain has too few facts for a
    meaningful score.
    """
    decided = [step for step in steps if step.known is not None]
    known = [step.score for step in decided if step.novel is False]
    new = [step.score for step in decided if step.novel is True]
    delay, missed = detection_delay(steps, marks)
    low, high = false_alarm_interval(steps) or (None, None)
    return {
        "online_accuracy": online_accuracy(steps),
        "auroc": auroc(known, new),
        "fpr95": fpr95(known, new),
        "false_alarm_rate": false_alarm_rate(steps),
        "false_alarm_low": low,
        "false_alarm_high": high,
        "window_false_alarm_rate": window_false_alarm_rate(steps, window),
        "detection_rate": detection_rate(steps),
        "detection_delay": delay,
        "changes_missed": float(missed),
        "abstention": abstention(steps),
        "degraded": degraded(steps),
    }


def measure_matrix(matrix: Matrix, taught: Taught, chance: float) -> dict[str, float | None]:
    """Return the metrics of an accuracy matrix.  chance: accuracy of random guesses."""
    plain: dict[str, Callable[[Matrix, Taught], float | None]] = {
        "average_accuracy": average_accuracy,
        "forgetting": forgetting,
        "backward_transfer": backward_transfer,
    }
    found = {name: measure(matrix, taught) for name, measure in plain.items()}
    return found | {"forward_transfer": forward_transfer(matrix, taught, chance)}


def _mean(values: Iterable[float]) -> float | None:
    numbers = [value for value in values if not np.isnan(value)]
    return float(np.mean(numbers)) if numbers else None
