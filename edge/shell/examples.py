"""Reading a user's own examples: image folders by class, and the tables of `tables`.

Whatever cannot be read is a `Skipped` value with its reason; the rest goes on.
"""

import hashlib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..core import ConfigError

IMAGE_SUFFIXES: Final = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".pgm"}
FILE_BYTES_MAX: Final = 1 << 28
"""Longest image file that is read: the encoder takes no longer one."""


@dataclass(frozen=True, slots=True)
class Example:
    """A payload for the encoder with what is known of it; empty text: not said."""

    id: str
    payload: Any = field(repr=False, compare=False)
    label: str = ""
    domain: str = ""
    subject: str = ""
    captured_at_ns: int = 0
    source: str = ""
    stream: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that could not be read, and why."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Examples:
    """Examples to go through once.  total: how many, None where only reading tells; layout: what
    was taken as domain and label, in words."""

    items: Iterator[Example | Skipped]
    total: int | None
    layout: str

    def __iter__(self) -> Iterator[Example | Skipped]:
        return self.items


def read_folder(path: Path) -> Examples:
    """Read FOLDER/<label>/<image> or FOLDER/<domain>/<label>/<image>; images right inside the
    folder have no label.  What is hidden is left out.  Raises ConfigError for an empty folder."""
    found = (p for p in path.rglob("*") if not _hidden(p.relative_to(path)) and p.is_file())
    files = sorted(found)
    if not files:
        raise ConfigError(
            f"reading examples from {path}: the folder holds no files",
            "lay images out as FOLDER/<label>/<image>",
        )
    items = (item for file in files for item in _placed_image(file, path))
    return Examples(items, len(files), _layout(path, files))


def read_image(path: Path) -> Examples:
    """Read one image, without label."""
    return Examples(_image(path, "", ""), 1, "one file, without label")


def content_id(data: bytes) -> str:
    """Name an example by its content, so that learning it twice learns it once."""
    return hashlib.sha256(data).hexdigest()[:32]


def shown(path: Path | str) -> str:
    """Return a path as text that can be printed and sent: bytes that are no UTF-8 are escaped."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")


def _hidden(inside: Path) -> bool:
    return any(part.startswith(".") for part in inside.parts)


def _layout(path: Path, files: list[Path]) -> str:
    """Say how many images lie how deep, and so what was taken as domain and label."""
    names = ("<image> without label", "<label>/<image>", "<domain>/<label>/<image>")
    images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    depths = [len(file.relative_to(path).parts) - 1 for file in images]
    parts = [f"{depths.count(n)} as {name}" for n, name in enumerate(names) if n in depths]
    return ", ".join(parts) or "no images"


def _placed_image(file: Path, folder: Path) -> Iterator[Example | Skipped]:
    parts = file.relative_to(folder).parts[:-1]
    if file.suffix.lower() not in IMAGE_SUFFIXES:
        reason = f"not an image by its name: {file.suffix or 'no suffix'}"
        yield Skipped(shown(file), reason)
    elif len(parts) > 2:
        yield Skipped(shown(file), "deeper than FOLDER/<domain>/<label>/<image>")
    else:
        # The same name may be written in two ways that look alike (NFC, NFD): keep one.
        names = [unicodedata.normalize("NFC", part) for part in parts]
        yield from _image(file, names[0] if len(names) == 2 else "", names[-1] if names else "")


def _image(path: Path, domain: str, label: str) -> Iterator[Example | Skipped]:
    try:
        status = path.stat()
        if status.st_size > FILE_BYTES_MAX:
            yield Skipped(shown(path), f"longer than {FILE_BYTES_MAX} bytes: {status.st_size}")
            return
        data = path.read_bytes()
    except OSError as error:
        yield Skipped(shown(path), error.strerror or str(error))
        return
    at_ns = max(status.st_mtime_ns, 0)
    yield Example(content_id(data), data, label, domain, "", at_ns, shown(path))
