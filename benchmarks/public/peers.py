"""Detectors of River, nearest neighbours and dummies, for every board.

Peers that take one number get each channel alone and fire when one of them does.  River's change
detectors need values of a known size: they get each channel centred and divided by its standard
deviation over the whole series, which no detector can know in a stream; it is in their favour.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
# Reads values [n, channels], returns whether it fires, or a score, for every row.
Alarms = Callable[[Floats], Flags]
Scores = Callable[[Floats], Floats]

NEIGHBOURS: Final = 5
"""Neighbours of the kNN peer: the usual number."""
NEIGHBOURS_MAX: Final = 1_500
"""Windows that the kNN peer keeps: what our scorer keeps, so that both see as much."""
LAGS: Final = 16
"""Values of a window of the kNN peer: the shorter of our own two."""
BLOCK: Final = 100
"""Rows that are scored against the same windows, for speed."""


def river_alarms() -> Mapping[str, Mapping[str, Alarms]]:
    """Return River's change detectors by name and setting: its default and a small grid."""
    from river import drift as modules

    drift: Any = modules
    return {
        "River ADWIN": {
            f"delta={delta}": _river(partial(drift.ADWIN, delta=delta, clock=1))
            for delta in (0.002, 0.02, 1e-5)
        },
        "River KSWIN": {
            f"alpha={alpha}": _river(partial(drift.KSWIN, alpha=alpha, seed=1))
            for alpha in (0.005, 1e-4, 1e-6)
        },
        "River PageHinkley": {
            f"delta={delta}, threshold={threshold}": _river(
                partial(drift.PageHinkley, delta=delta, threshold=threshold)
            )
            for delta, threshold in ((0.005, 50.0), (0.1, 10.0), (0.5, 20.0))
        },
    }


def _river(make: Callable[[], Any]) -> Alarms:
    def run(values: Floats) -> Flags:
        fired = np.zeros(len(values), bool)
        for channel in standardised(values).T:
            detector = make()
            for row, value in enumerate(channel):
                detector.update(float(value))
                fired[row] |= detector.drift_detected
        return fired

    return run


def standardised(values: Floats) -> Floats:
    """Return each channel centred and in standard deviations of the whole series; a missing value
    is the one before it."""
    filled = values.copy()
    for row in range(1, len(filled)):
        filled[row] = np.where(np.isfinite(filled[row]), filled[row], filled[row - 1])
    return np.asarray((filled - filled.mean(0)) / np.maximum(filled.std(0), 1e-12))


def river_scores() -> Mapping[str, Mapping[str, Scores]]:
    """Return River's anomaly scores by name and setting."""
    from river import anomaly as modules

    anomaly: Any = modules
    return {
        "River HalfSpaceTrees": {
            f"window_size={size}": _scored(
                partial(anomaly.HalfSpaceTrees, n_trees=10, height=8, window_size=size, seed=1)
            )
            for size in (100, 250)
        },
    }


def _scored(make: Callable[[], Any]) -> Scores:
    """Scale each channel to 0 to 1 by its range so far: half-space trees expect that range."""

    def run(values: Floats) -> Floats:
        low, high = (each.accumulate(values, axis=0) for each in (np.minimum, np.maximum))
        unit = (values - low) / np.maximum(high - low, 1e-12)
        names = range(values.shape[1])
        scorer = make()
        score = np.zeros(len(values))
        for row, sample in enumerate(unit.tolist()):
            one = dict(zip(names, sample, strict=True))
            score[row] = scorer.score_one(one)
            scorer.learn_one(one)
        return score

    return run


def neighbour_scores(values: Floats, probation: int) -> Floats:
    """Return the mean distance of each window of a channel to its nearest ones among the last
    windows that do not overlap it, 0 in a series shorter than a window; values in units of the
    probation's 5 to 95 % range."""
    if len(values) < LAGS:
        return np.zeros(len(values))
    low, high = np.quantile(values[:probation], (0.05, 0.95))
    unit = (values - low) / max(float(high - low), 1e-9)
    windows = np.lib.stride_tricks.sliding_window_view(unit, LAGS)
    squares = (windows**2).sum(1)
    score = np.zeros(len(values))
    for begun in range(2 * LAGS, len(windows), BLOCK):
        now = slice(begun, min(begun + BLOCK, len(windows)))
        past = slice(max(0, begun - LAGS - NEIGHBOURS_MAX), begun - LAGS)
        apart = squares[now, None] + squares[past] - 2.0 * windows[now] @ windows[past].T
        kept = min(NEIGHBOURS, apart.shape[1])
        nearest = np.partition(apart, kept - 1, axis=1)[:, :kept]
        score[now.start + LAGS - 1 : now.stop + LAGS - 1] = np.sqrt(np.maximum(nearest, 0.0)).mean(
            1
        )
    return score


def neighbour_alarms() -> Mapping[str, Mapping[str, Alarms]]:
    """Return nearest neighbours of windows as a change detector: it fires where a channel's score
    rises above a threshold.  Values are in units of the whole series' range, in its favour."""
    return {
        "kNN of windows": {
            f"threshold={threshold}": partial(_rises, threshold=threshold)
            for threshold in (0.25, 0.5, 1.0, 2.0, 4.0)
        }
    }


def _rises(values: Floats, threshold: float) -> Flags:
    fired = np.zeros(len(values), bool)
    for channel in standardised(values).T:
        above = neighbour_scores(channel, len(channel)) > threshold
        fired[1:] |= above[1:] & ~above[:-1]
    return fired


def beyond_range(values: Floats) -> Floats:
    """Return how far each value lies beyond the running range, in ranges; 0 inside it.  There is no
    model in it."""
    low, high = (each.accumulate(values, axis=0)[:-1] for each in (np.minimum, np.maximum))
    beyond = np.maximum(values[1:] - high, low - values[1:])
    found = np.zeros(values.shape)
    found[1:] = np.maximum(beyond, 0.0) / np.maximum(high - low, 1e-9)
    # The range of a few values says nothing.
    found[:20] = 0.0
    return np.asarray(found.max(axis=tuple(range(1, values.ndim))))


def chosen(settings: Mapping[str, Any], judge: Callable[[Any], float]) -> tuple[str, Any]:
    """Return the name and the value of the setting with the highest judgement."""
    best = max(settings, key=lambda name: judge(settings[name]))
    return best, settings[best]


def clock(rows: int, period: int) -> NDArray[np.int64]:
    """Return an alarm at every so many rows: it looks at nothing."""
    return np.arange(period, rows, period)


def rows_of(fired: Flags) -> Sequence[int]:
    """Return the rows at which a detector fires."""
    found: list[int] = np.flatnonzero(fired).tolist()
    return found
