"""Named values of a message or a row: nested fields flattened, and those taken that are wanted."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from ..core import NamedValues, listed

FIELDS_MAX: Final = 4_096
"""Fields of one message: as many as a series may have channels."""

DEPTH_MAX: Final = 8
"""Objects inside objects, as CBOR is read."""

BESIDE: Final = ("id", "subject", "sequence", "captured_at_ns")
"""Fields at the top of a message that are never taken for values unless the settings name them."""


def flatten(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the leaves of nested objects by dotted name, `battery.voltage`.  Raises ValueError
    where they are too many or too deep."""
    found: dict[str, Any] = {}
    for name, value in _leaves(fields, "", DEPTH_MAX):
        found[name] = value
        if len(found) > FIELDS_MAX:
            raise ValueError(f"more than {FIELDS_MAX} fields")
    return found


def pick(leaves: Mapping[str, Any], columns: tuple[str, ...], kind: str) -> NamedValues:
    """Take the configured columns from a message's leaves.  Of a series some may be missing.
    Raises ValueError naming what is missing, TypeError naming what holds no number."""
    missing = [name for name in columns if name not in leaves]
    if missing and (kind == "sample" or len(missing) == len(columns)):
        raise ValueError(f"missing fields: {listed(missing)}; found {listed(tuple(leaves))}")
    values = [_number(name, leaves.get(name)) for name in columns]
    return NamedValues(columns, np.array(values, np.float64), ordered=True)


def every_number(leaves: Mapping[str, Any]) -> NamedValues:
    """Take all leaves that hold a number, whatever else is there.  Raises ValueError for none."""
    found = {name: float(value) for name, value in leaves.items() if isinstance(value, int | float)}
    if not found:
        names = listed(tuple(leaves)) or "no field"
        raise ValueError(f"it has no `values` and no field that holds a number; found {names}")
    return NamedValues(tuple(found), np.array(list(found.values()), np.float64))


def all_numbers(leaves: Mapping[str, Any]) -> NamedValues:
    """Take all leaves, None as a missing number.  Raises TypeError for one that is no number."""
    values = [_number(name, value) for name, value in leaves.items()]
    return NamedValues(tuple(leaves), np.array(values, np.float64))


def _leaves(fields: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    if not depth:
        raise ValueError(f"its objects are nested more than {DEPTH_MAX} deep")
    for key, value in fields.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{name}.", depth - 1)
        else:
            yield name, value


def _number(name: str, value: Any) -> float:
    if value is None:
        return math.nan
    if not isinstance(value, int | float):
        raise TypeError(f"the field {name:.60} holds no number: {str(value)[:40]!r}")
    return float(value)
