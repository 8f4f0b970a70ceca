"""Distances of the newest window of a series to earlier ones, exact in whole numbers."""

import numpy as np
from numpy.typing import NDArray

from . import native
from .errors import DimensionError

NEAREST_MAX = 16
"""Nearest windows that can be asked for, as in level.h."""


def follow_windows(
    series: NDArray[np.int32],
    table: NDArray[np.int32],
    *,
    at: int,
    back: int,
    gap: int,
    full: int,
    nearest: int,
) -> NDArray[np.float64]:
    """Let squared distances follow the newest sample; return the sum of the roots of the least,
    float64 [C].

    series: int32 [C, n]; sample at - 1 is the newest.  table: int32 [C, windows], changed: place i
    is the distance of the window that ends `gap` + windows - 1 - i samples earlier.  back: samples
    in a window.  full: the newest windows that hold samples; with 0 the sums are 0.  nearest: the
    distances that are added, the least first; so that every machine finds the same bits.

    With D(t, i) the distance of the windows that end at t and t - i, D(t, i) = D(t - 1, i)
    + (x[t] - x[t-i])^2 - (x[t-back] - x[t-back-i])^2.  Squares and their sums must fit int32.  Both
    arrays are contiguous.  Cost: O(C windows).  Raises DimensionError.
    """
    windows = table.shape[1]
    inside = back > 0 and gap > 0 and gap + windows + back <= at <= series.shape[1]
    enough = 0 < nearest <= NEAREST_MAX and (full == 0 or nearest <= full <= windows)
    if not (inside and enough):
        raise DimensionError(
            f"following windows expects {windows} of them {gap} samples before the newest in a"
            f" series of {series.shape[1]}, found {at} samples, {full} windows in use, {nearest}"
            " nearest",
            "give a longer series or fewer windows",
        )
    made = np.zeros(len(series))
    if native.KERNEL is not None:
        given = (at, back, gap, full, nearest)
        native.KERNEL.follow_windows(series, table, made, *given)
        return made
    terms = np.empty_like(table)
    for newest, change in ((at, np.add), (at - back, np.subtract)):
        earlier = series[:, newest - gap - windows : newest - gap]
        np.subtract(earlier, series[:, newest - 1 : newest], out=terms)
        np.multiply(terms, terms, out=terms)
        change(table, terms, out=table)
    if full:
        least = np.partition(table[:, windows - full :], nearest - 1, axis=1)[:, :nearest]
        roots = np.sqrt(np.sort(least, axis=1).astype(np.float64))
        for place in range(nearest):
            made += roots[:, place]
    return made
