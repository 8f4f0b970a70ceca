"""Metrics of task sequences: final accuracy and forgetting."""

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
    """Return the accuracy on each group of rows, such as a domain or a class."""
    return {one: float(right[group == one].mean()) for one in groups}


def marks(table: Table, orders: Sequence[Order], *, ordered: bool) -> Marks:
    """Return the mean accuracy after the last task and the mean forgetting, over orders.

    table: accuracy on every learned task after each prefix of an order (`ordered`), or after each
    set of tasks.  Forgetting is the best earlier accuracy on a task minus the final one (Chaudhry
    et al. 2018); it is negative if the last task improved the accuracy.
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
    """Return the rows of a method, means over seeds."""
    return [
        BenchmarkRow(method, f"{prefix}average_accuracy", fmean(mark for mark, _ in several)),
        BenchmarkRow(method, f"{prefix}forgetting", fmean(mark for _, mark in several)),
    ]
