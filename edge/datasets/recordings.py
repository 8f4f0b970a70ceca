"""Read recorded numeric time series: CSV, row by row, from a file or a pipe."""

import codecs
import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..core import ConfigError
from .time_columns import TIMES
from .timestamps import is_clock, read_time

GAPS: Final = {"", "nan", "na", "n/a", "null", "none", "-", "?", "inf", "-inf"}
CHANNELS_MAX: Final = 4_096
"""Most columns of a line; a longer one is not a table of channels.  Chosen by hand; effect not
measured."""
VALUES_MAX: Final = 20_000_000
"""Most values of a file that is read whole: 160 MB of float64."""
VALUE_MAX: Final = 1e100
"""Larger numbers are missing values, as in the forecasters."""
HINT: Final = (
    "give a CSV with a row per sample and a column per channel, with or without a header, separated"
    " by commas, semicolons or tabs"
)

Row = tuple[float, NDArray[np.float64]]
"""Seconds since the row before (0 for the first, 1 without times); values, NaN where missing."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SeriesFile:
    """A whole recording.

    values: float64 [steps, channels], NaN where missing; elapsed_s: [steps], seconds since the row
    before.  timed: whether there is a time column; left_out: names of text columns; began_s: time
    of the first row in seconds since 1970, NaN without times.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    elapsed_s: NDArray[np.float64]
    timed: bool = False
    left_out: tuple[str, ...] = ()
    began_s: float = math.nan


class SeriesRows:
    """The rows of a CSV as they arrive.

    names: of the channels; timed: whether there is a time column; left_out: names of text columns;
    began_s: the first time read so far, NaN before it.  The separator is the most frequent of
    comma, semicolon and tab in the first line; with the latter two a comma in a number is its
    decimal point.  A cell that is not a number is a missing value.  Raises ConfigError if no
    column holds numbers, or if a time column holds no times.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        first = next(self._lines, "").removeprefix("\ufeff")
        self._separator, self._line = _separator(first), 1
        head = self._split(first)
        named = bool(head) and all(math.isnan(self._number(cell)) for cell in head if cell.strip())
        row = self._split(next(self._lines, "")) if named else head
        if not row or len(row) > CHANNELS_MAX:
            raise ConfigError(
                f"reading a stream: expected rows of 1 to {CHANNELS_MAX} columns, found {len(row)}",
                HINT,
            )
        names = _names(head) if named else [f"{n}" for n in range(len(row))]
        self._time = _time_columns(names, row)
        self.timed = bool(self._time)
        if self.timed:
            _check_time(names[self._time[0]], self._when(row))
        others = [n for n in range(len(names)) if n not in self._time]
        self._columns = [n for n in others if not self._is_text(row, n)]
        self.names = tuple(names[n] for n in self._columns)
        self.left_out = tuple(names[n] for n in others if self._is_text(row, n))
        if not self.names:
            raise ConfigError(f"reading a stream: found no column of numbers in {row!r:.80}", HINT)
        self._first: list[list[str]] = [row]
        self._last_s = self.began_s = math.nan

    def __iter__(self) -> Iterator[Row]:
        """Yield each row; raises ConfigError for a line that csv cannot read."""
        for cells in chain(self._first, map(self._split, self._lines)):
            if any(cell.strip() for cell in cells):
                yield self._row(cells)

    def _split(self, line: str) -> list[str]:
        """Return the cells of a line; an unclosed quote affects only this line."""
        self._line += 1
        try:
            return next(csv.reader((line,), delimiter=self._separator), [])
        except csv.Error as error:
            where = f"line {self._line - 1}"
            raise ConfigError(f"reading a stream: {where}: {error}", HINT) from error

    def _row(self, cells: list[str]) -> Row:
        columns, number = self._columns, self._number
        values = [number(cells[n]) if n < len(cells) else math.nan for n in columns]
        elapsed = 1.0
        if self.timed:
            now = read_time(self._when(cells))
            elapsed = now - self._last_s if math.isfinite(now - self._last_s) else 0.0
            self._last_s = now if math.isfinite(now) else self._last_s
            if math.isnan(self.began_s):
                self.began_s = now
        return elapsed, np.array(values, np.float64)

    def _when(self, cells: list[str]) -> str:
        return " ".join(cells[n].strip() for n in self._time if n < len(cells))

    def _number(self, cell: str) -> float:
        """Return a finite number up to VALUE_MAX, or NaN."""
        value = self._parse(cell)
        return value if abs(value) < VALUE_MAX else math.nan

    def _is_text(self, row: list[str], column: int) -> bool:
        """Return whether a column holds text, judged by its first row; a gap is not text."""
        cell = row[column].strip().lower() if column < len(row) else ""
        return cell not in GAPS and math.isnan(self._parse(cell))

    def _parse(self, cell: str) -> float:
        """Return a number, also with a decimal comma if that is not the separator, or NaN."""
        return _plain_number(cell if self._separator == "," else cell.replace(",", "."))


HEAD_BYTES: Final = 4_096
"""Bytes of a file in which a zero byte shows that it is binary: one block of a disk."""


def read_recording(path: Path) -> SeriesFile:
    """Read a whole file, UTF-8, or UTF-16 with a byte order mark.  Raises ConfigError for a file
    without a time series, a too long one, or times in descending order."""
    try:
        with path.open("rb") as start:
            head = start.read(HEAD_BYTES)
        wide = head[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}
        if b"\0" in head and not wide:
            raise ConfigError(f"reading {path}: expected text in UTF-8, found binary data", HINT)
        encoding = "utf-16" if wide else "utf-8-sig"
        with path.open(encoding=encoding, errors="replace", newline="") as lines:
            rows = SeriesRows(lines)
            steps_max = VALUES_MAX // len(rows.names)
            found = list(islice(rows, steps_max + 1))
    except OSError as error:
        raise ConfigError(f"reading {path}: {error.strerror}", HINT) from error
    if len(found) > steps_max:
        raise ConfigError(
            f"reading {path}: expected at most {VALUES_MAX:,} values, found more",
            "give its newest part; `auricle forecast -` reads any length, row by row",
        )
    elapsed, values = zip(*found, strict=True)
    seconds = np.array(elapsed, np.float64)
    made = SeriesFile(
        names=rows.names,
        values=np.stack(values),
        elapsed_s=seconds,
        timed=rows.timed,
        left_out=rows.left_out,
        began_s=rows.began_s,
    )
    _check(path, made)
    return made


def _check(path: Path, made: SeriesFile) -> None:
    """Raise ConfigError for a recording without numbers or in reverse order."""
    if np.isnan(made.values).all():
        raise ConfigError(
            f"reading {path}: expected numbers up to {VALUE_MAX:g}, found none in"
            f" {len(made.values):,} rows",
            HINT,
        )
    back, forth = np.count_nonzero(made.elapsed_s < 0), np.count_nonzero(made.elapsed_s > 0)
    if back > forth:
        raise ConfigError(
            f"reading {path}: expected ascending times, found them descending in {back:,} of"
            f" {len(made.values):,} rows",
            "sort the rows by time, oldest first",
        )


def _separator(line: str) -> str:
    """Return the most frequent separator of a line, not counting decimal commas."""
    cells = line.strip().replace(",", ".").split(";")
    if len(cells) > 1 and all(math.isfinite(_plain_number(cell)) for cell in cells):
        return ";"
    return max(",;\t", key=line.count)


def _names(head: list[str]) -> list[str]:
    """Return a unique name for each column, with its position if it is unnamed or repeated.  Bytes
    that are not UTF-8, which a pipe leaves as lone surrogates, become question marks."""
    made: list[str] = []
    for place, cell in enumerate(head):
        name = cell.strip().encode("utf-8", "replace").decode() or f"{place}"
        made.append(f"{name} ({place})" if name in made else name)
    return made


def _time_columns(names: list[str], row: list[str]) -> tuple[int, ...]:
    """Return the time columns: one by its name, else the first if it reads as a date; followed by
    a column of clock times, if the first holds only dates."""
    named = [place for place, name in enumerate(names) if name.lower() in TIMES]
    dated = math.isnan(_plain_number(row[0])) and math.isfinite(read_time(row[0]))
    found = named[0] if named else 0
    if not (named or dated):
        return ()
    both = found + 1 < len(row) and ":" not in row[found] and is_clock(row[found + 1])
    return (found, found + 1) if both else (found,)


def _check_time(name: str, cell: str) -> None:
    if cell.strip().lower() not in GAPS and math.isnan(read_time(cell)):
        raise ConfigError(
            f"reading a stream: expected times in the column {name!r}, found {cell!r:.40}",
            "write times like 2024-01-31T09:30:00 or as seconds since 1970, or rename the column",
        )


def _plain_number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan
