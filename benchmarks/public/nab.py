"""The Numenta Anomaly Benchmark: its 58 series and its scoring rules.

Rules: Lavin and Ahmad 2015, "Evaluating real-time anomaly detection algorithms: the Numenta
anomaly benchmark" (ICMLA), and the sweeper and scorer of github.com/numenta/NAB.  Each point that
an alarm can fall on has a weight.  Inside a labelled window only the best alarm counts; every alarm
outside costs.  The score of a corpus is 0 for no alarm at all and 100 for an alarm at the first
point of every window and no other.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FILE: Final = "nab_full.npz"
PROBATION: Final = 0.15
"""Share of a series that is not scored (NAB, `getProbationPeriod`)."""
PROBATION_ROWS_MAX: Final = 5_000
"""Rows that the share is a share of, at most (NAB, `getProbationPeriod`)."""
STEEPNESS: Final = 5.0
"""Slope of the weight over the position in a window (NAB, `scaledSigmoid`)."""
FAR_WIDTHS: Final = 3.0
"""Widths behind a window from which a false alarm costs its full weight (`scaledSigmoid`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NabProfile:
    """Weights of one scoring profile: a detected window, a false alarm, a missed window."""

    name: str
    tp: float
    fp: float
    fn: float


# Weights: config/profiles.json of NAB.
STANDARD: Final = NabProfile(name="standard", tp=1.0, fp=0.11, fn=1.0)
LOW_FP: Final = NabProfile(name="reward_low_FP_rate", tp=1.0, fp=0.22, fn=1.0)
LOW_FN: Final = NabProfile(name="reward_low_FN_rate", tp=1.0, fp=0.11, fn=2.0)
PROFILES: Final = (STANDARD, LOW_FP, LOW_FN)
"""In the order of the board's columns."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class NabSeries:
    """One series: seconds and values [n], labelled windows [w, 2] as first and last row.

    published: anomaly scores of board members by name, [n] each.
    """

    name: str
    seconds: Floats = field(repr=False)
    values: Floats = field(repr=False)
    windows: NDArray[np.int64] = field(repr=False)
    published: Mapping[str, Floats] = field(default_factory=dict, repr=False)

    @property
    def probation(self) -> int:
        """Rows at the start that are not scored."""
        return int(PROBATION * min(len(self.values), PROBATION_ROWS_MAX))


def load_nab(folder: Path) -> list[NabSeries]:
    """Load all series in the order of their names."""
    with np.load(folder / FILE) as stored:
        names = sorted(key[: -len("__v")] for key in stored if key.endswith("__v"))
        series = []
        for name in names:
            seconds = stored[f"{name}__t"].astype(np.float64)
            begun, ended = (
                np.array([int(np.flatnonzero(seconds == at)[0]) for at in limits], np.int64)
                for limits in stored[f"{name}__windows"].reshape(-1, 2).T
            )
            scores = {
                key.partition("__score_")[2]: stored[key].astype(np.float64)
                for key in stored
                if key.startswith(f"{name}__score_")
            }
            series.append(
                NabSeries(
                    name=name,
                    seconds=seconds,
                    values=stored[f"{name}__v"].astype(np.float64),
                    windows=np.stack((begun, ended), axis=1),
                    published=scores,
                )
            )
    return series


def published_board(folder: Path) -> dict[str, dict[str, float]]:
    """Return NAB's own board: scores by method and profile."""
    with np.load(folder / FILE) as stored:
        board: dict[str, dict[str, float]] = json.loads(str(stored["published_json"]))
    return board


@dataclass(frozen=True, slots=True, eq=False)
class _Weights:
    """The scored points of one series: position in the series, weight, window or -1."""

    rows: NDArray[np.int64]
    weight: Floats
    window: NDArray[np.int64]


def _sigmoid(position: Floats) -> Floats:
    return np.where(
        position > FAR_WIDTHS,
        -1.0,
        2.0 / (1.0 + np.exp(STEEPNESS * np.minimum(position, FAR_WIDTHS))) - 1.0,
    )


def point_weights(series: NabSeries, profile: NabProfile) -> tuple[Floats, NDArray[np.int64]]:
    """Return what an alarm is worth at each row [n], and the window that the row is in, or -1."""
    rows = np.arange(len(series.values))
    weight = np.full(len(rows), -profile.fp)
    window = np.full(len(rows), -1, np.int64)
    best = float(_sigmoid(np.array(-1.0)))
    for number, (first, last) in enumerate(series.windows):
        width = last - first + 1
        inside = slice(first, last + 1)
        weight[inside] = _sigmoid(-(last - rows[inside] + 1) / width) * profile.tp / best
        window[inside] = number
        # The next window, if there is one, overwrites its part.
        after = slice(last + 1, None)
        weight[after] = _sigmoid((rows[after] - last) / max(width - 1, 1)) * profile.fp
    return weight, window


def alarm_score(
    corpus: Sequence[NabSeries], alarms: Sequence[NDArray[np.int64]], profile: NabProfile
) -> float:
    """Return the score of a corpus for the rows at which each series has an alarm."""
    total = 0.0
    for series, at in zip(corpus, alarms, strict=True):
        weight, window = point_weights(series, profile)
        found = np.full(len(series.windows), -profile.fn)
        kept = at[at >= series.probation]
        inside = window[kept] >= 0
        np.maximum.at(found, window[kept[inside]], weight[kept[inside]])
        total += float(found.sum() + weight[kept[~inside]].sum())
    return _normalised(corpus, total, profile)


def best_threshold(
    corpus: Sequence[NabSeries], scores: Sequence[Floats], profile: NabProfile
) -> tuple[float, float]:
    """Return the best score of a corpus at one threshold for all its series, and that threshold.

    An alarm is every row whose score reaches the threshold, as in NAB's optimiser; without an alarm
    the threshold is infinity.
    """
    values, gains = _gains(corpus, scores, profile)
    order = np.argsort(-values, kind="stable")
    values, totals = values[order], np.cumsum(gains[order])
    # A threshold takes in all rows with that score.
    last = np.flatnonzero(np.append(values[1:] != values[:-1], True)) if len(values) else order
    windows = sum(len(series.windows) for series in corpus)
    nothing = -profile.fn * windows
    if not len(last) or totals[last].max() <= 0.0:
        return _normalised(corpus, nothing, profile), float("inf")
    place = int(last[np.argmax(totals[last])])
    return _normalised(corpus, nothing + float(totals[place]), profile), float(values[place])


def _gains(
    corpus: Sequence[NabSeries], scores: Sequence[Floats], profile: NabProfile
) -> tuple[Floats, Floats]:
    """Return all scored rows' scores, and what each adds to the total when the threshold falls to
    it: in a window the improvement over the best row so far."""
    values, gains = [np.zeros(0)], [np.zeros(0)]
    for series, score in zip(corpus, scores, strict=True):
        weight, window = point_weights(series, profile)
        rows = np.arange(series.probation, len(score))
        for number in range(-1, len(series.windows)):
            chosen = rows[window[rows] == number]
            gain = weight[chosen]
            if number >= 0:
                chosen = chosen[np.argsort(-score[chosen], kind="stable")]
                best = np.maximum.accumulate(np.append(-profile.fn, weight[chosen]))
                gain = np.diff(best)
            values.append(score[chosen])
            gains.append(gain)
    return np.concatenate(values), np.concatenate(gains)


def _normalised(corpus: Iterable[NabSeries], total: float, profile: NabProfile) -> float:
    """Scale a total to 0 for a detector that never fires and 100 for a perfect one."""
    windows = sum(len(series.windows) for series in corpus)
    nothing, perfect = -profile.fn * windows, profile.tp * windows
    return 100.0 * (total - nothing) / (perfect - nothing)


def refractory(score: Floats, threshold: float, silent_rows: int) -> NDArray[np.int64]:
    """Return the rows at which a score reaches a threshold, without those in the silent rows after
    an alarm."""
    kept: list[int] = []
    free = 0
    for row in np.flatnonzero(score >= threshold):
        if row >= free:
            kept.append(int(row))
            free = int(row) + 1 + silent_rows
    return np.array(kept, np.int64)


THRESHOLDS: Final = 60
"""Thresholds tried where alarms depend on the threshold: more change the score by under 0.3."""


def best_refractory_threshold(
    corpus: Sequence[NabSeries], scores: Sequence[Floats], profile: NabProfile, silent_rows: int
) -> tuple[float, float]:
    """Return the best score and its threshold where every alarm silences the rows after it."""
    judged = np.concatenate(
        [score[series.probation :] for series, score in zip(corpus, scores, strict=True)]
    )
    # From one row in 20,000 to one in five: thresholds outside cannot be the best ones.
    shares = np.geomspace(5e-5, 0.2, THRESHOLDS)
    tried = np.unique(np.quantile(judged, 1.0 - shares))
    found = [
        (alarm_score(corpus, [refractory(s, at, silent_rows) for s in scores], profile), float(at))
        for at in tried
        if at > judged.min()
    ]
    return max(found, default=(0.0, float("inf")))
