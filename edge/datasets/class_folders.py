"""Read labelled examples from files in class folders: images, or another form of file.

Unreadable files become `Skipped` values with a reason, and reading continues.  Symbolic links are
followed, also out of the folder.  A link back to a folder above it is skipped, and folders deeper
than any layout are not entered, so reading always terminates.
"""

import os
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, Final

import encoder

from ..core import ConfigError
from ..sources import content_id

IMAGE_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".pgm"}
)
HEIC_SUFFIXES: Final = frozenset({".heic", ".heif", ".hif"})
"""Photo formats of phones.  Pillow cannot decode them, so they are skipped with a hint."""

HEIC_REASON: Final = (
    "HEIC is not decoded here: convert it to JPEG, for example with"
    " `heif-convert photo.heic photo.jpg` (Debian package libheif-examples)"
)

FILE_BYTES_MAX: Final = 1 << 28
"""Largest file that is read; the encoder accepts no larger image."""

SPLITS: Final = frozenset(
    {"train", "training", "val", "valid", "validation", "test", "testing", "dev", "eval"}
)
"""Lower-case folder names of the training and test parts of a data set."""
EXIF: Final = "EXIF data"
FILE_TIME: Final = "file times"
FOLDERS_MAX: Final = 3
"""Deepest layout: <split>/<domain>/<label>."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A payload for the encoder with its annotations; "" and 0 for unknown ones.  timed_by: where
    its time comes from, as text."""

    id: str
    payload: Any = field(repr=False, compare=False)
    label: str = ""
    domain: str = ""
    subject: str = ""
    recording: str = ""
    captured_at_ns: int = 0
    timed_by: str = ""
    source: str = ""
    stream: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Skipped:
    """A source that could not be read, and why."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Examples to iterate over once.

    total: their number, None if unknown before reading; layout: which folders or columns were read
    as domain and label, as text; notes: doubts about the layout.  names: feature columns of a
    table in the order of the payloads, empty if unnamed; ignored: columns left out.
    """

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
    """A kind of example file.  noun: its name in messages; suffixes: in lower case; split: yields
    the examples of a file, given one whose payload is the whole content."""

    noun: str
    suffixes: frozenset[str]
    split: Callable[[Example], Iterator[Example | Skipped]]


def _image(whole: Example) -> Iterator[Example]:
    """Yield an image, with the time of its EXIF data rather than that of its file."""
    at_ns = encoder.capture_time(whole.payload)
    yield whole if at_ns is None else replace(whole, captured_at_ns=at_ns, timed_by=EXIF)


IMAGES: Final = Form("image", IMAGE_SUFFIXES, _image)


def read_folder(path: Path, form: Form = IMAGES) -> Examples:
    """Read FOLDER/<label>/<file> or FOLDER/<domain>/<label>/<file>; files directly in the folder
    have no label.  If all outer folders are named like splits of a data set (`SPLITS`), they are
    read as splits and not as domains: FOLDER/<split>/<label>/<file>.  Hidden files are ignored.
    Raises ConfigError for a folder without files."""
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
            f"arrange {form.noun}s as FOLDER/<label>/<{form.noun}>",
        )
    tree = _Tree(path, form, sorted(files))
    items = chain(skipped, (item for file in tree.files for item in tree.examples(file)))
    # An image is one example; the number of windows of a sound is unknown before reading.
    total = len(files) + len(skipped) if form is IMAGES else None
    return Examples(items=items, total=total, layout=tree.layout(), notes=tree.notes())


def read_file(path: Path, form: Form = IMAGES) -> Examples:
    """Read one file, without a label."""
    return Examples(
        items=_file(path, "", "", form),
        total=1 if form is IMAGES else None,
        layout="one file, without label",
    )


def display_path(path: Path | str) -> str:
    """Return a path as printable text: bytes that are not UTF-8 are escaped."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")


def _walk(
    folder: Path, above: frozenset[tuple[int, int]], form: Form, depth: int = 0
) -> Iterator[Path | Skipped]:
    """Yield the files below a folder, and skipped entries with their reasons.  above: device and
    inode of all parent folders on the way here."""
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
        reason = _unreadable(path, inside)
        if reason:
            yield Skipped(display_path(path), reason)
        elif not path.is_dir():
            yield path
        elif depth < FOLDERS_MAX:
            yield from _walk(path, inside, form, depth + 1)
        else:
            yield Skipped(display_path(path), f"deeper than FOLDER/<domain>/<label>/<{form.noun}>")


def _unreadable(path: Path, above: frozenset[tuple[int, int]]) -> str:
    """Return why an entry can be neither read nor entered, "" if it can."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return (
            f"a link to nothing: {display_path(path.readlink())}"
            if path.is_symlink()
            else "it no longer exists"
        )
    except OSError as error:
        return error.strerror or str(error)
    if (status.st_dev, status.st_ino) in above:
        return "a link back to a folder above it"
    return (
        "" if S_ISREG(status.st_mode) or S_ISDIR(status.st_mode) else "neither a file nor a folder"
    )


@dataclass(frozen=True)
class _Tree:
    """The files below a folder, and the roles of their folders."""

    root: Path
    form: Form
    files: list[Path]

    @cached_property
    def split(self) -> bool:
        """Whether the outer folders are splits: all have names of splits and hold folders."""
        outer = self._outer(2)
        return bool(outer) and not {name.lower() for name in outer} - SPLITS

    def examples(self, file: Path) -> Iterator[Example | Skipped]:
        """Yield the examples of a file."""
        # Names that look alike may differ in Unicode form (NFC, NFD): normalise them.
        names = [unicodedata.normalize("NFC", part) for part in self._parts(file)]
        if file.suffix.lower() not in self.form.suffixes and not _heic(file, self.form):
            reason = f"not a supported {self.form.noun} type: {file.suffix or 'no suffix'}"
            yield Skipped(display_path(file), reason)
        elif len(names) > 2:
            deepest = f"{'<split>/' if self.split else ''}<domain>/<label>/<{self.form.noun}>"
            yield Skipped(display_path(file), f"deeper than FOLDER/{deepest}")
        else:
            domain, label = names[0] if len(names) == 2 else "", names[-1] if names else ""
            yield from _file(file, domain, label, self.form)

    def layout(self) -> str:
        """Describe how many files were read in each layout of domain and label."""
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
        """Describe how folders with names of splits were read, if there are any."""
        outer = self._outer(1)
        splits = [name for name in outer if name.lower() in SPLITS]
        if not splits:
            return ()
        if self.split:
            training = next((name for name in splits if name.lower().startswith("train")), "train")
            note = (
                f"read as splits of one data set, not as domains: {_listed(splits)}; all are used;"
                f" to hold out a test set, name {display_path(self.root / training)} instead"
            )
        elif self._outer(2):
            note = (
                f"read as domains: {_listed(outer)}; if {_listed(splits)} should be a split of a"
                " data set, name each folder separately"
            )
        else:
            note = (
                f"read as labels: {_listed(outer)}; for a data set with splits, expected"
                f" <split>/<label>/<{self.form.noun}>"
            )
        return (note,)

    def _fitting(self) -> list[Path]:
        return [file for file in self.files if file.suffix.lower() in self.form.suffixes]

    def _outer(self, depth_min: int) -> list[str]:
        """Return the outer folders of files at least `depth_min` folders deep."""
        folders = (file.relative_to(self.root).parts[:-1] for file in self._fitting())
        return sorted({parts[0] for parts in folders if len(parts) >= depth_min})

    def _parts(self, file: Path) -> tuple[str, ...]:
        """Return the folders of a file below the root, without its split."""
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
            timed_by=FILE_TIME,
            source=display_path(path),
        )
    )
