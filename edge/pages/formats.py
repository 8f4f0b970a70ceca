"""Formats of values on pages: numbers, shares, sizes, durations and times as people read them."""

import math
from datetime import UTC, datetime
from typing import Final

NONE: Final = "–"
"""Shown for a value that is not known."""

BYTES_STEP: Final = 1024
"""Bytes in a KiB, and so on (IEC 80000-13)."""

STEPS: Final = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))
"""Units of a duration above seconds, the longest first."""


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with at most `digits` significant digits, and thousands set apart."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == int(value) or abs(value) >= 10**digits:
        return f"{round(value):,}".replace(",", "\u202f")
    return f"{value:.{digits}g}"


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share between 0 and 1 as a percentage."""
    if share is None or not math.isfinite(share):
        return NONE
    text = f"{100 * share:.{digits}f}"
    return (text.rstrip("0").rstrip(".") if digits else text) + "\u202f%"


def p_value(value: float | None) -> str:
    """Return a p-value with two significant digits; small ones as a bound."""
    if value is None or not math.isfinite(value):
        return NONE
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


def size(nbytes: float | None) -> str:
    """Return a number of bytes with its unit."""
    if nbytes is None:
        return NONE
    value, units = float(nbytes), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= BYTES_STEP and len(units) > 1:
        value /= BYTES_STEP
        units.pop(0)
    return f"{value:.0f}\u202f{units[0]}" if value >= 100 else f"{value:.3g}\u202f{units[0]}"


def duration(seconds: float | None) -> str:
    """Return a duration in its one or two largest units."""
    if seconds is None:
        return NONE
    for place, (length, unit) in enumerate(STEPS):
        if seconds >= length:
            whole, rest = divmod(seconds, length)
            below = STEPS[place + 1] if place + 1 < len(STEPS) else (1.0, "s")
            more = int(rest // below[0])
            return f"{int(whole)}\u202f{unit}" + (f" {more}\u202f{below[1]}" if more else "")
    return f"{seconds:.3g}\u202fs"


def utc(at_ns: int) -> str:
    """Return a time in nanoseconds since 1970 as date and time in UTC; a dash for none."""
    moment = _moment(at_ns)
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC") if moment else NONE


def iso(at_ns: int) -> str:
    """Return a time in nanoseconds since 1970 in ISO 8601, for the attribute of a time element."""
    moment = _moment(at_ns)
    return moment.isoformat(timespec="milliseconds") if moment else ""


def plural(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun: "1 fact", "2 facts"."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def sentence(text: str) -> str:
    """Return a message as a sentence: with a full stop, and a capital unless it starts with a name
    such as `auricle.toml`."""
    text = text.strip()
    if not text:
        return ""
    first = text.split(maxsplit=1)[0].rstrip(",:;.")
    whole = text[0].upper() + text[1:] if first.isalpha() else text
    return whole if whole[-1] in ".!?" else f"{whole}."


def _moment(at_ns: int) -> datetime | None:
    """Return a moment; None for 0 and for times that no calendar has."""
    try:
        return datetime.fromtimestamp(at_ns / 1e9, UTC) if at_ns > 0 else None
    except (OverflowError, ValueError, OSError):
        return None


FILTERS: Final = {
    one.__name__: one
    for one in (duration, iso, number, p_value, percent, plural, sentence, size, utc)
}
"""The formats as filters of templates, by name."""
