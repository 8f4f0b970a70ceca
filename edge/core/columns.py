"""Column names: values of a vector are matched by name, never silently by position.

A ledger may hold the names of its encoder's input columns, in order.  Named values are arranged in
that order: a missing name rejects the sample, an extra one is ignored.  A ledger without names
takes named values by position only if a person has fixed their order.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from . import limits
from .similar_names import nearest_name
from .structs import FrozenStruct

NAMES_SHOWN: Final = 8
"""Names listed in one message, to fit one terminal line.  Chosen by hand; effect not measured."""

NAMING_HINT: Final = "name the columns: `auricle encoder columns FILE`"


@dataclass(frozen=True, slots=True)
class NamedValues:
    """Numbers by name: a row of a table with a header, or the fields of a message.

    names: unique.  values: float64 [names], NaN for a missing number.  ordered: True if a person
    fixed the order of the names (a header, the settings), so that a ledger without names can take
    the values by position.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64] = field(repr=False, compare=False)
    ordered: bool = False


class ColumnMatch(FrozenStruct, frozen=True):
    """Given names matched with a ledger's columns.

    order: for each column its index among the given names; empty if any is missing.  missing: not
    among the given names.  ignored: not among the columns.
    """

    order: tuple[int, ...]
    missing: tuple[str, ...]
    ignored: tuple[str, ...]


def match_columns(given: Sequence[str], columns: Sequence[str]) -> ColumnMatch:
    """Match given names with a ledger's columns by name."""
    places = {name: place for place, name in enumerate(given)}
    wanted = set(columns)
    missing = tuple(name for name in columns if name not in places)
    ignored = tuple(name for name in given if name not in wanted)
    return ColumnMatch(() if missing else tuple(places[n] for n in columns), missing, ignored)


def missing_text(match: ColumnMatch) -> str:
    """Describe the missing columns, with the given name most similar to the first of them."""
    one = len(match.missing) == 1
    noun, verb = ("the column", "is") if one else ("the columns", "are")
    close = nearest_name(match.missing[0], match.ignored)
    found = f"; found {close}" if close else ""
    return f"{noun} {listed(match.missing)} {verb} missing{found}"


def arrange(given: NamedValues, columns: Sequence[str]) -> NDArray[np.float32] | str:
    """Return named values in the order of a ledger's columns, float32 [columns]; a text is the
    reason why they are rejected."""
    if columns:
        match = match_columns(given.names, columns)
        if match.missing:
            return missing_text(match)
        values, names = given.values[list(match.order)], columns
    elif given.ordered:
        values, names = given.values, given.names
    else:
        return "the values have names, and the home has no column names to put them in order"
    blank = [name for name, value in zip(names, values.tolist(), strict=True) if math.isnan(value)]
    if blank:
        return f"found no number for {listed(blank)}"
    with np.errstate(over="ignore"):  # Overflow becomes infinite, which the encoder rejects.
        return values.astype(np.float32)


def named_values(payload: NamedValues | Mapping[Any, Any]) -> NamedValues:
    """Return named numbers as NamedValues.  Raises TypeError or OverflowError for a value that is
    no number."""
    if isinstance(payload, NamedValues):
        return payload
    values = [_number(name, value) for name, value in payload.items()]
    return NamedValues(tuple(map(str, payload)), np.array(values, np.float64))


def columns_differ(own: Sequence[str], other: Sequence[str]) -> str:
    """Describe how the columns of another ledger differ; empty if they are equal, or if either
    ledger has no names."""
    if not own or not other or tuple(own) == tuple(other):
        return ""
    if sorted(own) == sorted(other):
        return f"its columns are in another order: {listed(other)}; here it is {listed(own)}"
    return f"its columns are {listed(other)}; those here are {listed(own)}"


def unnamed_side(own: Sequence[str], other: Sequence[str]) -> str:
    """Return a warning if only one of two ledgers has column names, so they cannot be compared."""
    if bool(own) == bool(other):
        return ""
    side = "it has" if own else "this home has"
    return f"{side} no column names, so columns count by position"


def find_invalid_columns(names: Sequence[Any], width: int) -> str:
    """Return why names are invalid for `width` columns; empty if valid."""
    if len(names) != width:
        return f"expected {width} names, one for each column, found {len(names)}"
    for name in names:
        usable = isinstance(name, str) and name.strip() == name and name.isprintable() and name
        if not usable or len(name) > limits.TEXT_CHARS_MAX:
            most = limits.TEXT_CHARS_MAX
            return f"expected names of 1 to {most} printable characters, found {str(name)[:60]!r}"
    name, count = Counter(names).most_common(1)[0] if names else ("", 0)
    return f"expected each name once, found {name!r} {count} times" if count > 1 else ""


def listed(names: Sequence[str], most: int = NAMES_SHOWN) -> str:
    """Return names as text, at most `most` of them."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _number(name: object, value: object) -> float:
    if value is None:
        return math.nan
    if not isinstance(value, int | float | np.number | np.bool_):
        raise TypeError(f"expected a number for {name!s:.60}, found {str(value)[:40]!r}")
    return float(value)
