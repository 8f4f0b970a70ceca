"""A watched folder: every file that appears in it is a measurement."""

import fnmatch
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from ..config import FolderStream
from ..core import TEXT_CHARS_MAX
from .measurement import InvalidMeasurement, Measurement, RawPayload
from .polling import PollingPause, UnavailableError
from .seen_files import Mark, SeenFiles

FILES_MAX: Final = 100_000
"""Files of a folder that are kept account of; more is said as trouble."""

FILE_BYTES_MAX: Final = 64 << 20
UNFINISHED: Final = (".part", ".tmp", ".crdownload", ".swp")
"""Endings under which other programs write what is not complete yet."""


class FolderSource:
    """Reads the files of a folder that have settled, oldest first.  `live` is False: what waits on
    the disk is not lost by waiting.

    base: what a relative path starts from.  memory: file that remembers what was read, so that
    files that are kept are not read again after a restart.
    """

    live = False
    problem = ""

    def __init__(self, stream: str, settings: FolderStream, base: Path, memory: Path) -> None:
        self._stream, self._settings = stream, settings
        self.path = (base / settings.path).expanduser()
        self._memory = SeenFiles(memory)
        self._settling: dict[str, tuple[Mark, float]] = {}

    def read(self, pause: PollingPause) -> Iterator[Measurement | InvalidMeasurement]:
        """See `Reader`."""
        try:
            while not pause.over:
                for name, mark in self._settled():
                    found = self._load(name, mark)
                    if found is not None:
                        yield found
                    self._memory.add(name, mark)
                    if isinstance(found, InvalidMeasurement):
                        self._put_away(name, "failed")
                self._memory.save_now_and_then()
                pause.wait(self._settings.every_s)
        finally:
            self._memory.save()

    def taken(self, measurement: Measurement, place: Literal["done", "failed"] = "done") -> None:
        """See `Reader`.  place: failed for a file that held no measurement."""
        name, _, _ = measurement.given.id.removeprefix(f"{self._stream}:").rpartition("@")
        self._put_away(name, place)

    def _settled(self) -> list[tuple[str, Mark]]:
        """Return the files not read yet that have not changed for a while, the oldest first.

        The while is measured here: the clock that dates files may jump.
        """
        try:
            found = dict(self._listed())
        except OSError as error:
            raise UnavailableError(f"reading the folder {self.path}: {error.strerror}") from error
        if len(found) > FILES_MAX:
            raise UnavailableError(f"the folder {self.path} holds more than {FILES_MAX} files")
        self._memory.keep(found)
        now_s, before = time.monotonic(), self._settling
        fresh = {name: mark for name, mark in found.items() if not self._memory.holds(name, mark)}
        self._settling = {
            name: before[name] if name in before and before[name][0] == mark else (mark, now_s)
            for name, mark in fresh.items()
        }
        due = now_s - self._settings.settle_s
        ready = [(name, mark) for name, (mark, since_s) in self._settling.items() if since_s <= due]
        return sorted(ready, key=lambda one: (one[1][0], one[0]))

    def _listed(self) -> Iterator[tuple[str, Mark]]:
        with os.scandir(self.path) as entries:
            for entry in entries:
                hidden = entry.name.startswith(".") or entry.name.endswith(UNFINISHED)
                if hidden or not fnmatch.fnmatchcase(entry.name, self._settings.pattern):
                    continue
                # One that goes meanwhile, a link that leads in circles: the others are read.
                with suppress(OSError):
                    if entry.is_file():
                        stat = entry.stat()
                        yield entry.name, (stat.st_mtime_ns, stat.st_size)

    def _load(self, name: str, mark: Mark) -> Measurement | InvalidMeasurement | None:
        path = self.path / name
        key = f"{self._stream}:{name}@{mark[0]}"
        given = RawPayload(key, self._settings.subject, None, max(0, mark[0]))
        if len(key) > TEXT_CHARS_MAX or not key.isprintable():
            return InvalidMeasurement(
                f"the file name {name[:60]!r} is too long or odd", "rename the file"
            )
        if mark[1] > FILE_BYTES_MAX:
            return InvalidMeasurement(
                f"{name}: {mark[1]} bytes", f"at most {FILE_BYTES_MAX} are read"
            )
        try:
            return Measurement(self._stream, path.read_bytes(), given)
        except FileNotFoundError:
            return None
        except OSError as error:
            return InvalidMeasurement(f"{name}: {error.strerror}", "check the file's permissions")

    def _put_away(self, name: str, place: str) -> None:
        """Do with a file that was read what the settings say; where that fails, it is read all the
        same, and remembered."""
        path = self.path / name
        try:
            if self._settings.after == "delete" and place == "done":
                path.unlink(missing_ok=True)
            elif self._settings.after != "keep":
                (self.path / place).mkdir(exist_ok=True)
                with suppress(FileNotFoundError):
                    path.replace(self.path / place / name)
            self.problem = ""
        except OSError as error:
            self.problem = f"what was read cannot be put away: {path}: {error.strerror}"
