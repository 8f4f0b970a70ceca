"""Read the examples that a path names: a table (.npz, .csv, an export), a file or a folder."""

import csv
import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import encoder

from ..core import (
    ColumnMatch,
    ConfigError,
    ModelMismatchError,
    columns_differ,
    find_invalid_columns,
    listed,
    match_columns,
    missing_text,
)
from ..sources import content_id, recording_of_file
from .class_folders import (
    IMAGES,
    Example,
    Examples,
    Form,
    Skipped,
    display_path,
    read_file,
    read_folder,
)
from .sounds import RATE_HZ, read_sounds
from .time_columns import (
    NO_ROW_COLUMNS,
    RECOGNISED,
    RECORDINGS,
    TIMES,
    NamedColumns,
    RowColumns,
    find_row_columns,
)

PAYLOADS: Final = ("features", "windows", "images")
COLUMNS: Final = ("label", "domain", "id", "subject", "captured_at_ns", "recording")
EXPORTED: Final = ("stream", "revision")
ACCEPTED: Final = {
    "image": "images as FOLDER/<label>/<image>, or an .npz with `images`",
    "window": "WAV files as FOLDER/<label>/<sound>, or an .npz with `windows`",
    "vector": "a .csv of numbers, or an .npz with `features`",
}
"""Examples that an encoder accepts, by the kind of its card."""
NPZ_BYTES_MAX: Final = 1 << 32
"""Largest unpacked .npz that is read, since a small file can unpack to more than the memory:
4 GiB.  Chosen by hand; effect not measured."""

TIME_HINT: Final = "such as 2024-01-31T09:30:00 or seconds"
"""How to write a time."""

Column = NDArray[Any]


@dataclass(frozen=True, slots=True)
class _RowContext:
    """What all rows of a table have in common.  columns: of times and recordings; recording: of
    rows without one; stored: they are facts of an export."""

    columns: RowColumns = NO_ROW_COLUMNS
    recording: str = ""
    stored: bool = False


def read_examples(
    path: Path,
    card: encoder.Card | None = None,
    rate_hz: int = RATE_HZ,
    columns: Sequence[str] = (),
    named: NamedColumns = RECOGNISED,
) -> Examples:
    """Read a folder, an image, a sound, an .npz or a .csv file.

    npz: `features` [n, d], `windows` [n, length, channels] or `images` [n, h, w(, 3)], optionally
    with label, domain, id, subject, captured_at_ns and recording [n], and `columns` [d], the names
    of the features.  csv: a header with the same names; every other column is a feature.  An .npz
    of `auricle export` gives `encoder.Features` with their stored quantisation.

    card: of the encoder in use; it decides whether files are images or sounds, and must be that of
    an export.  rate_hz: samples per second of sounds.  columns: names of the home's columns; the
    features of a table are put in this order and others are left out.  named: a table's columns of
    times and recordings.  Raises ConfigError, before the first example, if nothing can be read or a
    column is missing.

    A row without a recording belongs to that of its subject, or else to that of its file.
    """
    if not path.exists():
        raise ConfigError(
            f"reading examples from {display_path(path)}: there is no such file or folder",
            "name a folder of images or sounds by class, one of them, an .npz or a .csv file",
        )
    table = "" if path.is_dir() else path.suffix.lower()
    if table == ".npz":
        return _read_npz(path, card, columns, named)
    if table == ".csv":
        return _read_csv(path, columns, named)
    if named:
        raise ConfigError(
            f"reading examples from {display_path(path)}: expected a table, because a column of"
            " times or recordings is named",
            "leave out --time-column and --recording-column: files have their own times",
        )
    form = _form(path, card, rate_hz)
    return read_folder(path, form) if path.is_dir() else read_file(path, form)


def accepted_examples(card: encoder.Card) -> str:
    """Describe the examples that an encoder accepts."""
    return f"the encoder {card.name} takes {ACCEPTED[card.kind]}"


def _form(path: Path, card: encoder.Card | None, rate_hz: int) -> Form:
    if card is not None and card.kind == "vector":
        raise ConfigError(
            f"reading examples from {display_path(path)}: expected a table, found"
            f" {'a folder' if path.is_dir() else 'another file'}",
            accepted_examples(card),
        )
    return read_sounds(card, rate_hz) if card is not None and card.kind == "window" else IMAGES


# --- npz ------------------------------------------------------------------------------------------


def _read_npz(
    path: Path, card: encoder.Card | None, columns: Sequence[str], wanted: NamedColumns
) -> Examples:
    arrays = _load(path, wanted)
    kinds = [name for name in PAYLOADS if name in arrays]
    if len(kinds) != 1:
        raise ConfigError(
            f"reading {path}: expected one of {', '.join(PAYLOADS)}, found"
            f" {', '.join(kinds) or 'none of them'}",
            "rename the array",
        )
    payloads = arrays.pop(kinds[0])
    fingerprint = str(arrays.pop("card")) if "card" in arrays else ""
    if payloads.ndim < 2 or payloads.dtype.kind not in "biuf":
        raise ConfigError(
            f"reading {path}: {kinds[0]} must be numbers, one row or image for each example, found"
            f" {payloads.dtype} {list(payloads.shape)}",
            "correct the array",
        )
    if fingerprint:
        _require_card(path, fingerprint, payloads, card)
    named, ignored = arrays.pop("columns", None), tuple[str, ...]()
    if fingerprint:
        names = _npz_names(path, named, None if named is None else named.size)
        _require_same_columns(path, names, columns)
    else:
        names = _npz_names(path, named, payloads.shape[1] if payloads.ndim == 2 else 0)
        payloads, names, ignored = _in_order(path, payloads, names, columns)
    annotations = {
        name: _texts(path, name, array, len(payloads))
        for name, array in arrays.items()
        if name in {*COLUMNS, *EXPORTED} or array.shape == (len(payloads),)
    }
    extra = [name for name in annotations if name not in {*COLUMNS, *EXPORTED}]
    context = _npz_context(path, annotations, wanted, stored=bool(fingerprint))
    items = _rows(path, payloads, annotations, context)
    kept = {name: rows for name, rows in annotations.items() if name not in extra}
    layout = f"{len(payloads)} rows of {_describe(kept, context.columns)}"
    return Examples(items=items, total=len(payloads), layout=layout, names=names, ignored=ignored)


def _npz_context(
    path: Path, annotations: Mapping[str, list[str]], wanted: NamedColumns, *, stored: bool
) -> _RowContext:
    """Return what the rows of an .npz have in common.  stored: its rows are facts of an export,
    which come back as they were."""
    if stored:
        return _RowContext(stored=True)
    first = {name: next(filter(None, rows), "") for name, rows in annotations.items()}
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return _RowContext(
        columns=find_row_columns(tuple(annotations), first, (), wanted),
        recording=recording_of_file(path, content),
    )


def _npz_names(path: Path, found: Column | None, width: int | None) -> tuple[str, ...]:
    """Return the names of the `width` columns of an .npz, empty if it has none."""
    if found is None or width is None:
        return ()
    names = tuple(map(_text, found.tolist())) if found.ndim == 1 else ()
    wrong = find_invalid_columns(names, width)
    if wrong:
        raise ConfigError(
            f"reading {path}: `columns` must name the columns of `features`: {wrong}",
            "correct the array `columns`, or leave it out",
        )
    return names


def _require_same_columns(path: Path, names: tuple[str, ...], columns: Sequence[str]) -> None:
    """Raise ConfigError for quantised features of other columns: their scales are per column."""
    wrong = columns_differ(columns, names)
    if wrong:
        raise ConfigError(
            f"reading {path}: {wrong}", "use a home of the same columns, or the original table"
        )


def _in_order(
    path: Path, payloads: Column, names: tuple[str, ...], columns: Sequence[str]
) -> tuple[Column, tuple[str, ...], tuple[str, ...]]:
    """Return payloads with the named columns in a home's order, their names, and the names left
    out."""
    if not (names and columns):
        return payloads, names, ()
    match = _matched(path, names, columns)
    return payloads[:, list(match.order)], tuple(columns), match.ignored


def _matched(path: Path, names: Sequence[str], columns: Sequence[str]) -> ColumnMatch:
    match = match_columns(names, columns)
    if match.missing:
        raise ConfigError(
            f"reading {path}: {missing_text(match)}",
            f"add the missing columns; the home's columns are {listed(columns)}",
        )
    return match


def _load(path: Path, named: NamedColumns) -> dict[str, Column]:
    wanted = {*PAYLOADS, *COLUMNS, *EXPORTED, "card", "columns", named.time, named.recording}
    usual = {*TIMES, *RECORDINGS}
    try:
        _require_size(path)
        with np.load(path, allow_pickle=False) as held:
            return {n: held[n] for n in held.files if n in wanted or n.lower() in usual}
    except (
        OSError,
        ValueError,
        EOFError,
        MemoryError,
        OverflowError,
        RuntimeError,  # an encrypted member, and NotImplementedError for a rare compression
        SyntaxError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise ConfigError(
            f"reading {path}: {error}",
            "expected a whole .npz of plain arrays (numpy.savez; no pickled objects)",
        ) from error


def _require_size(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > NPZ_BYTES_MAX:
        raise ValueError(f"it unpacks to {size} bytes, more than {NPZ_BYTES_MAX}")


def _require_card(
    path: Path, fingerprint: str, payloads: Column, card: encoder.Card | None
) -> None:
    """Raise ModelMismatchError unless the features were quantised with the card in use."""
    found = card.fingerprint if card is not None else "none"
    if fingerprint != found:
        raise ModelMismatchError(
            f"reading {path}: its features were quantised under the encoder card"
            f" {fingerprint[:12]}, the one in use is {found[:12]}",
            "use a home of the same card; other cards need the original measurements",
        )
    whole = payloads.dtype == np.uint8 and payloads.shape[1:] == (card.width if card else 0,)
    if card is not None and not whole:
        raise ConfigError(
            f"reading {path}: expected features uint8 [n, {card.width}], found {payloads.dtype}"
            f" {list(payloads.shape)}",
            "export the facts again",
        )


def _texts(path: Path, name: str, column: Column, count: int) -> list[str]:
    if column.shape != (count,):
        raise ConfigError(
            f"reading {path}: {name} must have one entry for each of the {count} rows, found"
            f" shape {list(column.shape)}",
            "correct the array",
        )
    return [_text(value) for value in column.tolist()]


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _rows(
    path: Path, payloads: Column, columns: Mapping[str, list[str]], context: _RowContext
) -> Iterator[Example | Skipped]:
    if payloads.dtype.kind == "f":
        with np.errstate(over="ignore"):
            payloads = payloads.astype(np.float32)
    for number, payload in enumerate(payloads):
        given = {name: column[number] for name, column in columns.items()}
        source = f"{display_path(path)}[{number}]"
        row = _row(source, np.ascontiguousarray(payload), given, context)
        if context.stored and isinstance(row, Example):
            row = replace(row, payload=encoder.Features(payload))
        yield row


# --- csv ------------------------------------------------------------------------------------------


def _read_csv(path: Path, wanted: Sequence[str], named: NamedColumns) -> Examples:
    """Read the whole file first, so that an error in its last line is reported before the first
    example."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = csv.DictReader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
        rows.fieldnames = names = [name.strip() for name in rows.fieldnames or []]
        columns, ignored = _features(path, names), tuple[str, ...]()
        lines = [(rows.line_num, row) for row in rows]
        own = find_row_columns(names, _first_cells(names, lines), wanted, named)
        columns = [name for name in columns if name not in own.names]
        if wanted:
            ignored = _matched(path, columns, wanted).ignored
            columns = list(wanted)
        context = _RowContext(own, recording_of_file(path, content_id(text.encode())))
        items = [
            _csv_row(f"{display_path(path)}:{number}", row, columns, context)
            for number, row in lines
        ]
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"reading {path}: expected UTF-8, found the byte 0x{error.object[error.start]:02x} at"
            f" {error.start}",
            f"save it as UTF-8: iconv -f LATIN1 -t UTF-8 {path.name}",
        ) from error
    except (OSError, csv.Error) as error:
        raise ConfigError(f"reading {path}: {error}", "expected a CSV file") from error
    annotations = {name: [""] for name in names if name in COLUMNS}
    layout = f"{len(items)} rows of {_describe(annotations, own)}"
    return Examples(
        items=iter(items),
        total=len(items),
        layout=layout,
        names=tuple(columns),
        ignored=ignored,
    )


def _first_cells(names: list[str], lines: list[tuple[int, dict[Any, Any]]]) -> dict[str, str]:
    """Return the first cell of each column that is not empty."""
    return {
        name: next((row[name] for _, row in lines if (row.get(name) or "").strip()), "")
        for name in names
    }


def read_column_names(path: Path) -> tuple[str, ...]:
    """Read the names of feature columns from the header of a CSV, `columns` of an .npz, or a text
    file with a name on each line.  Raises ConfigError if there are none."""
    suffix = path.suffix.lower()
    if suffix in {".csv", ".npz"} and path.is_file():
        names = read_examples(path).names
    else:
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"reading column names from {display_path(path)}: {error}",
                "name a CSV with a header, or a text file with a name on each line",
            ) from error
        names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise ConfigError(f"reading column names from {display_path(path)}: found none", "add them")
    return names


def _features(path: Path, names: list[str]) -> list[str]:
    columns = [name for name in names if name not in COLUMNS]
    if not columns or "" in names or len(set(names)) != len(names):
        raise ConfigError(
            f"reading {path}: expected a header with feature columns, each name once, found"
            f" {', '.join(map(repr, names[:8])) or 'nothing'}",
            f"add or correct the header; {', '.join(COLUMNS)} are not features",
        )
    if all(map(_is_number, names)):
        raise ConfigError(
            f"reading {path}: expected a header, found numbers: {', '.join(names[:4])}",
            "write the column names on the first line",
        )
    if len(names) == 1 and any(mark in names[0] for mark in ";\t|"):
        raise ConfigError(
            f"reading {path}: expected columns separated by commas, found {names[0][:40]!r}",
            "use commas as separators and decimal points",
        )
    return columns


def _csv_row(
    source: str, row: dict[Any, Any], columns: list[str], context: _RowContext
) -> Example | Skipped:
    if None in row or None in row.values():
        return Skipped(source, "more or fewer cells than the header has")
    try:
        with np.errstate(over="ignore"):
            payload = np.array([float(row[name]) for name in columns], np.float32)
    except ValueError:
        return Skipped(source, _no_number(row, columns))
    used = (*COLUMNS, *context.columns.names)
    given = {name: row[name].strip() for name in used if name in row}
    return _row(source, payload, given, context)


def _no_number(row: Mapping[str, str], columns: list[str]) -> str:
    """Return which cell holds no number, with a hint at the cause."""
    name = next(name for name in columns if not _is_number(row[name]))
    if not row[name].strip():
        return f"the column {name!r} is empty: missing values are not filled in"
    return (
        f"the column {name!r} holds no number: {row[name][:40]!r}; name a column of labels `label`"
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _row(
    source: str, payload: Column, given: Mapping[str, str], context: _RowContext
) -> Example | Skipped:
    try:
        exact_ns, revision = (int(given.get(name) or 0) for name in ("captured_at_ns", "revision"))
    except ValueError as error:
        return Skipped(source, f"captured_at_ns must be a whole number: {error}")
    columns = context.columns
    at_ns = exact_ns or columns.when(given)
    if at_ns is None:
        cells = " ".join(given[name] for name in columns.time)
        return Skipped(source, f"expected a time since 1970, {TIME_HINT}, found {cells[:40]!r}")
    named = "captured_at_ns" if exact_ns else " and ".join(columns.time)
    recording = given.get("recording") or given.get(columns.recording, "")
    if not context.stored:
        recording = recording or given.get("subject") or context.recording
    return Example(
        id=given.get("id") or content_id(payload.tobytes()),
        payload=payload,
        label=given.get("label", ""),
        domain=given.get("domain", ""),
        subject=given.get("subject", ""),
        recording=recording,
        captured_at_ns=at_ns,
        timed_by=f"the column {named}" if at_ns else "",
        source=source,
        stream=given.get("stream", ""),
        revision=revision,
    )


def _describe(columns: Mapping[str, list[str]], own: RowColumns) -> str:
    """Describe the columns that were read as something other than features."""
    named = [name for name in COLUMNS if name in columns] + list(own.describe())
    return f"numbers with {', '.join(named)}" if named else "numbers only"
