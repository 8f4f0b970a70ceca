"""The task sketch: the labelled, standardised rows that a search is based on."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .cost import AdaptorShape
from .errors import NasError


@dataclass(frozen=True, slots=True, eq=False)
class TaskSketch:
    """Facts of a domain and of the other domains, as inputs of adaptors.

    rows: float32 [n, columns], standardised per domain.  targets: int64 [n], label numbers from 0.
    own: bool [n], True for facts of the domain.  spans: (start, stop) columns of the taps.
    support: weight of a fact of another domain, relative to an own fact.  Raises NasError for
    shapes that do not fit together or rows that are not finite.
    """

    rows: NDArray[np.float32] = field(repr=False)
    targets: NDArray[np.int64] = field(repr=False)
    own: NDArray[np.bool_] = field(repr=False)
    spans: tuple[tuple[int, int], ...]
    support: float = 0.5

    def __post_init__(self) -> None:
        """Check shapes, dtypes and values once, so that no proxy has to."""
        count = len(self.targets)
        found = [(a.dtype, a.shape) for a in (self.rows, self.targets, self.own)]
        width = max((stop for _, stop in self.spans), default=0)
        expected = [
            (np.dtype(np.float32), (count, width)),
            (np.dtype(np.int64), (count,)),
            (np.dtype(np.bool_), (count,)),
        ]
        if found != expected or not width:
            raise NasError(
                f"sketching a task: expected rows, targets, own of {expected}, found {found}",
                "pass one row, target and own flag per fact, and the spans of the taps",
            )
        if not self.own.any() or not np.isfinite(self.rows).all() or self.targets.min() < 0:
            raise NasError(
                "sketching a task: expected facts of the domain itself, finite, with label "
                f"numbers from 0, found {int(self.own.sum())} of {count}",
                "leave out rows that are not finite, and search once the domain has facts",
            )

    @property
    def shape(self) -> AdaptorShape:
        """The dimensions of the task."""
        columns = tuple(stop - start for start, stop in self.spans)
        return AdaptorShape(columns, int(self.targets.max()) + 1)

    def read(self, taps: tuple[int, ...]) -> NDArray[np.float32]:
        """Return the columns of some taps side by side: float32 [n, read]."""
        return np.concatenate([self.rows[:, slice(*self.spans[tap])] for tap in taps], axis=1)


def sample(sketch: TaskSketch, own: int, others: int, seed: int) -> TaskSketch:
    """Draw at most so many facts of the domain and of the others, evenly by label, own facts first.

    The same seed draws the same facts, however the labels are numbered.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(len(sketch.targets))
    turns = np.zeros(len(order), np.int64)
    for own_facts in (False, True):
        for label in np.unique(sketch.targets):
            found = order[(sketch.targets[order] == label) & (sketch.own[order] == own_facts)]
            turns[found] = np.arange(len(found))
    order = order[np.argsort(turns[order], kind="stable")]
    mine, rest = order[sketch.own[order]][:own], order[~sketch.own[order]][:others]
    kept = np.concatenate([mine, rest])
    return TaskSketch(
        sketch.rows[kept], sketch.targets[kept], sketch.own[kept], sketch.spans, sketch.support
    )
