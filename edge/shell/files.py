"""Opening database files safely: locks, versions, migrations, and errors a person can act on."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core import StateCorruptError, StateError, StateVersionError
from . import schema

BUSY_TIMEOUT_S = 5.0
HEADER = b"SQLite format 3\x00"


class WriterLock:
    """Held while a store is open for writing: one writer a file; the kernel frees it at death."""

    def __init__(self, path: Path) -> None:
        lock = path.with_name(path.name + ".lock")
        try:
            self._file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(
                f"locking {path}: {error.strerror}",
                "check that the folder exists and can be written",
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise StateError(
                f"opening {path}: another process has it open for writing",
                "stop that process, or open it for reading",
            ) from error

    def release(self) -> None:
        """Let others write."""
        os.close(self._file)


@contextmanager
def guarded(path: Path, doing: str) -> Iterator[None]:
    """Turn SQLite's errors into StateError, with what was being done and what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StateError(f"{doing} {path}: {error}", _hint(str(error))) from error
    except sqlite3.DatabaseError as error:
        raise StateCorruptError(
            f"{doing} {path}: {error}", "keep the damaged file; put the last backup in its place"
        ) from error


def _hint(reason: str) -> str:
    if "full" in reason:
        return "make room on the disk; nothing of this change was kept"
    if "locked" in reason:
        return "another process holds the file; try again"
    if "readonly" in reason or "unable to open" in reason:
        return "check the file's and its folder's permissions"
    return "check the disk; see `auricle verify`"


def open_database(path: Path, *, writable: bool) -> sqlite3.Connection:
    """Open a knowledge file, migrating an older layout after copying it aside.

    Raises StateVersionError for a newer layout and StateCorruptError for a file that is none of
    ours; neither is touched.
    """
    _check_header(path)
    mode = "rwc" if writable else "ro"
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    db = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        _check_version(path, db)
        if writable:
            _prepare(path, db)
    except BaseException:
        db.close()
        raise
    return db


def _check_header(path: Path) -> None:
    if path.exists() and path.stat().st_size:
        with path.open("rb") as file:
            if file.read(len(HEADER)) != HEADER:
                raise StateCorruptError(
                    f"opening {path}: it is not a knowledge file", "check the path"
                )


def _check_version(path: Path, db: sqlite3.Connection) -> None:
    found = db.execute("PRAGMA user_version").fetchone()[0]
    application = db.execute("PRAGMA application_id").fetchone()[0]
    tables = db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
    if tables and application != schema.APPLICATION_ID:
        raise StateCorruptError(
            f"opening {path}: it is a database of another program", "check the path"
        )
    if found > schema.version():
        raise StateVersionError(
            f"opening {path}: its layout is version {found}, this program knows up to"
            f" {schema.version()}",
            "install a newer auricle; the file was not touched",
        )


def _prepare(path: Path, db: sqlite3.Connection) -> None:
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if 0 < found < schema.version():
        aside = path.with_name(f"{path.name}.v{found}")
        aside.unlink(missing_ok=True)
        db.execute("VACUUM INTO ?", (str(aside),))
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA secure_delete=ON")
    if found < schema.version():
        schema.migrate(db, found)
