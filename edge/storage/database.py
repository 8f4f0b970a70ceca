"""SQLite files opened safely: writer lock, layout version, transactions, and errors with hints."""

import fcntl
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from ..core import StateCorruptError, StateError, StateVersionError
from . import schema
from .durable_files import replace_file

BUSY_TIMEOUT_S = 5.0
"""How long SQLite waits for a lock; also the default of Python's sqlite3."""
PAGE_BYTES = 8192
"""A page of the default 4 KiB holds one fact of the shipped encoder and wastes half of itself."""
HEADER = b"SQLite format 3\x00"
HEADER_BYTES = 100
"""Length of the header (SQLite file format, section 1.3)."""
VERSION_AT = slice(60, 64)
"""Bytes of the header that hold `user_version`, big endian (SQLite file format, section 1.3)."""
_LOST = re.compile("no such (table|column)|has no column")
"""Messages that SQLite reports as errors of the caller, but that here mean a damaged layout."""


class DatabaseLayout(Protocol):
    """A module like `schema`: the application id, the newest version, and the migrations to it."""

    APPLICATION_ID: int

    def version(self) -> int:
        """Return the newest version."""

    def migrate(self, db: sqlite3.Connection, found: int) -> None:
        """Bring a file from version `found` to the newest."""


class WriterLock:
    """The lock of a store that is open for writing: one writer for each file.  The kernel releases
    it when the process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".lock")
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(
                f"locking {path}: {error.strerror}",
                "check that the folder exists and is writable",
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise StateError(
                f"opening {path}: another process has it open for writing",
                "stop it; while a daemon runs, use `auricle command` and `auricle label`",
            ) from error

    def release(self) -> None:
        """Release the lock."""
        os.close(self._file)

    def discard(self) -> None:
        """Release and remove the lock of a file whose creation failed."""
        self._path.unlink(missing_ok=True)
        self.release()


@contextmanager
def guard_errors(path: Path, doing: str) -> Iterator[None]:
    """Raise SQLite's and the system's errors as StateError, with the action and a hint."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        passing = isinstance(error, sqlite3.OperationalError) and not _LOST.search(str(error))
        if passing:
            raise StateError(f"{doing} {path}: {error}", _hint(str(error), path)) from error
        raise StateCorruptError(
            f"{doing} {path}: {error}", "keep the damaged file and restore the last backup"
        ) from error
    except OSError as error:
        raise StateError(f"{doing} {path}: {error.strerror}", _hint(str(error), path)) from error


@contextmanager
def transaction(db: sqlite3.Connection, path: Path, doing: str) -> Iterator[sqlite3.Connection]:
    """BEGIN IMMEDIATE ... COMMIT, rolled back as a whole on any error or interrupt."""
    with guard_errors(path, f"{doing} in"):
        try:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        except BaseException:
            # SQLite may have rolled back already, or be unable to.  Either way it ignores the
            # uncommitted end of the log, so the first error is the one to report.
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise


def open_database(
    path: Path, *, writable: bool, layout: DatabaseLayout = schema
) -> sqlite3.Connection:
    """Open a database file; migrate an older layout after backing it up.

    A file opened for reading shows one snapshot until it is closed.  Raises StateVersionError for a
    newer layout and StateCorruptError for any other file, and changes neither.
    """
    _check_header(path)
    fresh = writable and not os.path.lexists(path)
    db = connect(path, "mode=rwc") if writable else connect(path, "mode=ro")
    try:
        if not writable:
            db = _open_snapshot(db, path)
        _check_version(path, db, layout, writable=writable)
        if writable:
            _prepare(path, db, layout)
    except BaseException:
        db.close()
        if fresh:
            _remove_empty(path)
        raise
    return db


def _remove_empty(path: Path) -> None:
    """Remove a file that SQLite created but had no space to write: the next attempt would report it
    as damaged."""
    with suppress(OSError):
        if not path.stat().st_size:
            path.unlink()


def copy_updated(path: Path, target: Path) -> Path:
    """Return a file with the newest layout: `path` itself, or a migrated copy of it at `target`."""
    if not path.is_file():
        return path
    _check_header(path)
    with path.open("rb") as file:
        found = int.from_bytes(file.read(HEADER_BYTES)[VERSION_AT], "big")
    if not 0 < found < schema.version():
        return path
    with closing(connect(path, "mode=ro")) as db:
        _check_version(path, db, schema, writable=True)
        db.execute("VACUUM INTO ?", (str(target),))
    with closing(connect(target, "mode=rw")) as copy:
        schema.migrate(copy, found)
    return target


def begin_snapshot(db: sqlite3.Connection) -> None:
    """Read one snapshot of the file from now on."""
    db.execute("BEGIN")
    db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()


def connect(path: Path, query: str) -> sqlite3.Connection:
    """Open a file with the parameters of an SQLite URI, and check nothing."""
    uri = f"{path.absolute().as_uri()}?{query}"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)


def _open_snapshot(db: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """Begin a snapshot.  In a read-only folder SQLite cannot create the index of its log; if there
    is no log, the file is complete without it and opens as immutable."""
    try:
        begin_snapshot(db)
    except sqlite3.OperationalError:
        log = path.with_name(path.name + "-wal")
        if os.access(path.absolute().parent, os.W_OK) or (log.exists() and log.stat().st_size):
            raise
        db.close()
        db = connect(path, "mode=ro&immutable=1")
        begin_snapshot(db)
    return db


def _check_header(path: Path) -> None:
    if not path.exists():
        return
    found = _first_bytes(path)
    # SQLite accepts an empty file as a new database and would write our layout into it.
    if found != HEADER:
        what = "it is not a knowledge file" if found else "it is empty"
        what = "it is not a regular file" if found is None else what
        raise StateCorruptError(
            f"opening {path}: {what}", "check the path, or restore the last backup"
        )


def _first_bytes(path: Path) -> bytes | None:
    """Return a file's first bytes; None unless it is a regular file: opening a pipe would block."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return file.read(len(HEADER))


def _check_version(
    path: Path, db: sqlite3.Connection, layout: DatabaseLayout, *, writable: bool
) -> None:
    found = _version(db)
    application = db.execute("PRAGMA application_id").fetchone()[0]
    tables = db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
    if tables and application != layout.APPLICATION_ID:
        raise StateCorruptError(
            f"opening {path}: it is a database of another program", "check the path"
        )
    if tables and found < 1:
        raise StateCorruptError(
            f"opening {path}: its layout has no version", "restore the last backup"
        )
    if found > layout.version():
        raise StateVersionError(
            f"opening {path}: its layout is version {found}, this program supports up to"
            f" {layout.version()}",
            "install a newer auricle; the file was not changed",
        )
    if found < layout.version() and not writable:
        raise StateError(
            f"opening {path} for reading: its layout is version {found}, older than this"
            f" program's {layout.version()}",
            "start the daemon or the aggregator that writes it: it is backed up, migrated",
        )


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _prepare(path: Path, db: sqlite3.Connection, layout: DatabaseLayout) -> None:
    found = _version(db)
    if 0 < found < layout.version():
        _back_up(path, db, found)
    if not found:
        db.execute(f"PRAGMA page_size={PAGE_BYTES}")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA secure_delete=ON")
    if found < layout.version():
        layout.migrate(db, found)
    # SQLite silently opens a file without write permission for reading and fails at the first
    # write.  This write fails early; it changes nothing and never reaches the disk.
    db.execute("BEGIN IMMEDIATE")
    db.execute(f"PRAGMA user_version={layout.version()}")
    db.execute("ROLLBACK")


def _back_up(path: Path, db: sqlite3.Connection, found: int) -> None:
    fresh = path.with_name(f"{path.name}.v{found}.new")
    fresh.unlink(missing_ok=True)
    db.execute("VACUUM INTO ?", (str(fresh),))
    replace_file(fresh, path.with_name(f"{path.name}.v{found}"), private=True)


def _hint(reason: str, path: Path) -> str:
    # Where the index of the log does not fit on the disk, SQLite reports any read as an I/O error.
    full = "I/O error" in reason and _free_bytes(path) < PAGE_BYTES
    if full or "full" in reason or "No space" in reason:
        return "free space on the disk; nothing of this change was kept"
    if "locked" in reason:
        return "another process has locked the file; try again"
    if "No such file" in reason or "unable to open" in reason:
        return "check that the folder exists and is writable"
    if "readonly" in reason or "ermission" in reason:
        return "check the file's and its folder's permissions"
    return "check the disk and its free space; see `auricle verify`"


def _free_bytes(path: Path) -> int:
    """Return how much may be written beside a file; PAGE_BYTES where that is not known."""
    try:
        return shutil.disk_usage(path.absolute().parent).free
    except OSError:
        return PAGE_BYTES
