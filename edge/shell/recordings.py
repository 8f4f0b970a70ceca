"""Reading numeric streams that somebody recorded: plain CSV, row by row, from a file or a pipe."""

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..core import ConfigError

TIMES: Final = ("time", "timestamp", "datetime", "date", "captured_at", "epoch", "ts", "t")
"""Names of a column that says when: ISO 8601, or seconds since 1970, also in milli-, micro- or
nanoseconds."""
GAPS: Final = {"", "nan", "na", "n/a", "null", "none", "-", "?", "inf", "-inf"}
CHANNELS_MAX: Final = 4_096
VALUES_MAX: Final = 20_000_000
"""Of a file that is read whole: 160 MB."""
HINT: Final = "give a CSV with one row a sample and one column a channel, with or without a header"

Row = tuple[float, NDArray[np.float64]]
"""Seconds since the row before (0 for the first, 1 without times); values, NaN where missing."""


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A whole stream.  values: float64 [steps, channels], NaN where missing; elapsed_s: [steps]."""

    names: tuple[str, ...]
    values: NDArray[np.float64]
    elapsed_s: NDArray[np.float64]


class Rows:
    """The rows of a CSV as they come.  names: of the channels; timed: whether a column says when.

    lines: text; the separator is a comma, a semicolon or a tab, whichever the first line has most.
    A cell that is no number is a missing value.  Raises ConfigError where no line holds a number.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        feed = iter(lines)
        first = list(islice(feed, 1))
        self._cells = csv.reader(chain(first, feed), delimiter=_separator(first))
        head = next(self._cells, [])
        named = bool(head) and all(math.isnan(_number(cell)) for cell in head if cell.strip())
        row = next(self._cells, []) if named else head
        if not row or len(row) > CHANNELS_MAX:
            raise ConfigError(
                f"reading a stream: expected rows of 1 to {CHANNELS_MAX} columns, found {len(row)}",
                HINT,
            )
        names = [cell.strip() for cell in head] if named else [f"{n}" for n in range(len(row))]
        self._time = _time_column(names, row)
        self.timed = self._time is not None
        self._columns = [n for n in range(len(names)) if n != self._time and not _is_text(row, n)]
        self.names = tuple(names[n] for n in self._columns)
        if not self.names:
            raise ConfigError("reading a stream: found no column of numbers", HINT)
        self._first: list[list[str]] = [row]
        self._last_s = math.nan

    def __iter__(self) -> Iterator[Row]:
        """Yield each row; raises ConfigError for a line that csv cannot read."""
        try:
            for cells in chain(self._first, self._cells):
                if any(cell.strip() for cell in cells):
                    yield self._row(cells)
        except csv.Error as error:
            where = f"line {self._cells.line_num}"
            raise ConfigError(f"reading a stream: {where}: {error}", HINT) from error

    def _row(self, cells: list[str]) -> Row:
        values = [_number(cells[n]) if n < len(cells) else math.nan for n in self._columns]
        elapsed = 1.0
        if self._time is not None:
            now = _seconds(cells[self._time]) if self._time < len(cells) else math.nan
            elapsed = now - self._last_s if math.isfinite(now - self._last_s) else 0.0
            self._last_s = now if math.isfinite(now) else self._last_s
        return elapsed, np.array(values, np.float64)


def read_recording(path: Path) -> Recording:
    """Read a whole file.  Raises ConfigError where it holds no stream, or one too long."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
            rows = Rows(lines)
            steps_max = VALUES_MAX // len(rows.names)
            found = list(islice(rows, steps_max + 1))
    except OSError as error:
        raise ConfigError(f"reading {path}: {error.strerror}", HINT) from error
    if len(found) > steps_max:
        raise ConfigError(
            f"reading {path}: expected at most {VALUES_MAX:,} values, found more",
            "give the newest part of it; `auricle forecast -` takes any length, row by row",
        )
    elapsed, values = zip(*found, strict=True)
    return Recording(rows.names, np.stack(values), np.array(elapsed, np.float64))


def _separator(first: list[str]) -> str:
    line = first[0] if first else ""
    return max(",;\t", key=line.count)


def _time_column(names: list[str], row: list[str]) -> int | None:
    """Which column says when: by its name, else the first if it reads as a date."""
    for number, name in enumerate(names):
        if name.lower() in TIMES:
            return number
    return 0 if math.isnan(_number(row[0])) and math.isfinite(_seconds(row[0])) else None


def _is_text(row: list[str], column: int) -> bool:
    """Whether a column holds words rather than numbers, by its first row; a gap is no word."""
    cell = row[column].strip().lower() if column < len(row) else ""
    return cell not in GAPS and math.isnan(_number(cell))


def _number(cell: str) -> float:
    """A finite number, or NaN."""
    try:
        value = float(cell)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _seconds(cell: str) -> float:
    """Seconds since 1970, or NaN.  A time without a zone is UTC."""
    value = _number(cell)
    if math.isfinite(value):
        for unit in (1e9, 1e6, 1e3):
            if abs(value) > 1e8 * unit:
                return value / unit
        return value
    try:
        when = datetime.fromisoformat(cell.strip())
    except ValueError:
        return math.nan
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
