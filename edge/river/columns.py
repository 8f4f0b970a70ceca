"""Columns for features that appear and disappear: names in a dictionary become places in a row."""

import math
from collections.abc import Hashable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.float32]

COLUMNS_MAX: Final = 256
"""Features at a time: solving a discriminant of 256 columns takes about 4 ms, and the time grows
with the cube."""

NUMBER_MAX: Final = 1e30
"""Larger numbers count as missing: their squares overflow in float32."""


class FeatureColumns:
    """Gives each feature name a column, up to `COLUMNS_MAX`.

    A further feature takes the column of the one that has been missing longest; while all columns
    have a value in the same sample, it is ignored.  New names of one sample get their columns in
    sorted order, so that the order of a dictionary never matters.
    """

    def __init__(self) -> None:
        self.places: dict[Hashable, int] = {}
        self._seen_at: list[int] = []
        self._samples = 0

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self._seen_at)

    def learn(self, x: Mapping[Hashable, Any]) -> frozenset[int]:
        """Give new features of a sample a column; return the columns that now mean another feature,
        new ones included."""
        self._samples += 1
        new = [name for name in x if name not in self.places]
        for name in x:
            if name in self.places:
                self._seen_at[self.places[name]] = self._samples
        changed = [self._place(name) for name in sorted(new, key=_order)] if new else []
        return frozenset(place for place in changed if place is not None)

    def row(self, x: Mapping[Hashable, Any]) -> Row:
        """Return the values of a sample, float32 [width], NaN where a feature is missing.  Unknown
        features are left out.  Raises ValueError for a value that is no number."""
        made = np.full(self.width, np.nan, np.float32)
        places = self.places
        for name, value in x.items():
            number = _number(name, value)
            place = places.get(name)
            if place is not None and -NUMBER_MAX <= number <= NUMBER_MAX:
                made[place] = number
        return made

    def _place(self, name: Hashable) -> int | None:
        """Return the column that a new feature gets."""
        if self.width < COLUMNS_MAX:
            self.places[name] = self.width
            self._seen_at.append(self._samples)
            return self.places[name]
        place = min(range(self.width), key=self._seen_at.__getitem__)
        if self._seen_at[place] == self._samples:
            return None
        del self.places[next(one for one, at in self.places.items() if at == place)]
        self.places[name], self._seen_at[place] = place, self._samples
        return place


def _number(name: Hashable, value: Any) -> float:
    if value is None:
        return math.nan
    try:
        if not isinstance(value, str | bytes):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise ValueError(
        f"reading the feature {name!r}: expected a number, found {value!r}; turn text into "
        f"numbers first, for example with river.preprocessing.OneHotEncoder"
    )


def _order(name: Hashable) -> tuple[str, str]:
    return type(name).__name__, str(name)
