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

HELD_LOGS_MAX: Final = 4
"""Due sizes up to which the rest of a checkpoint may be held back.  Chosen by hand: a forget that
is written in steps finishes it between two of them, so this only bounds a failure."""

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
    OSError; a failure leaves the log as it is, and the next checkpoint goes on.

    in_background: set it to True where transactions may not wait: most of a checkpoint that is due
    is then done in another thread, and the rest after the next transaction.
    """

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self._path, self._db, self._cleaner = path, db, PageCleaner(path)
        self._due_bytes = LOG_BYTES_MAX
        self._beside: threading.Thread | None = None
        self.in_background = False
        # The generation of the log, and how many of its first frames name pages that are clean, as
        # all pages are that earlier generations name; None if that is not known.
        self._cleaned: tuple[bytes, int] | None = None
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

    def advance_if_due(self, *, held: bool = False) -> None:
        """Advance once the log is long, and again when it has grown as much.  A failure is left to
        the next time: what was committed is in the log.  held: what is left to do after another
        thread is left to `finish_prepared`, unless the log gets too long."""
        size = self._cleaner.log_bytes
        if size < self._due_bytes or self._cleaning.locked():
            return
        if self.in_background and self._beside is None:
            self._beside = threading.Thread(target=self._try_to_prepare, name="checkpoint")
            self._beside.start()
            return
        if self._beside is not None and self._beside.is_alive():
            return
        if self._beside is None or not held or size >= HELD_LOGS_MAX * LOG_BYTES_MAX:
            self._finish_due(size)

    def finish_prepared(self) -> bool:
        """Do the rest of a checkpoint that was prepared in another thread; False if there is
        none.  A failure is left to the next time."""
        if self._beside is None or self._beside.is_alive():
            return False
        self._finish_due(self._cleaner.log_bytes)
        return True

    def _finish_due(self, size: int) -> None:
        self._beside = None
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
            self._cleaned, generation = None, self._cleaner.generation
            pages = self._cleaner.logged()
            with closing(connect(self._path, "mode=rw")) as db:
                db.execute("PRAGMA synchronous=FULL")
                busy, _, written = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            self._cleaner.clean(pages)
            # The snapshot is older than the list of pages, and nothing newer is written into the
            # file, so that the list names all that is.
            if not busy and written >= 0 and generation == self._cleaner.generation:
                self._cleaned = generation, written

    def _try_to_prepare(self) -> None:
        with suppress(sqlite3.Error, OSError):
            self.prepare()

    def overwrite(self, *, waits: bool, everything: bool) -> bool:
        """Rebuild the file if much of it is free, and `finish`, or `advance` without waiting."""
        if self._cleaning.locked() and not waits:
            return False
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

    def join(self) -> None:
        """Wait for a checkpoint in the background."""
        if self._beside is not None:
            self._beside.join()

    def close(self) -> None:
        """Close the file; after the database was closed."""
        self._cleaner.close()

    def _checkpoint(self, mode: str, *, everything: bool) -> bool:
        with self._cleaning:
            before, generation = self._cleaned, self._cleaner.generation
            self._cleaned, pages = None, self._cleaner.logged()
            busy, logged, written = self._db.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
            if busy or written < logged:
                return False
            if before is not None and not everything:
                # Only checkpoints write into the file.  So if the log has begun again, the last one
                # has written, and cleaned, all of the generation before.
                pages = pages[before[1] if before[0] == generation else 0 : logged]
            self._cleaner.clean(None if everything else pages)
            self._cleaned = generation, logged
        # The cached pages still have their gaps filled, and would be written with them.
        self._db.execute("PRAGMA shrink_memory")
        return True

    def _cut(self) -> bool:
        busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def _set_patience(self, seconds: float) -> None:
        self._db.execute(f"PRAGMA busy_timeout={int(1000 * seconds)}")
