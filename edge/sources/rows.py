"""CSV rows as measurements, with or without a header, from standard input or a watched folder."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from ..config import ColumnStream, FolderStream
from ..core import NamedValues
from .folder import FolderSource
from .measurement import (
    InvalidMeasurement,
    Measurement,
    MeasurementMetadata,
    content_id,
    recording_of_file,
)
from .payloads import name_values, parse_numbers, read_properties, select_columns
from .polling import PollingPause

METADATA_COLUMNS: Final = ("id", "subject", "captured_at_ns", "recording")
"""Header names of metadata columns, as in `auricle learn`."""

TARGET_COLUMNS: Final = ("label", "domain")
"""Header names of target columns, which a stream ignores."""

MISSING: Final = frozenset({"", "nan", "na", "null", "none"})
"""Cells that stand for a missing number, in lower case."""

SEPARATORS: Final = (";", "\t")
"""Separators of other table formats: a line that holds one is no header, or `1;2` would pass as a
name."""

CELL_CHARS: Final = 40
"""Characters of a cell that an error quotes: enough to find it, short enough to send."""

HINT: Final = (
    "send numbers with commas, such as 1.5,2.0, below one line of their names or without it"
)


class CsvRows:
    """Converts CSV lines to measurements.

    A line without any number is a header, which names the values of the lines below.  A later
    header must have the same number of columns: otherwise any line of words would become one.
    """

    def __init__(self, stream: str, settings: ColumnStream) -> None:
        self._stream, self._settings = stream, settings
        self._header: list[str] = []
        self._started = False

    def read(
        self, line: str, metadata: MeasurementMetadata
    ) -> Measurement | InvalidMeasurement | None:
        """Convert a line; None for a header."""
        try:
            cells = [one.strip() for one in next(csv.reader((line,), skipinitialspace=True), [])]
            if self._is_header(cells):
                return self._set_header(cells)
            self._started = True
            if self._header:
                return self._by_name(cells, metadata)
            return self._by_position(cells, metadata)
        except (csv.Error, ValueError, TypeError, OverflowError) as error:
            return InvalidMeasurement(f"it is not csv as expected: {str(error)[:200]}", HINT)

    def _is_header(self, cells: Sequence[str]) -> bool:
        first = not (self._started or self._header)
        fits = first or (len(cells) == len(self._header) > 1)
        return fits and all(map(_is_name, cells))

    def _set_header(self, cells: list[str]) -> InvalidMeasurement | None:
        if len(set(cells)) != len(cells):
            return InvalidMeasurement(
                f"the header has a name twice: {', '.join(cells)[:200]}", "rename a column"
            )
        self._header = cells
        return None

    def _by_position(self, cells: Sequence[str], metadata: MeasurementMetadata) -> Measurement:
        """Convert a line without a header."""
        found = [_required(f"cell {place}", cell) for place, cell in enumerate(cells, 1)]
        values = parse_numbers(found, self._settings.kind)
        return Measurement(self._stream, name_values(values, self._settings.columns), metadata)

    def _by_name(
        self, cells: Sequence[str], metadata: MeasurementMetadata
    ) -> Measurement | InvalidMeasurement:
        if len(cells) != len(self._header):
            raise ValueError(f"{len(cells)} cells, and the header has {len(self._header)}")
        row = dict(zip(self._header, cells, strict=True))
        own = read_properties((name, row[name]) for name in METADATA_COLUMNS if row.get(name))
        if isinstance(own, InvalidMeasurement):
            return own
        metadata = MeasurementMetadata(
            own.id or metadata.id,
            own.subject or metadata.subject,
            metadata.sequence,
            metadata.captured_at_ns if own.captured_at_ns is None else own.captured_at_ns,
            own.recording or metadata.recording,
        )
        fields = {
            name: cell
            for name, cell in row.items()
            if name not in {*METADATA_COLUMNS, *TARGET_COLUMNS}
        }
        return Measurement(self._stream, self._values(fields), metadata)

    def _values(self, fields: dict[str, str]) -> NamedValues:
        kind, columns = self._settings.kind, self._settings.columns
        if columns:
            cells = {name: fields[name] for name in columns if name in fields}
            row = {name: _required(f"the column {name}", cell) for name, cell in cells.items()}
            return select_columns(row, columns, kind)
        if kind == "series":  # columns of words are not channels
            fields = {name: cell for name, cell in fields.items() if _is_value(cell)}
        found = [_number(cell) for cell in fields.values()]
        values = [math.nan if one is None else one for one in found]
        ordered = kind == "sample"
        return NamedValues(tuple(fields), np.array(values, np.float64), ordered=ordered)


class CsvFiles:
    """Yields the rows of the CSV files in a watched folder.  `live` is False."""

    live = False

    def __init__(self, stream: str, settings: FolderStream, base: Path, state: Path) -> None:
        self._stream, self._settings = stream, settings
        self._folder = FolderSource(stream, settings, base, state)

    @property
    def problem(self) -> str:
        """See `PollingReader`."""
        return self._folder.problem

    def read(self, pause: PollingPause) -> Iterator[Measurement | InvalidMeasurement]:
        """See `PollingReader`."""
        for found in self._folder.read(pause):
            if isinstance(found, InvalidMeasurement):
                yield found
                continue
            good = False
            for one in self._rows(found):
                good = good or isinstance(one, Measurement)
                yield one
            self._folder.delivered(found, "done" if good else "failed")

    def delivered(self, measurement: Measurement) -> None:
        """See `PollingReader`; a file is disposed of after its last row."""

    def _rows(self, whole: Measurement) -> Iterator[Measurement | InvalidMeasurement]:
        """Yield the rows of a file; their ids are made of its name and the line number."""
        name = whole.metadata.id.removeprefix(f"{self._stream}:").rpartition("@")[0]
        if not name.lower().endswith(".csv"):
            yield InvalidMeasurement(
                f"{name}: it is not a .csv file", "put CSV files into the folder, or set pattern"
            )
            return
        try:
            text = whole.payload.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            yield InvalidMeasurement(f"{name}: {error}", "save it as UTF-8")
            return
        rows = CsvRows(self._stream, self._settings)
        recording = recording_of_file(name, content_id(whole.payload))
        for number, line in enumerate(io.StringIO(text), 1):
            if not line.strip():
                continue
            metadata = msgspec.structs.replace(
                whole.metadata, id=f"{whole.metadata.id}#{number}", recording=recording
            )
            found = rows.read(line, metadata)
            if isinstance(found, InvalidMeasurement):
                reason = f"{name}, line {number}: {found.reason}"
                yield msgspec.structs.replace(found, reason=reason)
            elif found is not None:
                yield found


def _number(cell: str) -> float | None:
    """Return the number in a cell, NaN for a missing one, None for other text."""
    if cell.lower() in MISSING:
        return math.nan
    with suppress(ValueError):
        return float(cell)
    return None


def _is_name(cell: str) -> bool:
    return _number(cell) is None and not any(mark in cell for mark in SEPARATORS)


def _is_value(cell: str) -> bool:
    return _number(cell) is not None


def _required(name: str, cell: str) -> float:
    found = _number(cell)
    if found is None:
        raise ValueError(f"{name} holds no number: {cell[:CELL_CHARS]!r}")
    return found
