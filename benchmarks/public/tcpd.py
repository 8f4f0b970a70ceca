"""The Turing change point data set: series with five annotators each, F1 and cover.

Metrics: van den Burg and Williams 2020, "An evaluation of change point detection algorithms", arXiv
2003.06222, section 3.2.  The start of a series counts as a change point for everybody.
"""

import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Reads a series [n, channels], returns the change points that it reports.
ChangeFinder = Callable[[Floats], Sequence[int]]

FILE: Final = "tcpd.npz"
MARGIN: Final = 5
"""Steps between a change and a report of it (section 3.2)."""
SYNTHETIC: Final = "quality_control"
"""Prefix of the series that are partly simulated; the board lists them with the real ones."""
UNJUDGED: Final = "uk_coal_employ"
"""The only series with missing values: most methods of the board refuse it."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AnnotatedSeries:
    """One series [n, channels] and the change points of each annotator."""

    name: str
    values: Floats = field(repr=False)
    annotations: tuple[tuple[int, ...], ...] = field(repr=False)

    @property
    def is_real(self) -> bool:
        """Whether the series is a measured one with one channel."""
        return self.values.shape[1] == 1 and not self.name.startswith(SYNTHETIC)


def load_tcpd(folder: Path) -> list[AnnotatedSeries]:
    """Load all series in the order of their names."""
    with np.load(folder / FILE) as stored:
        annotations = json.loads(str(stored["annotations_json"]))
        return [
            AnnotatedSeries(
                name=name,
                values=stored[f"{name}__v"].astype(np.float64),
                annotations=tuple(tuple(each) for each in annotations[name].values()),
            )
            for name in sorted(annotations)
        ]


def _matched(true: Iterable[int], found: Iterable[int]) -> int:
    """Return how many true change points have a report of their own within the margin."""
    left = set(found)
    count = 0
    for at in sorted(true):
        near = min(left, key=lambda report: (abs(at - report), report), default=None)
        if near is not None and abs(at - near) <= MARGIN:
            left.remove(near)
            count += 1
    return count


def f1(series: AnnotatedSeries, found: Sequence[int]) -> float:
    """Return F1: precision against all annotators together, recall as their mean."""
    reports = {0, *found}
    truths = [{0, *each} for each in series.annotations]
    precision = _matched(set().union(*truths), reports) / len(reports)
    recall = float(np.mean([_matched(truth, reports) / len(truth) for truth in truths]))
    return 2.0 * precision * recall / (precision + recall)


def cover(series: AnnotatedSeries, found: Sequence[int]) -> float:
    """Return the cover: the mean overlap (Jaccard) of each annotated segment with the reported one
    nearest to it, weighted by length, mean over annotators."""
    count = len(series.values)
    reported = _segments(found, count)
    total = 0.0
    for each in series.annotations:
        for first, last in _segments(each, count):
            shared = np.minimum(last, reported[:, 1]) - np.maximum(first, reported[:, 0])
            joined = np.maximum(last, reported[:, 1]) - np.minimum(first, reported[:, 0])
            total += (last - first) * float(np.max(np.maximum(shared, 0) / joined))
    return total / count / len(series.annotations)


def _segments(changes: Iterable[int], count: int) -> NDArray[np.int64]:
    """Return the segments [m, 2] between change points, as first and last + 1."""
    bounds = sorted({0, count, *(at for at in changes if 0 < at < count)})
    return np.array(list(itertools.pairwise(bounds)), np.int64)
