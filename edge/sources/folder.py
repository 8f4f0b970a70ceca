"""The folder source: every file that appears in a watched folder is a measurement."""

import fnmatch
import os
import time
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

import msgspec

from ..config import FolderStream
from ..core import TEXT_CHARS_MAX
from ..storage import write_text
from .measurement import InvalidMeasurement, Measurement, MeasurementMetadata
from .polling import PollingPause, UnavailableError

FILES_MAX: Final = 100_000
"""Files of a folder that are tracked; more is reported as a problem.  Bounds memory and the time of
a scan.  Chosen by hand; effect not measured."""

FILE_BYTES_MAX: Final = 64 << 20
"""Largest file that is read.  Bounds memory; chosen by hand, effect not measured."""

UNFINISHED: Final = (".part", ".tmp", ".crdownload", ".swp")
"""Suffixes of files that other programs have not finished writing."""

SAVE_INTERVAL_S: Final = 30.0
"""Seconds between saves of the seen files, which limits writes to flash storage; a crash repeats at
most this much.  Chosen by hand."""

FileVersion = tuple[int, int]
"""Modification time in nanoseconds, and size.  A file that is written again has a new version."""


class SeenFiles:
    """The files that were read, by name and version, kept across restarts.

    A crash loses the entries since the last save: those files are read again, under the same ids.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._versions = _load_versions(path)
        self._changed = False
        self._saved_s = time.monotonic()

    def holds(self, name: str, version: FileVersion) -> bool:
        """Return whether this version of a file was read."""
        return self._versions.get(name) == version

    def add(self, name: str, version: FileVersion) -> None:
        """Record that a file was read."""
        self._versions[name] = version
        self._changed = True

    def retain(self, names: Container[str]) -> None:
        """Remove files that no longer exist."""
        gone = [name for name in self._versions if name not in names]
        for name in gone:
            del self._versions[name]
        self._changed = self._changed or bool(gone)

    def save_if_due(self) -> None:
        """Save changes, at most every `SAVE_INTERVAL_S`; raises OSError."""
        if time.monotonic() - self._saved_s > SAVE_INTERVAL_S:
            self.save()

    def save(self) -> None:
        """Save changes; raises OSError."""
        self._saved_s = time.monotonic()
        if self._changed:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._path, msgspec.json.encode(self._versions).decode())
            self._changed = False


def _load_versions(path: Path) -> dict[str, FileVersion]:
    """Load the saved versions; none if they cannot be read, so that all files are read again."""
    try:
        # Opening a pipe would block.
        text = path.read_bytes() if path.is_file() else b"{}"
        return msgspec.json.decode(text, type=dict[str, FileVersion])
    except (OSError, ValueError, RecursionError):
        return {}


class FolderSource:
    """Reads the files of a folder once they no longer change, oldest first.

    `live` is False: files wait on disk.  base: folder of relative paths.  state: records the files
    read, so that kept files are not read again after a restart.  read_time: returns when the
    content of a file was captured, None for the time of the file.
    """

    live = False
    problem = ""

    def __init__(
        self,
        stream: str,
        settings: FolderStream,
        base: Path,
        state: Path,
        *,
        read_time: Callable[[bytes], int | None] = lambda _: None,
    ) -> None:
        self._stream, self._settings, self._read_time = stream, settings, read_time
        self.path = (base / settings.path).expanduser()
        self._seen = SeenFiles(state)
        self._settling: dict[str, tuple[FileVersion, float]] = {}

    def read(self, pause: PollingPause) -> Iterator[Measurement | InvalidMeasurement]:
        """See `PollingReader`."""
        try:
            while not pause.stopped:
                for name, version in self._settled():
                    found = self._load(name, version)
                    if found is not None:
                        yield found
                    self._seen.add(name, version)
                    if isinstance(found, InvalidMeasurement):
                        self._dispose(name, "failed")
                self._seen.save_if_due()
                pause.wait(self._settings.every_s)
        finally:
            self._seen.save()

    def delivered(
        self, measurement: Measurement, outcome: Literal["done", "failed"] = "done"
    ) -> None:
        """See `PollingReader`.  outcome: failed for a file without any measurement."""
        name, _, _ = measurement.metadata.id.removeprefix(f"{self._stream}:").rpartition("@")
        self._dispose(name, outcome)

    def _settled(self) -> list[tuple[str, FileVersion]]:
        """Return the unread files that have not changed for `settle_s`, oldest first.

        The time is measured here, on the monotonic clock: the clock that dates files may jump.
        """
        try:
            found = dict(self._list())
        except OSError as error:
            raise UnavailableError(f"reading the folder {self.path}: {error.strerror}") from error
        if len(found) > FILES_MAX:
            raise UnavailableError(f"the folder {self.path} holds more than {FILES_MAX} files")
        self._seen.retain(found)
        now_s, before = time.monotonic(), self._settling
        unread = {name: one for name, one in found.items() if not self._seen.holds(name, one)}
        self._settling = {
            name: before[name]
            if name in before and before[name][0] == version
            else (version, now_s)
            for name, version in unread.items()
        }
        due = now_s - self._settings.settle_s
        ready = [(name, version) for name, (version, at_s) in self._settling.items() if at_s <= due]
        return sorted(ready, key=lambda one: (one[1][0], one[0]))

    def _list(self) -> Iterator[tuple[str, FileVersion]]:
        with os.scandir(self.path) as entries:
            for entry in entries:
                hidden = entry.name.startswith(".") or entry.name.endswith(UNFINISHED)
                if hidden or not fnmatch.fnmatchcase(entry.name, self._settings.pattern):
                    continue
                # A file that vanishes, or a link that points to itself: read the others.
                with suppress(OSError):
                    if entry.is_file():
                        stat = entry.stat()
                        yield entry.name, (stat.st_mtime_ns, stat.st_size)

    def _load(self, name: str, version: FileVersion) -> Measurement | InvalidMeasurement | None:
        """Read a file; None if it has vanished."""
        path = self.path / name
        key = f"{self._stream}:{name}@{version[0]}"
        if len(key) > TEXT_CHARS_MAX or not key.isprintable():
            return InvalidMeasurement(
                f"the file name {name[:60]!r} is too long or not printable", "rename the file"
            )
        if version[1] > FILE_BYTES_MAX:
            return InvalidMeasurement(
                f"{name}: {version[1]} bytes", f"use files of at most {FILE_BYTES_MAX} bytes"
            )
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            return InvalidMeasurement(f"{name}: {error.strerror}", "check the file's permissions")
        taken_ns = self._read_time(data)
        at_ns = max(0, version[0]) if taken_ns is None else taken_ns
        return Measurement(
            self._stream, data, MeasurementMetadata(key, self._settings.subject, None, at_ns)
        )

    def _dispose(self, name: str, outcome: str) -> None:
        """Keep, delete or move a file, as configured.  If that fails, the file stays, and is not
        read again."""
        path = self.path / name
        try:
            if self._settings.after == "delete" and outcome == "done":
                path.unlink(missing_ok=True)
            elif self._settings.after != "keep":
                (self.path / outcome).mkdir(exist_ok=True)
                with suppress(FileNotFoundError):
                    path.replace(self.path / outcome / name)
            self.problem = ""
        except OSError as error:
            self.problem = (
                f"a file that was read cannot be moved or deleted: {path}: {error.strerror}"
            )
