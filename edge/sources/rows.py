"""CSV as measurements: lines with or without a header, from standard input or a watched folder."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from ..config import FolderStream, Named
from ..core import NamedValues
from .fields import pick
from .folder import FolderSource
from .measurement import InvalidMeasurement, Measurement, RawPayload
from .payloads import name_list, parse_numbers, read_properties
from .polling import PollingPause

BESIDE: Final = ("id", "subject", "captured_at_ns")
"""Columns of a header that say something about the row, as `auricle learn` takes them."""

ANSWERS: Final = ("label", "domain")
"""Columns of a header that are answers: a stream's measurements have none."""

GAPS: Final = frozenset({"", "nan", "na", "null", "none"})
"""Cells that stand for a missing number."""

SEPARATORS: Final = (";", "\t")
"""Characters that separate the cells of other tables: a line that holds one is no header, or `1;2`
would pass as a name."""

CELL_CHARS: Final = 40
"""Characters of a cell that an answer quotes: enough to find it, short enough to send."""

HINT: Final = (
    "send numbers with commas, such as 1.5,2.0, below one line of their names or without it"
)


class CsvRows:
    """Makes measurements of CSV lines.  A line without any number is a header: it names the values
    of the lines below it.  A later header must have as many columns, so that a stray line of words
    does not become one."""

    def __init__(self, stream: str, settings: Named) -> None:
        self._stream, self._settings = stream, settings
        self._header: list[str] = []
        self._started = False

    def read(self, line: str, given: RawPayload) -> Measurement | InvalidMeasurement | None:
        """Read a line; None for a header."""
        try:
            cells = [one.strip() for one in next(csv.reader((line,), skipinitialspace=True), [])]
            if self._is_header(cells):
                return self._take_header(cells)
            self._started = True
            return self._named(cells, given) if self._header else self._plain(cells, given)
        except (csv.Error, ValueError, TypeError, OverflowError) as error:
            return InvalidMeasurement(f"it is not csv as expected: {str(error)[:200]}", HINT)

    def _is_header(self, cells: Sequence[str]) -> bool:
        first = not (self._started or self._header)
        fits = first or (len(cells) == len(self._header) > 1)
        return fits and all(map(_is_name, cells))

    def _take_header(self, cells: list[str]) -> InvalidMeasurement | None:
        if len(set(cells)) != len(cells):
            return InvalidMeasurement(
                f"the header has a name twice: {', '.join(cells)[:200]}", "rename a column"
            )
        self._header = cells
        return None

    def _plain(self, cells: Sequence[str], given: RawPayload) -> Measurement:
        """Read a line of a file without header: by position."""
        found = [_required(f"cell {place}", cell) for place, cell in enumerate(cells, 1)]
        values = parse_numbers(found, self._settings.kind)
        return Measurement(self._stream, name_list(values, self._settings.columns), given)

    def _named(self, cells: Sequence[str], given: RawPayload) -> Measurement | InvalidMeasurement:
        if len(cells) != len(self._header):
            raise ValueError(f"{len(cells)} cells, and the header has {len(self._header)}")
        row = dict(zip(self._header, cells, strict=True))
        beside = read_properties((name, row[name]) for name in BESIDE if row.get(name))
        if isinstance(beside, InvalidMeasurement):
            return beside
        given = RawPayload(
            beside.id or given.id,
            beside.subject or given.subject,
            given.sequence,
            given.captured_at_ns if beside.captured_at_ns is None else beside.captured_at_ns,
        )
        wanted = self._settings.columns
        fields = {name: cell for name, cell in row.items() if name not in {*BESIDE, *ANSWERS}}
        return Measurement(self._stream, self._values(fields, wanted), given)

    def _values(self, fields: dict[str, str], wanted: tuple[str, ...]) -> NamedValues:
        kind = self._settings.kind
        if wanted:
            cells = {name: fields[name] for name in wanted if name in fields}
            return pick(
                {n: _required(f"the column {n}", c) for n, c in cells.items()}, wanted, kind
            )
        if kind == "series":  # columns of words are no channels
            fields = {name: cell for name, cell in fields.items() if _is_value(cell)}
        found = [_number(cell) for cell in fields.values()]
        values = [math.nan if one is None else one for one in found]
        ordered = kind == "sample"
        return NamedValues(tuple(fields), np.array(values, np.float64), ordered=ordered)


class CsvFiles:
    """The rows of the CSV files of a watched folder, each a measurement.  `live` is False."""

    live = False

    def __init__(self, stream: str, settings: FolderStream, base: Path, memory: Path) -> None:
        self._stream, self._settings = stream, settings
        self._folder = FolderSource(stream, settings, base, memory)

    @property
    def problem(self) -> str:
        """See `Reader`."""
        return self._folder.problem

    def read(self, pause: PollingPause) -> Iterator[Measurement | InvalidMeasurement]:
        """See `Reader`."""
        for found in self._folder.read(pause):
            if isinstance(found, InvalidMeasurement):
                yield found
                continue
            good = False
            for one in self._rows(found):
                good = good or isinstance(one, Measurement)
                yield one
            self._folder.taken(found, "done" if good else "failed")

    def taken(self, measurement: Measurement) -> None:
        """See `Reader`; a file is put away once all its rows are handed over."""

    def _rows(self, whole: Measurement) -> Iterator[Measurement | InvalidMeasurement]:
        """Yield the rows of a file, with ids of its name and their line."""
        name = whole.given.id.removeprefix(f"{self._stream}:").rpartition("@")[0]
        if not name.lower().endswith(".csv"):
            yield InvalidMeasurement(
                f"{name}: it is no .csv file", "put tables into the folder, or set pattern"
            )
            return
        try:
            text = whole.payload.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            yield InvalidMeasurement(f"{name}: {error}", "save it as UTF-8")
            return
        rows = CsvRows(self._stream, self._settings)
        for number, line in enumerate(io.StringIO(text), 1):
            if not line.strip():
                continue
            given = msgspec.structs.replace(whole.given, id=f"{whole.given.id}#{number}")
            found = rows.read(line, given)
            if isinstance(found, InvalidMeasurement):
                reason = f"{name}, line {number}: {found.reason}"
                yield msgspec.structs.replace(found, reason=reason)
            elif found is not None:
                yield found


def _number(cell: str) -> float | None:
    """Return a cell's number, NaN for a gap, None for words."""
    if cell.lower() in GAPS:
        return math.nan
    with suppress(ValueError):
        return float(cell)
    return None


def _is_name(cell: str) -> bool:
    return _number(cell) is None and not any(mark in cell for mark in SEPARATORS)


def _is_value(cell: str) -> bool:
    return _number(cell) is not None


def _required(what: str, cell: str) -> float:
    found = _number(cell)
    if found is None:
        raise ValueError(f"{what} holds no number: {cell[:CELL_CHARS]!r}")
    return found
