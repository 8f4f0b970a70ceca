"""The outbox on disk: one SQLite file, written in groups, on a disk that may fail and recover.

Commits come in two classes: `durable` ones wait for fsync (WAL, synchronous FULL), others do not
(NORMAL): a power cut may cost the last of these, but never tears one.
"""

import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from ..core import StateCorruptError, StateError, StateVersionError
from ..storage import guard_errors, open_database, transaction
from . import schema
from .entry import OVERHEAD_BYTES, OutboxEntry, OutboxLoss

COLUMNS: Final = "sequence, kept, topic, body, keys, correlation, retain, age_ns"
INSERT: Final = f"INSERT OR REPLACE INTO entries ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
KEYS_SIZE: Final = "LENGTH(REPLACE(keys, char(10), ''))"
SIZE: Final = f"LENGTH(body) + LENGTH(topic) + {OVERHEAD_BYTES} + {KEYS_SIZE}"
"""As `OutboxEntry.nbytes`."""

LOG_BYTES_MAX: Final = 4 << 20
"""Bytes to which SQLite truncates its write-ahead log, about its size between two automatic
checkpoints (1,000 pages of 4 KiB)."""

PRIVATE: Final = 0o077
"""The umask that leaves files readable for their owner alone."""

RETRY_S: Final = (1.0, 30.0)
"""Seconds to the next attempt after a disk error: first and longest.  Chosen by hand; effect not
measured."""

SET_ASIDE: Final = "it is damaged; stop the daemon and put the file aside"

NS_PER_S: Final = 10**9
"""Nanoseconds in a second."""

Row = tuple[int, int, str, bytes, str, bytes, int, int]
T = TypeVar("T")
_TYPES: Final = [int, int, str, bytes, str, bytes, int, int]
_BROKEN: Final = re.compile(r"[\ud800-\udfff]")
"""Surrogates, into which `_text` turns bytes that are no UTF-8."""
_TOPIC: Final = re.compile(r"[^+#\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


class OutboxWrite(msgspec.Struct):
    """The content of one commit.  losses: all current ones, or None if they are unchanged."""

    added: list[OutboxEntry] = msgspec.field(default_factory=list)
    removed: list[int] = msgspec.field(default_factory=list)
    losses: list[OutboxLoss] | None = None
    marks: dict[str, str] = msgspec.field(default_factory=dict)


class StoredOutbox(msgspec.Struct):
    """Totals of the file.  kept_bytes: of entries that are never dropped."""

    entries: int = 0
    nbytes: int = 0
    kept_bytes: int = 0


class OutboxStorage:
    """The file, open for writing.  If the disk fails, `failing` has the reason, writes return False
    and reads return nothing; the file is reopened at the next write that is due.

    load: called with the storage when it is open for the first time; the methods that it needs
    (`commit`, `marks`, `losses`, `numbers`, `totals`) raise StateError.
    """

    def __init__(
        self, path: Path, clock_ns: Callable[[], int], load: Callable[["OutboxStorage"], None]
    ) -> None:
        self.path = path
        self.failing = ""
        self._clock_ns, self._load = clock_ns, load
        self._connection: sqlite3.Connection | None = None
        self._durable = True
        self._loaded = False
        self._retry_ns, self._retry_s = 0, RETRY_S[0]
        self._open()

    @property
    def resting(self) -> bool:
        """True while the disk fails and the next attempt is not due."""
        return bool(self.failing) and self._clock_ns() < self._retry_ns

    def write(self, change: OutboxWrite, *, durable: bool) -> bool:
        """Write a change as a whole; False if the disk fails."""
        if self._connection is None and not self._reopen():
            return False
        return self._attempt(lambda: self.commit(change, durable=durable), failed=False)

    def page(self, after: int, before: int, count: int) -> list[OutboxEntry]:
        """Return the oldest entries with numbers between two others, both excluded."""
        return self._entries("sequence > ? AND sequence < ?", (after, before), count)

    def droppable(self, count: int) -> list[OutboxEntry]:
        """Return the oldest entries that may be dropped."""
        return self._entries("kept = 0", (), count)

    def expired(self, before_ns: int, count: int) -> list[OutboxEntry]:
        """Return the oldest entries that may be dropped and arrived before a time."""
        return self._entries("kept = 0 AND age_ns < ?", (before_ns,), count)

    def scrub(self) -> bool:
        """Rebuild the file and truncate its log, so that no deleted row can be recovered from
        either; False if the disk fails."""
        return self._attempt(self._vacuum, failed=False)

    def close(self) -> None:
        """Close the file, if it is open; SQLite then merges the log into it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # --- for loading -----------------------------------------------------------------------------

    def commit(self, change: OutboxWrite, *, durable: bool) -> bool:
        """Write a change as a whole; returns True.  durable: wait for fsync."""
        self._set_synchronous(durable=durable)
        with transaction(self._db, self.path, "writing the outbox") as db:
            if change.removed:
                rows = [(sequence,) for sequence in change.removed]
                db.executemany("DELETE FROM entries WHERE sequence = ?", rows)
            if change.added:
                db.executemany(INSERT, map(_row_of, change.added))
            if change.losses is not None:
                db.execute("DELETE FROM losses")
                losses = [(one.first, one.last, one.count, one.reason) for one in change.losses]
                db.executemany("INSERT INTO losses VALUES (?, ?, ?, ?)", losses)
            if change.marks:
                rows_of_marks = list(change.marks.items())
                db.executemany("INSERT OR REPLACE INTO marks VALUES (?, ?)", rows_of_marks)
        return True

    def marks(self) -> dict[str, str]:
        """Return the named values."""
        return dict(self._rows("SELECT name, value FROM marks"))

    def losses(self) -> list[OutboxLoss]:
        """Return the ranges that are lost and not published yet."""
        return [
            OutboxLoss(*row) for row in self._rows("SELECT first, last, count, reason FROM losses")
        ]

    def numbers(self, first: int) -> list[int]:
        """Return the numbers of entries from one on, sorted."""
        query = "SELECT sequence FROM entries WHERE sequence >= ? ORDER BY sequence"
        return [row[0] for row in self._rows(query, (first,))]

    def totals(self) -> StoredOutbox:
        """Count the entries and their bytes.  Cost: reads the whole file."""
        rows = self._rows(
            f"SELECT COUNT(*), COALESCE(SUM({SIZE}), 0),"
            f" COALESCE(SUM(kept * ({SIZE})), 0) FROM entries"
        )
        return StoredOutbox(*rows[0])

    # --- the connection --------------------------------------------------------------------------

    @property
    def _db(self) -> sqlite3.Connection:
        assert self._connection is not None, "the file is open"
        return self._connection

    def _open(self) -> bool:
        try:
            with guard_errors(self.path, "opening the outbox"), _private():
                self._connection = db = open_database(self.path, writable=True, layout=schema)
                db.execute(f"PRAGMA journal_size_limit={LOG_BYTES_MAX}")
            # Damaged text must not keep the other rows from being read.
            db.text_factory = _text
            self._durable = True
            if not self._loaded:
                self._load(self)
                self._loaded = True
        except (StateVersionError, StateCorruptError):
            self.close()
            raise
        except (ValueError, TypeError, OverflowError) as error:
            self.close()
            raise StateCorruptError(
                f"opening the outbox {self.path}: {error}", SET_ASIDE
            ) from error
        except StateError as error:
            self._fail(error)
            return False
        self.failing = ""
        return True

    def _reopen(self) -> bool:
        """Open after a failure.  A file that proves damaged does not end the service in memory: the
        next start sets it aside."""
        try:
            return self._open()
        except StateError as error:
            self._fail(error)
            return False

    def _attempt(self, action: Callable[[], T], failed: T) -> T:
        """Run an action on the open file; returns `failed` if the disk fails."""
        if self._connection is None:
            return failed
        try:
            found = action()
        except StateError as error:
            self._fail(error)
            return failed
        self.failing, self._retry_s = "", RETRY_S[0]
        return found

    def _fail(self, error: StateError) -> None:
        """Close the file: after a failed fsync its content is unknown until it is opened again."""
        self.failing = error.message
        self._retry_ns = self._clock_ns() + int(self._retry_s * NS_PER_S)
        self._retry_s = min(2 * self._retry_s, RETRY_S[1])
        try:
            self.close()
        except sqlite3.Error:
            self._connection = None

    def _vacuum(self) -> bool:
        self._set_synchronous(durable=True)
        with guard_errors(self.path, "overwriting the forgotten entries in"):
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return True

    def _set_synchronous(self, *, durable: bool) -> None:
        if durable != self._durable:
            self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._durable = durable

    def _entries(self, where: str, values: tuple[int, ...], count: int) -> list[OutboxEntry]:
        query = f"SELECT {COLUMNS} FROM entries WHERE {where} ORDER BY sequence LIMIT {count:d}"
        empty: list[tuple[Any, ...]] = []
        rows = self._attempt(lambda: self._rows(query, values), failed=empty)
        return [_entry_of(row) for row in rows]

    def _rows(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with guard_errors(self.path, "reading"):
            return self._db.execute(sql, values).fetchall()


@contextmanager
def _private() -> Iterator[None]:
    """Create files that only their owner may read."""
    before = os.umask(PRIVATE)
    try:
        yield
    finally:
        os.umask(before)


def _row_of(entry: OutboxEntry) -> Row:
    return (
        entry.sequence,
        int(entry.kept),
        entry.topic,
        entry.body,
        "\n".join(entry.keys),
        entry.correlation,
        int(entry.retain),
        entry.age_ns,
    )


def _text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")


def _entry_of(row: tuple[Any, ...]) -> OutboxEntry:
    """Return the entry of a row, with an empty topic if damage left nothing to send."""
    sequence, kept, topic, body, keys, correlation, retain, age_ns = row
    if list(map(type, row)) != _TYPES or not _TOPIC.fullmatch(topic) or _BROKEN.search(keys):
        return OutboxEntry(sequence=sequence, topic="", body=b"", historical=True)
    return OutboxEntry(
        sequence=sequence,
        topic=topic,
        body=body,
        kept=bool(kept),
        keys=tuple(keys.split("\n")) if keys else (),
        correlation=correlation,
        retain=bool(retain),
        age_ns=age_ns,
        historical=True,
    )
