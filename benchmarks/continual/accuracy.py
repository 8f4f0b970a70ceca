"""Marks for learning one task after another: accuracy at the end, and what was forgotten."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..report import BenchmarkRow

Order = tuple[int, ...]
Marks = tuple[float, float]
Table = Mapping[Any, Mapping[int, float]]


def accuracies(
    group: NDArray[np.int64], right: NDArray[np.bool_], groups: Sequence[int]
) -> dict[int, float]:
    """Share of right answers in each group of rows: a domain's, or a class's."""
    return {one: float(right[group == one].mean()) for one in groups}


def marks(table: Table, orders: Sequence[Order], *, ordered: bool) -> Marks:
    """Mean accuracy after the last task, and mean forgetting, over orders.

    table: accuracy on every task learned, after each prefix of an order (`ordered`), or after each
    set of tasks.  Forgetting is the best accuracy that a task ever had before the last, less what
    it has in the end (Chaudhry et al. 2018); a task that gains from the last counts below zero.
    """
    found = []
    for order in orders:
        prefixes = [order[: length + 1] for length in range(len(order))]
        after = [table[prefix if ordered else frozenset(prefix)] for prefix in prefixes]
        lost = [
            max(after[step][task] for step in range(place, len(order) - 1)) - after[-1][task]
            for place, task in enumerate(order[:-1])
        ]
        found.append((fmean(after[-1].values()), fmean(lost or [0.0])))
    return fmean(mark for mark, _ in found), fmean(mark for _, mark in found)


def rows_of(method: str, several: Sequence[Marks], prefix: str = "") -> list[BenchmarkRow]:
    """A method's marks, the mean over seeds."""
    return [
        BenchmarkRow(method, f"{prefix}average_accuracy", fmean(mark for mark, _ in several)),
        BenchmarkRow(method, f"{prefix}forgetting", fmean(mark for _, mark in several)),
    ]
