"""Times in what somebody recorded: ISO 8601 and its neighbours, or seconds since 1970."""

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
    """Whether a cell holds a time of day without a date."""
    return re.fullmatch(_CLOCK, cell.strip(), re.ASCII) is not None


def read_time(cell: str) -> float:
    """Seconds since 1970, or NaN.

    A number is seconds, milli-, micro- or nanoseconds by its size.  Text is ISO 8601, also with
    slashes or dots, or a day, month and year between dots; without a zone it is UTC.  Slashes with
    the year last are no time: half of the world reads them another way.
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
