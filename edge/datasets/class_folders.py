"""Reading a user's own examples from files by class: images, or what another form makes of a file.

Whatever cannot be read is a `Skipped` value with its reason; the rest goes on.  Links are followed,
inside the folder and out of it.  A link back to a folder above it is skipped, and folders deeper
than any layout are not entered, so that reading ends wherever a link leads.
"""

import hashlib
import os
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, Final

from ..core import ConfigError

IMAGE_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".pgm"}
)
HEIC_SUFFIXES: Final = frozenset({".heic", ".heif", ".hif"})
"""Photos as phones store them. Pillow cannot decode them, so they are refused by name."""

HEIC_REASON: Final = (
    "HEIC is not decoded here: convert it to JPEG, for example with"
    " `heif-convert photo.heic photo.jpg` (Debian package libheif-examples)"
)

FILE_BYTES_MAX: Final = 1 << 28
"""Longest file that is read: the encoder takes no longer image."""


SPLITS: Final = frozenset(
    {"train", "training", "val", "valid", "validation", "test", "testing", "dev", "eval"}
)
"""Names, in lower case, under which data sets hold their parts for training and for tests."""
FOLDERS_MAX: Final = 3
"""Folders in a row that a layout has at most: <split>/<domain>/<label>."""


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Examples to go through once.  total: how many, None where only reading tells; layout: what
    was taken as domain and label, in words; notes: what in the layout may be meant otherwise.
    names: of a table's feature columns, in the order of the payloads, none where it has no names;
    ignored: columns that were left out."""

    items: Iterator[Example | Skipped]
    total: int | None
    layout: str
    notes: tuple[str, ...] = ()
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
    have no label.  Where each outer folder is named like a split of a data set (`SPLITS`), it is
    one, and no domain: FOLDER/<split>/<label>/<file>.  What is hidden is left out.  Raises
    ConfigError for a folder without files."""
    files: list[Path] = []
    skipped: list[Skipped] = []
    for found in _walk(path, frozenset(), form):
        if isinstance(found, Skipped):
            skipped.append(found)
        else:
            files.append(found)
    if not files:
        first = f"; skipped: {skipped[0].source}: {skipped[0].reason}" if skipped else ""
        raise ConfigError(
            f"reading examples from {path}: the folder holds no files{first}",
            f"lay {form.noun}s out as FOLDER/<label>/<{form.noun}>",
        )
    tree = _Tree(path, form, sorted(files))
    items = chain(skipped, (item for file in tree.files for item in tree.examples(file)))
    # One image is one example; of a sound only reading tells.
    total = len(files) + len(skipped) if form is IMAGES else None
    return Examples(items=items, total=total, layout=tree.layout(), notes=tree.notes())


def read_file(path: Path, form: Form = IMAGES) -> Examples:
    """Read one file, without label."""
    return Examples(
        items=_file(path, "", "", form),
        total=1 if form is IMAGES else None,
        layout="one file, without label",
    )


def content_id(data: bytes) -> str:
    """Name an example by its content, so that learning it twice learns it once."""
    return hashlib.sha256(data).hexdigest()[:32]


def display_path(path: Path | str) -> str:
    """Return a path as text that can be printed and sent: bytes that are no UTF-8 are escaped."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")


def _walk(
    folder: Path, above: frozenset[tuple[int, int]], form: Form, depth: int = 0
) -> Iterator[Path | Skipped]:
    """Yield the files below a folder, and why others are not read.  above: device and inode of the
    folders that this one was reached through."""
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield Skipped(display_path(folder), f"the folder cannot be read: {error.strerror or error}")
        return
    inside = above | {(status.st_dev, status.st_ino)}
    for entry in entries:
        path = folder / entry.name
        if entry.name.startswith("."):
            continue
        wrong = _unreadable(path, inside)
        if wrong:
            yield Skipped(display_path(path), wrong)
        elif not path.is_dir():
            yield path
        elif depth < FOLDERS_MAX:
            yield from _walk(path, inside, form, depth + 1)
        else:
            yield Skipped(display_path(path), f"deeper than FOLDER/<domain>/<label>/<{form.noun}>")


def _unreadable(path: Path, above: frozenset[tuple[int, int]]) -> str:
    """Say why an entry of a folder is neither a file to read nor a folder to enter, or nothing."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return (
            f"a link to nothing: {display_path(path.readlink())}" if path.is_symlink() else "gone"
        )
    except OSError as error:
        return error.strerror or str(error)
    if (status.st_dev, status.st_ino) in above:
        return "a link back to a folder above it"
    return "" if S_ISREG(status.st_mode) or S_ISDIR(status.st_mode) else "no file and no folder"


@dataclass(frozen=True)
class _Tree:
    """The files below a folder, and what their folders mean."""

    root: Path
    form: Form
    files: list[Path]

    @cached_property
    def split(self) -> bool:
        """Whether the outer folders are splits: all are named so, and hold folders."""
        outer = self._outer(2)
        return bool(outer) and not {name.lower() for name in outer} - SPLITS

    def examples(self, file: Path) -> Iterator[Example | Skipped]:
        """Yield the examples of a file."""
        # The same name may be written in two ways that look alike (NFC, NFD): keep one.
        names = [unicodedata.normalize("NFC", part) for part in self._parts(file)]
        if file.suffix.lower() not in self.form.suffixes and not _heic(file, self.form):
            reason = f"by its name no {self.form.noun}: {file.suffix or 'no suffix'}"
            yield Skipped(display_path(file), reason)
        elif len(names) > 2:
            deepest = f"{'<split>/' if self.split else ''}<domain>/<label>/<{self.form.noun}>"
            yield Skipped(display_path(file), f"deeper than FOLDER/{deepest}")
        else:
            domain, label = names[0] if len(names) == 2 else "", names[-1] if names else ""
            yield from _file(file, domain, label, self.form)

    def layout(self) -> str:
        """Say how many files lie how deep, and so what was taken as domain and label."""
        noun = f"<{self.form.noun}>"
        names = (f"{noun} without label", f"<label>/{noun}", f"<domain>/<label>/{noun}")
        outer = "<split>/" if self.split else ""
        depths = [len(self._parts(file)) for file in self._fitting()]
        parts = [
            f"{depths.count(depth)} as {outer}{name}"
            for depth, name in enumerate(names)
            if depth in depths
        ]
        return ", ".join(parts) or f"no {self.form.noun}s"

    def notes(self) -> tuple[str, ...]:
        """Say what folders that are named like splits were taken as, where there are any."""
        outer = self._outer(1)
        splits = [name for name in outer if name.lower() in SPLITS]
        if not splits:
            return ()
        if self.split:
            training = next((name for name in splits if name.lower().startswith("train")), "train")
            note = (
                f"read as splits of one data set, not as domains: {_listed(splits)}; all of it is"
                f" used; to keep a test set apart, name {display_path(self.root / training)}"
                " instead"
            )
        elif self._outer(2):
            note = (
                f"read as domains: {_listed(outer)}; where {_listed(splits)} should be a split of"
                " a data set, name each folder by itself"
            )
        else:
            note = (
                f"read as labels: {_listed(outer)}; in a data set of splits, expected"
                f" <split>/<label>/<{self.form.noun}>"
            )
        return (note,)

    def _fitting(self) -> list[Path]:
        return [file for file in self.files if file.suffix.lower() in self.form.suffixes]

    def _outer(self, depth_min: int) -> list[str]:
        """Return the outer folders of the files that lie in at least as many folders."""
        folders = (file.relative_to(self.root).parts[:-1] for file in self._fitting())
        return sorted({parts[0] for parts in folders if len(parts) >= depth_min})

    def _parts(self, file: Path) -> tuple[str, ...]:
        """Return the folders that a file lies in, without its split."""
        parts = file.relative_to(self.root).parts[:-1]
        named = self.split and parts and parts[0].lower() in SPLITS
        return parts[1:] if named else parts


def _listed(names: list[str]) -> str:
    return ", ".join(map(display_path, names))


def _heic(path: Path, form: Form) -> bool:
    return form is IMAGES and path.suffix.lower() in HEIC_SUFFIXES


def _file(path: Path, domain: str, label: str, form: Form) -> Iterator[Example | Skipped]:
    if _heic(path, form):
        yield Skipped(display_path(path), HEIC_REASON)
        return
    try:
        status = path.stat()
        if status.st_size > FILE_BYTES_MAX:
            yield Skipped(
                display_path(path), f"longer than {FILE_BYTES_MAX} bytes: {status.st_size}"
            )
            return
        data = path.read_bytes()
    except OSError as error:
        yield Skipped(display_path(path), error.strerror or str(error))
        return
    at_ns = max(status.st_mtime_ns, 0)
    yield from form.split(
        Example(
            id=content_id(data),
            payload=data,
            label=label,
            domain=domain,
            captured_at_ns=at_ns,
            source=display_path(path),
        )
    )
