"""Checkpoints of a knowledge file: its log is written into the file, the pages that it names are
cleaned, and it is cut.

SQLite's own checkpoints are off: without cleaning they could leave copies of rows in gaps.
"""

import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from ..core import StateError
from .database import BUSY_TIMEOUT_S, begin_snapshot, connect
from .page_cleaner import PageCleaner

LOG_BYTES_MAX: Final = 8 << 20
"""Size from which the log is written into the file after a commit: 1,000 pages, as in SQLite."""

FREE_SHARE_MAX: Final = 0.5
"""Share of free pages from which the file is rebuilt after an erasure: it is at most about twice as
large as its content, and rebuilding costs no more than what was erased did."""

FREE_PAGES_MIN: Final = 128
"""Free pages that never matter: 1 MiB."""


UNSCRUBBED_HINT: Final = "the facts are out of the ledger; the next command that writes tries again"


class LogInUseError(StateError):
    """The log cannot be cut, since another process reads an earlier state of the file."""


class Checkpoints:
    """Makes the checkpoints of a file that is open for writing.  Its methods raise sqlite3.Error or
    OSError; a failure leaves the log as it is, and the next checkpoint goes on."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self._path, self._db, self._cleaner = path, db, PageCleaner(path)
        self._due_bytes = LOG_BYTES_MAX
        # A page that is cleaned in one thread must not be written in another.
        self._cleaning = threading.Lock()
        db.execute("PRAGMA wal_autocheckpoint=0")

    def finish(self, *, everything: bool = False) -> bool:
        """Write the log into the file and cut it; wait for readers.  Returns whether it is done:
        another process may still read an earlier state.  everything: clean all pages."""
        return self._checkpoint("FULL", everything=everything) and self._cut()

    def advance(self, *, everything: bool = False) -> bool:
        """As `finish`, but without waiting for readers."""
        self._set_patience(0.0)
        try:
            return self._checkpoint("PASSIVE", everything=everything) and self._cut()
        finally:
            self._set_patience(BUSY_TIMEOUT_S)

    def advance_if_due(self) -> None:
        """Advance once the log is long, and again when it has grown as much.  A failure is left to
        the next time: what was committed is in the log."""
        size = self._cleaner.log_bytes
        if size < self._due_bytes or self._cleaning.locked():
            return
        self._due_bytes = size + LOG_BYTES_MAX
        with suppress(sqlite3.Error, OSError):
            if self.advance():
                self._due_bytes = LOG_BYTES_MAX

    def prepare(self) -> None:
        """Write what was committed so far into the file and clean its pages, in another thread and
        beside transactions of the file's own connection: little is left for `finish`."""
        with self._cleaning, closing(connect(self._path, "mode=rw")) as reader:
            # While it is read, no new transaction can overwrite the frames that name the pages.
            begin_snapshot(reader)
            pages = self._cleaner.logged()
            with closing(connect(self._path, "mode=rw")) as db:
                db.execute("PRAGMA synchronous=FULL")
                db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            self._cleaner.clean(pages)

    def overwrite(self, *, waits: bool, everything: bool) -> bool:
        """Rebuild the file if much of it is free, and `finish`, or `advance` without waiting."""
        self.compact()
        return (self.finish if waits else self.advance)(everything=everything)

    def compact(self) -> None:
        """Rebuild the file if much of it is free; where there is no room for that, it stays."""
        free, pages = (
            int(self._db.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("freelist_count", "page_count")
        )
        if free > max(FREE_PAGES_MIN, FREE_SHARE_MAX * pages):
            with suppress(sqlite3.OperationalError):
                self._db.execute("VACUUM")

    def close(self) -> None:
        """Close the file; after the database was closed."""
        self._cleaner.close()

    def _checkpoint(self, mode: str, *, everything: bool) -> bool:
        with self._cleaning:
            pages = None if everything else self._cleaner.logged()
            busy, logged, written = self._db.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
            if busy or written < logged:
                return False
            self._cleaner.clean(pages)
        # The cached pages still have their gaps filled, and would be written with them.
        self._db.execute("PRAGMA shrink_memory")
        return True

    def _cut(self) -> bool:
        busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def _set_patience(self, seconds: float) -> None:
        self._db.execute(f"PRAGMA busy_timeout={int(1000 * seconds)}")
