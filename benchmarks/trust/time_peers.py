"""Peers of the time-ordered false alarms: split conformal Mahalanobis and nearest neighbours."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from .time_sets import Reals, TimePart

CALIBRATED = 0.3
"""Share of the enrolled samples that is held out at random to calibrate a peer."""

RATE = 0.01
"""The chosen false-alarm rate."""

WINDOW = 16
"""Observations of a window."""

NEIGHBOURS = 5
"""Neighbours whose mean distance is the score."""

RIDGE = 1e-6
"""Added to the variances of standardised columns, so that constant ones can be inverted."""

NORMAL_QUANTILE = 2.326
"""A standard normal exceeds it at the chosen rate."""


Score = Callable[[Reals, NDArray[np.int64], Reals], Reals]
"""Scores rows, given the fitted ones with their labels; higher is more novel."""


def peer_alarms(parts: list[TimePart]) -> Iterator[tuple[str, float, float]]:
    """Yield each peer with its mean false alarms per sample and per window on the parts."""
    for name, score in (("conformal Mahalanobis", _mahalanobis), ("conformal kNN", _neighbours)):
        rates = [_alarms(part, score) for part in parts]
        sample, window = (float(np.mean(column)) for column in zip(*rates, strict=True))
        yield name, sample, window


def _alarms(part: TimePart, score: Score) -> tuple[float, float]:
    random = np.random.default_rng(0)
    enrolled = part.values[: part.enrolled]
    spread = enrolled.std(axis=0) + RIDGE
    values = (part.values - enrolled.mean(axis=0)) / spread
    order = random.permutation(part.enrolled)
    cut = int(CALIBRATED * part.enrolled)
    held, fitted = order[:cut], order[cut:]
    judged = np.arange(part.enrolled, len(values))
    labels = part.labels[fitted]
    calibrated = score(values[fitted], labels, values[held])
    found = score(values[fitted], labels, values[judged])
    place = min(cut - 1, int(np.ceil((1 - RATE) * (cut + 1))) - 1)
    limit = np.sort(calibrated)[place]
    standard = (found - calibrated.mean()) / calibrated.std()
    means = np.convolve(standard, np.full(WINDOW, 1 / WINDOW), "valid")
    return (
        float((found > limit).mean()),
        float((means > NORMAL_QUANTILE / np.sqrt(WINDOW)).mean()),
    )


def _mahalanobis(fitted: Reals, labels: NDArray[np.int64], rows: Reals) -> Reals:
    names = np.unique(labels)
    means = np.stack([fitted[labels == name].mean(axis=0) for name in names])
    rest = fitted - means[np.searchsorted(names, labels)]
    inverse = np.linalg.inv(rest.T @ rest / len(rest) + RIDGE * np.eye(rest.shape[1]))
    apart = rows[:, None] - means
    squared = np.einsum("ncd,de,nce->nc", apart, inverse, apart)
    return np.asarray(np.sqrt(squared.min(axis=1)))


def _neighbours(fitted: Reals, _labels: NDArray[np.int64], rows: Reals) -> Reals:
    made = np.empty(len(rows))
    for at, row in enumerate(rows):
        apart = np.sqrt(np.square(fitted - row).sum(axis=1))
        made[at] = np.partition(apart, NEIGHBOURS)[:NEIGHBOURS].mean()
    return made
