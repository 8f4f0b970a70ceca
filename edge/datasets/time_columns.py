"""Which columns of a table hold the times and the recordings of its rows."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..core import ConfigError, listed
from .timestamps import is_clock, read_time, read_time_ns

TIMES: Final = ("time", "timestamp", "datetime", "date", "captured_at", "epoch", "ts", "t")
"""Names of a time column: ISO 8601, or seconds, milli-, micro- or nanoseconds since 1970."""

RECORDINGS: Final = ("recording", "session", "run")
"""Names of a column of recordings, the first one found."""

EARLIEST_S: Final = 1e8
"""March 1973.  Smaller numbers in a column with the name of a time column are a feature, such as an
elapsed time or a day of the month; so is a date written as 20240131."""


@dataclass(frozen=True, slots=True)
class NamedColumns:
    """Columns that the user names, "" to recognise them.  time: of the times of capture.
    recording: of the recording or session."""

    time: str = ""
    recording: str = ""

    def __bool__(self) -> bool:
        return bool(self.time or self.recording)


RECOGNISED: Final = NamedColumns()
"""The user names no column."""


@dataclass(frozen=True, slots=True)
class RowColumns:
    """Columns of a table that say when and in which recording a row was captured.

    time: none, one, or a column of dates and one of clock times.  recording: "" for none.
    """

    time: tuple[str, ...] = ()
    recording: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all these columns."""
        return (*self.time, *([self.recording] if self.recording else []))

    def when(self, row: Mapping[str, str]) -> int | None:
        """Return the time of a row in nanoseconds since 1970, 0 if it is empty; None for a cell
        that is not a time."""
        cell = " ".join(row[name].strip() for name in self.time).strip()
        return read_time_ns(cell) if cell else 0

    def describe(self) -> tuple[str, ...]:
        """Name the roles of columns, for a description of the table."""
        time = (f"time ({' and '.join(self.time)})",) if self.time else ()
        named = self.recording if self.recording != "recording" else ""
        return time + ((f"recording ({named})",) if named else ())


NO_ROW_COLUMNS: Final = RowColumns()


def find_row_columns(
    names: Sequence[str],
    row: Mapping[str, str],
    features: Collection[str],
    named: NamedColumns,
) -> RowColumns:
    """Return the columns of times and recordings: those that the user names, else those with a
    usual name whose first cell fits.

    names: of all columns; row: the first cell of each that is not empty; features: names of the
    home's columns, which stay features.  Raises ConfigError if a named column is missing or a
    feature.
    """
    for wanted, option in ((named.time, "--time-column"), (named.recording, "--recording-column")):
        if wanted and wanted not in names:
            raise ConfigError(
                f"reading a table: {option} names {wanted!r}, found {listed(names)}",
                "name one of its columns",
            )
        if wanted in features:
            raise ConfigError(
                f"reading a table: {option} names {wanted!r}, which is a feature of the home",
                "name another column; the features of a home are fixed by `auricle init`",
            )
    free = [name for name in names if name not in features]
    recordings = [name for known in RECORDINGS for name in free if name.lower() == known]
    return RowColumns(
        (named.time,) if named.time else _time_columns(free, row),
        named.recording or next(iter(recordings), ""),
    )


def _time_columns(free: Sequence[str], row: Mapping[str, str]) -> tuple[str, ...]:
    """Return the first column with the name of a time that begins with one.  A date without a clock
    time is joined with such a column of clock times."""
    usual = [name for name in free if name.lower() in TIMES]
    found = next((name for name in usual if _is_moment(row.get(name) or "")), None)
    if found is None:
        return ()
    clocks = [name for name in usual if is_clock(row.get(name) or "")]
    return (found, clocks[0]) if clocks and ":" not in row[found] else (found,)


def _is_moment(cell: str) -> bool:
    """Return whether a cell is a date, or a number since 1970 of a recent time."""
    seconds = read_time(cell)
    try:
        float(cell)
    except ValueError:
        return math.isfinite(seconds)
    return seconds >= EARLIEST_S
