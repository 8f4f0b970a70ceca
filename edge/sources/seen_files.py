"""Which files of a folder were read already: kept over restarts, bounded by what lies there."""

import time
from collections.abc import Container
from pathlib import Path
from typing import Final

import msgspec

from ..storage import write_text

SAVE_EVERY_S: Final = 30.0

Mark = tuple[int, int]
"""When a file last changed (nanoseconds), and its size: the same name written anew is new."""


class SeenFiles:
    """Names and marks of files.  A crash costs what was added since the last save: these files are
    read again, under the same ids."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._marks = _load(path)
        self._changed = False
        self._saved_s = time.monotonic()

    def holds(self, name: str, mark: Mark) -> bool:
        """Say whether a file was read as it is now."""
        return self._marks.get(name) == mark

    def add(self, name: str, mark: Mark) -> None:
        """Note that a file was read."""
        self._marks[name] = mark
        self._changed = True

    def keep(self, names: Container[str]) -> None:
        """Forget every file that is not there any more."""
        gone = [name for name in self._marks if name not in names]
        for name in gone:
            del self._marks[name]
        self._changed = self._changed or bool(gone)

    def save_now_and_then(self) -> None:
        """Save if there is something new and the last time was a while ago."""
        if time.monotonic() - self._saved_s > SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """Write it down where it has changed; raises OSError."""
        self._saved_s = time.monotonic()
        if self._changed:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._path, msgspec.json.encode(self._marks).decode())
            self._changed = False


def _load(path: Path) -> dict[str, Mark]:
    """Read what was saved; what cannot be read was not read, so its files are read again."""
    try:
        # Opening a pipe would wait for ever.
        held = path.read_bytes() if path.is_file() else b"{}"
        return msgspec.json.decode(held, type=dict[str, Mark])
    except (OSError, ValueError, RecursionError):
        return {}
