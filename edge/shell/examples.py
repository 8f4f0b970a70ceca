"""Reading a user's own examples: image folders by class, npz arrays, CSV tables.

Whatever cannot be read is a `Skipped` value with its reason; the rest goes on.
"""

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..core import ConfigError

IMAGE_SUFFIXES: Final = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".pgm"}
COLUMNS: Final = ("label", "domain", "id", "subject", "captured_at_ns")
NO_DOMAIN: Final = ""


@dataclass(frozen=True, slots=True)
class Example:
    """A payload for the encoder with what is known of it; empty text: not said."""

    id: str
    payload: Any = field(repr=False, compare=False)
    label: str = ""
    domain: str = NO_DOMAIN
    subject: str = ""
    captured_at_ns: int = 0
    source: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that could not be read, and why."""

    source: str
    reason: str


def read_examples(path: Path) -> Iterator[Example | Skipped]:
    """Read whatever `path` is: a folder, an image, an .npz or a .csv file.

    Folders: FOLDER/<label>/<image> or FOLDER/<domain>/<label>/<image>; images right inside have no
    label.  npz: `features` [n, d], `windows` [n, length, channels] or `images` [n, h, w(, 3)],
    beside them any of label, domain, id, subject, captured_at_ns [n].  csv: a header; the same
    names; every other column is a feature.
    """
    if path.is_dir():
        yield from _folder(path)
    elif path.suffix.lower() == ".npz":
        yield from _npz(path)
    elif path.suffix.lower() == ".csv":
        yield from _csv(path)
    elif path.is_file():
        yield from _image(path, "", "")
    else:
        raise ConfigError(
            f"reading examples from {path}: there is no such file or folder",
            "name an image, a folder of images by class, an .npz or a .csv file",
        )


def _folder(path: Path) -> Iterator[Example | Skipped]:
    files = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
    if not files:
        raise ConfigError(
            f"reading examples from {path}: the folder holds no files",
            "lay images out as FOLDER/<label>/<image>",
        )
    for file in files:
        parts = file.relative_to(path).parts[:-1]
        if file.suffix.lower() not in IMAGE_SUFFIXES:
            yield Skipped(str(file), f"not an image by its name: {file.suffix or 'no suffix'}")
        elif len(parts) > 2:
            yield Skipped(str(file), "deeper than FOLDER/<domain>/<label>/<image>")
        else:
            label = parts[-1] if parts else ""
            domain = parts[0] if len(parts) == 2 else NO_DOMAIN
            yield from _image(file, domain, label)


def _image(path: Path, domain: str, label: str) -> Iterator[Example | Skipped]:
    try:
        data = path.read_bytes()
        at_ns = path.stat().st_mtime_ns
    except OSError as error:
        yield Skipped(str(path), error.strerror or str(error))
        return
    yield Example(content_id(data), data, label, domain, "", max(at_ns, 0), str(path))


def _npz(path: Path) -> Iterator[Example | Skipped]:
    try:
        with np.load(path, allow_pickle=False) as held:
            arrays = {
                name: held[name]
                for name in held.files
                if name in {"features", "windows", "images", *COLUMNS}
            }
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"reading {path}: {error}", "expected a .npz of plain arrays (no pickled objects)"
        ) from error
    kinds = [name for name in ("features", "windows", "images") if name in arrays]
    if len(kinds) != 1:
        raise ConfigError(
            f"reading {path}: expected one of features, windows, images, found {kinds or 'none'}",
            "rename the array",
        )
    payloads = arrays.pop(kinds[0])
    bad = [name for name, column in arrays.items() if column.shape != (len(payloads),)]
    if bad:
        raise ConfigError(
            f"reading {path}: {bad[0]} must have one entry for each of the"
            f" {len(payloads)} rows, found shape {arrays[bad[0]].shape}",
            "correct the array",
        )
    for row, payload in enumerate(payloads):
        given = {name: str(column[row]) for name, column in arrays.items()}
        yield _row(f"{path}[{row}]", np.ascontiguousarray(payload), given)


def _csv(path: Path) -> Iterator[Example | Skipped]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, strict=True)
            names = list(rows.fieldnames or [])
            columns = [name for name in names if name not in COLUMNS]
            if not columns or len(set(names)) != len(names):
                raise ConfigError(
                    f"reading {path}: expected a header with feature columns, each"
                    f" name once, found {names[:8]}",
                    "add or correct the header",
                )
            for number, row in enumerate(rows, start=2):
                yield _csv_row(f"{path}:{number}", row, columns)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"reading {path}: {error}", "expected a UTF-8 CSV file") from error


def _csv_row(source: str, row: dict[Any, Any], columns: list[str]) -> Example | Skipped:
    if None in row or None in row.values():
        return Skipped(source, "more or fewer cells than the header has")
    try:
        payload = np.array([float(row[name]) for name in columns], np.float32)
    except ValueError as error:
        return Skipped(source, str(error))
    return _row(source, payload, {name: row[name] for name in COLUMNS if name in row})


def _row(source: str, payload: NDArray[Any], given: dict[str, str]) -> Example | Skipped:
    try:
        at_ns = int(given.get("captured_at_ns") or 0)
    except ValueError:
        return Skipped(source, f"captured_at_ns is not a whole number: {given['captured_at_ns']!r}")
    return Example(
        given.get("id") or content_id(payload.tobytes()),
        payload,
        given.get("label", ""),
        given.get("domain", NO_DOMAIN),
        given.get("subject", ""),
        at_ns,
        source,
    )


def content_id(data: bytes) -> str:
    """Name an example by its content, so that learning it twice learns it once."""
    return hashlib.sha256(data).hexdigest()[:32]
