"""Parse timestamps of recordings: ISO 8601 and similar formats, or seconds since 1970."""

import math
import re
from datetime import UTC, datetime
from typing import Final

_YEAR_FIRST: Final = r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})"
_DAY_FIRST: Final = r"(?P<d>\d{1,2})\.(?P<m>\d{1,2})\.(?P<y>\d{4})"
_CLOCK: Final = r"(?P<hour>\d{1,2})(?P<rest>:\d{2}.*)"
_DATES: Final = [
    re.compile(rf"{date}(?:[T ]\s*{_CLOCK})?", re.ASCII) for date in (_YEAR_FIRST, _DAY_FIRST)
]

LATEST_S: Final = 2**63 / 1e9
"""Nanoseconds of later times do not fit 64 bits: the year 2262."""


def is_clock(cell: str) -> bool:
    """Return whether a cell holds a time of day without a date."""
    return re.fullmatch(_CLOCK, cell.strip(), re.ASCII) is not None


def read_time(cell: str) -> float:
    """Return seconds since 1970, or NaN for a cell that is not a time.

    A number is seconds, milli-, micro- or nanoseconds, depending on its size.  Text is ISO 8601,
    also with slashes or dots, or day.month.year; without a zone it is UTC.  Dates like 3/4/2024
    are rejected, since day and month are ambiguous.
    """
    cell = cell.strip()
    try:
        value = float(cell)
    except ValueError:
        return _read_date(cell.removesuffix(" UTC"))
    if not math.isfinite(value):
        return math.nan
    return value / _units(value)


def _units(value: float) -> float:
    """Return how many of a number's units, as far as its size shows, are a second."""
    return next((unit for unit in (1e9, 1e6, 1e3) if abs(value) > 1e8 * unit), 1.0)


def read_time_ns(cell: str) -> int | None:
    """Return nanoseconds since 1970, or None for a cell that is not a time, or an earlier one.  A
    whole number keeps all its digits; other times are exact to the microsecond."""
    digits = cell.strip()
    seconds = read_time(digits)
    if not 0 <= seconds < LATEST_S:
        return None
    if digits.isascii() and digits.isdigit():
        return int(digits) * round(1e9 / _units(float(digits)))
    return round(seconds * 1e6) * 1_000


def _read_date(cell: str) -> float:
    for form in _DATES:
        if found := form.fullmatch(cell):
            year, month, day, hour = (found[part] for part in ("y", "m", "d", "hour"))
            clock = f"T{hour:0>2}{found['rest']}" if hour else ""
            cell = f"{year}-{month:0>2}-{day:0>2}{clock}"
    try:
        when = datetime.fromisoformat(cell)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return math.nan
