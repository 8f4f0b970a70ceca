"""Reading a user's own examples from files by class: images, or what another form makes of a file.

Whatever cannot be read is a `Skipped` value with its reason; the rest goes on.
"""

import hashlib
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..core import ConfigError

IMAGE_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".pgm"}
)
FILE_BYTES_MAX: Final = 1 << 28
"""Longest file that is read: the encoder takes no longer image."""


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
    was taken as domain and label, in words.  names: of a table's feature columns, in the order of
    the payloads, none where it has no names; ignored: columns that were left out."""

    items: Iterator[Example | Skipped]
    total: int | None
    layout: str
    names: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Example | Skipped]:
        return self.items


@dataclass(frozen=True, slots=True)
class Form:
    """What files are taken as examples.  noun: what one is called; suffixes: how their names end,
    in lower case; split: makes the examples of a file of one whose payload is all of its bytes."""

    noun: str
    suffixes: frozenset[str]
    split: Callable[[Example], Iterator[Example | Skipped]]


IMAGES: Final = Form("image", IMAGE_SUFFIXES, lambda whole: iter((whole,)))


def read_folder(path: Path, form: Form = IMAGES) -> Examples:
    """Read FOLDER/<label>/<file> or FOLDER/<domain>/<label>/<file>; files right inside the folder
    have no label.  What is hidden is left out.  Raises ConfigError for an empty folder."""
    found = (p for p in path.rglob("*") if not _hidden(p.relative_to(path)) and p.is_file())
    files = sorted(found)
    if not files:
        raise ConfigError(
            f"reading examples from {path}: the folder holds no files",
            f"lay {form.noun}s out as FOLDER/<label>/<{form.noun}>",
        )
    items = (item for file in files for item in _placed(file, path, form))
    # One image is one example; of a sound only reading tells.
    return Examples(items, len(files) if form is IMAGES else None, _layout(path, files, form))


def read_file(path: Path, form: Form = IMAGES) -> Examples:
    """Read one file, without label."""
    return Examples(
        _file(path, "", "", form), 1 if form is IMAGES else None, "one file, without label"
    )


def content_id(data: bytes) -> str:
    """Name an example by its content, so that learning it twice learns it once."""
    return hashlib.sha256(data).hexdigest()[:32]


def shown(path: Path | str) -> str:
    """Return a path as text that can be printed and sent: bytes that are no UTF-8 are escaped."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")


def _hidden(inside: Path) -> bool:
    return any(part.startswith(".") for part in inside.parts)


def _layout(path: Path, files: list[Path], form: Form) -> str:
    """Say how many files lie how deep, and so what was taken as domain and label."""
    noun = f"<{form.noun}>"
    names = (f"{noun} without label", f"<label>/{noun}", f"<domain>/<label>/{noun}")
    fitting = [file for file in files if file.suffix.lower() in form.suffixes]
    depths = [len(file.relative_to(path).parts) - 1 for file in fitting]
    parts = [f"{depths.count(n)} as {name}" for n, name in enumerate(names) if n in depths]
    return ", ".join(parts) or f"no {form.noun}s"


def _placed(file: Path, folder: Path, form: Form) -> Iterator[Example | Skipped]:
    parts = file.relative_to(folder).parts[:-1]
    if file.suffix.lower() not in form.suffixes:
        reason = f"by its name no {form.noun}: {file.suffix or 'no suffix'}"
        yield Skipped(shown(file), reason)
    elif len(parts) > 2:
        yield Skipped(shown(file), f"deeper than FOLDER/<domain>/<label>/<{form.noun}>")
    else:
        # The same name may be written in two ways that look alike (NFC, NFD): keep one.
        names = [unicodedata.normalize("NFC", part) for part in parts]
        domain, label = names[0] if len(names) == 2 else "", names[-1] if names else ""
        yield from _file(file, domain, label, form)


def _file(path: Path, domain: str, label: str, form: Form) -> Iterator[Example | Skipped]:
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
    yield from form.split(Example(content_id(data), data, label, domain, "", at_ns, shown(path)))
