"""Opening database files safely: locks, versions, transactions, and errors to act on."""

import fcntl
import os
import re
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
"""Where the header of an SQLite file holds `user_version`, the highest byte first."""
_LOST = re.compile("no such (table|column)|has no column")
"""What SQLite calls an error of the asker: a layout that damage has changed."""


class DatabaseLayout(Protocol):
    """A module like `schema`: whose file it is, its newest version, and the way there."""

    APPLICATION_ID: int

    def version(self) -> int:
        """Return the newest version."""

    def migrate(self, db: sqlite3.Connection, found: int) -> None:
        """Bring a file from version `found` to the newest."""


class WriterLock:
    """Held while a store is open for writing: one writer a file; the kernel frees it at death."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".lock")
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
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
                "stop it; a running daemon takes `auricle command` and `auricle label` instead",
            ) from error

    def release(self) -> None:
        """Let others write."""
        os.close(self._file)

    def discard(self) -> None:
        """Remove the lock of a file that did not come about."""
        self._path.unlink(missing_ok=True)
        self.release()


@contextmanager
def guard_errors(path: Path, doing: str) -> Iterator[None]:
    """Turn SQLite's and the system's errors into StateError: what was being done, what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        passing = isinstance(error, sqlite3.OperationalError) and not _LOST.search(str(error))
        if passing:
            raise StateError(f"{doing} {path}: {error}", _hint(str(error))) from error
        raise StateCorruptError(
            f"{doing} {path}: {error}", "keep the damaged file; put the last backup in its place"
        ) from error
    except OSError as error:
        raise StateError(f"{doing} {path}: {error.strerror}", _hint(str(error))) from error


@contextmanager
def transaction(db: sqlite3.Connection, path: Path, doing: str) -> Iterator[sqlite3.Connection]:
    """BEGIN IMMEDIATE ... COMMIT, rolled back as a whole on any error or interrupt."""
    with guard_errors(path, f"{doing} in"):
        try:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        except BaseException:
            # SQLite may have rolled back already, or be unable to; the log's uncommitted end is
            # ignored in either case, so the first error is the one to tell.
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise


def open_database(
    path: Path, *, writable: bool, layout: DatabaseLayout = schema
) -> sqlite3.Connection:
    """Open a database file, migrating an older layout after copying it aside.

    One opened for reading shows one state of the file until it is closed, whatever others write.
    Raises StateVersionError for a newer layout and StateCorruptError for a file that is none of
    ours; neither is touched.
    """
    _check_header(path)
    fresh = writable and not os.path.lexists(path)
    db = _connect(path, "mode=rwc") if writable else _connect(path, "mode=ro")
    try:
        if not writable:
            db = _hold_view(db, path)
        _check_version(path, db, layout, writable=writable)
        if writable:
            _prepare(path, db, layout)
    except BaseException:
        db.close()
        if fresh:
            _unmake(path)
        raise
    return db


def _unmake(path: Path) -> None:
    """Remove a file that SQLite made and had no room to write a byte of: the next try would take
    it for a damaged one."""
    with suppress(OSError):
        if not path.stat().st_size:
            path.unlink()


def copy_updated(path: Path, target: Path) -> Path:
    """Return a file that this program can read: `path` itself, or, where its layout is older, a
    copy of it in `target`, brought up to date."""
    if not path.is_file():
        return path
    _check_header(path)
    with path.open("rb") as file:
        found = int.from_bytes(file.read(HEADER_BYTES)[VERSION_AT], "big")
    if not 0 < found < schema.version():
        return path
    with closing(_connect(path, "mode=ro")) as db:
        _check_version(path, db, schema, writable=True)
        db.execute("VACUUM INTO ?", (str(target),))
    with closing(_connect(target, "mode=rw")) as copy:
        schema.migrate(copy, found)
    return target


def hold_lock(db: sqlite3.Connection) -> None:
    """Read one state of the file from now on."""
    db.execute("BEGIN")
    db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()


def _connect(path: Path, query: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{query}"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)


def _hold_view(db: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """Read one state from now on.  In a folder that cannot be written SQLite finds no place for
    its index of the log; where there is no log either, the file is complete as it lies."""
    try:
        hold_lock(db)
    except sqlite3.OperationalError:
        log = path.with_name(path.name + "-wal")
        if os.access(path.absolute().parent, os.W_OK) or (log.exists() and log.stat().st_size):
            raise
        db.close()
        db = _connect(path, "mode=ro&immutable=1")
        hold_lock(db)
    return db


def _check_header(path: Path) -> None:
    if not path.exists():
        return
    found = _begins(path)
    # SQLite takes a file without a byte for an empty database, and would make it one of ours.
    if found != HEADER:
        what = "it is not a knowledge file" if found else "it is empty, without a byte"
        what = "it is no file" if found is None else what
        raise StateCorruptError(
            f"opening {path}: {what}", "check the path, or put the last backup in its place"
        )


def _begins(path: Path) -> bytes | None:
    """Return a file's first bytes; None for what is none (opening a pipe would wait for ever)."""
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
            f"opening {path}: its layout has no version", "put the last backup in its place"
        )
    if found > layout.version():
        raise StateVersionError(
            f"opening {path}: its layout is version {found}, this program knows up to"
            f" {layout.version()}",
            "install a newer auricle; the file was not touched",
        )
    if found < layout.version() and not writable:
        raise StateError(
            f"opening {path} for reading: its layout is version {found}, older than this"
            f" program's {layout.version()}",
            "open it for writing once: it is copied aside and brought up to date",
        )


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _prepare(path: Path, db: sqlite3.Connection, layout: DatabaseLayout) -> None:
    found = _version(db)
    if 0 < found < layout.version():
        _copy_aside(path, db, found)
    if not found:
        db.execute(f"PRAGMA page_size={PAGE_BYTES}")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA secure_delete=ON")
    if found < layout.version():
        layout.migrate(db, found)
    # SQLite opens a file for reading where it may not write, and says so with the first write
    # only: this one changes nothing, and never reaches the disk.
    db.execute("BEGIN IMMEDIATE")
    db.execute(f"PRAGMA user_version={layout.version()}")
    db.execute("ROLLBACK")


def _copy_aside(path: Path, db: sqlite3.Connection, found: int) -> None:
    fresh = path.with_name(f"{path.name}.v{found}.new")
    fresh.unlink(missing_ok=True)
    db.execute("VACUUM INTO ?", (str(fresh),))
    replace_file(fresh, path.with_name(f"{path.name}.v{found}"), private=True)


def _hint(reason: str) -> str:
    if "full" in reason or "No space" in reason:
        return "make room on the disk; nothing of this change was kept"
    if "locked" in reason:
        return "another process holds the file; try again"
    if "No such file" in reason or "unable to open" in reason:
        return "check that the folder exists and can be written"
    if "readonly" in reason or "ermission" in reason:
        return "check the file's and its folder's permissions"
    return "check the disk and the room on it; see `auricle verify`"
