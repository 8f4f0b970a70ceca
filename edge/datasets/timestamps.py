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
    for unit in (1e9, 1e6, 1e3):
        if abs(value) > 1e8 * unit:
            return value / unit
    return value


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
