"""Numbers from outside, checked before anything is computed with them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .errors import PayloadError


def numeric(payload: object, what: str) -> NDArray[np.float32]:
    """`payload` as float32; what lies beyond float32 becomes infinite.  what: named in errors.
    Raises PayloadError unless it is an array of real numbers."""
    try:
        array = np.asarray(payload)
    except ValueError as error:
        raise PayloadError(
            f"reading a {what}: expected an array of numbers, found rows of unequal length",
            "give every row the same number of columns",
        ) from error
    if array.dtype.kind not in "fiub":
        raise PayloadError(
            f"reading a {what}: expected an array of real numbers, found {type(payload).__name__} "
            f"of dtype {array.dtype}",
            "decode it into a numpy array of numbers first",
        )
    with np.errstate(over="ignore"):
        return array.astype(np.float32, copy=False)


def require_finite(values: NDArray[np.float32], what: str) -> None:
    """Raise PayloadError naming the first position of `values` that is NaN or infinite."""
    if np.isfinite(values).all():
        return
    place = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
    where = place[0] if len(place) == 1 else list(place)
    raise PayloadError(
        f"reading a {what}: expected finite numbers, found {values[place]} at position {where}",
        "drop or repair the measurement; a sensor that reports NaN or infinity needs a look",
    )
