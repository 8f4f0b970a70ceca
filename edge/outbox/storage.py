"""The outbox on disk: one SQLite file, written in groups.

Commits come in two classes: `durable` ones wait for fsync (WAL, synchronous FULL), others do not
(NORMAL): a power cut may cost the last of these, but never tears one.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from ..storage import guard_errors, open_database, transaction
from . import schema
from .entry import OVERHEAD_BYTES, OutboxEntry, OutboxLoss

COLUMNS: Final = "sequence, kept, topic, body, keys, correlation, retain, age_ns"
INSERT: Final = f"INSERT OR REPLACE INTO entries ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
KEYS_SIZE: Final = "LENGTH(REPLACE(keys, char(10), ''))"
SIZE: Final = f"LENGTH(body) + LENGTH(topic) + {OVERHEAD_BYTES} + {KEYS_SIZE}"
"""As `OutboxEntry.nbytes`."""
LOG_BYTES_MAX: Final = 4 << 20
PRIVATE: Final = 0o077

Row = tuple[int, int, str, bytes, str, bytes, int, int]
_TYPES: Final = [int, int, str, bytes, str, bytes, int, int]
_BROKEN: Final = re.compile(r"[\ud800-\udfff]")
"""What `_text` makes of bytes that are no text."""
_TOPIC: Final = re.compile(r"[^+#\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


class OutboxWrite(msgspec.Struct):
    """What one commit writes.  losses: all there are now, or None where they are unchanged."""

    coming: list[OutboxEntry] = msgspec.field(default_factory=list)
    going: list[int] = msgspec.field(default_factory=list)
    losses: list[OutboxLoss] | None = None
    marks: dict[str, str] = msgspec.field(default_factory=dict)


class StoredOutbox(msgspec.Struct):
    """What the file holds: entries and bytes, those that are never dropped included."""

    entries: int = 0
    nbytes: int = 0
    kept_bytes: int = 0


class OutboxStorage:
    """The file, open for writing.  Every method raises StateError where the disk fails."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with guard_errors(path, "opening the outbox"), _private():
            self._db = open_database(path, writable=True, layout=schema)
            self._db.execute(f"PRAGMA journal_size_limit={LOG_BYTES_MAX}")
        # Text that damage made unreadable must not keep the rows beside it from being read.
        self._db.text_factory = _text
        self._durable = True

    def commit(self, change: OutboxWrite, *, durable: bool) -> None:
        """Write a change as a whole.  durable: wait until the disk has it."""
        self._wait_for_disk(durable=durable)
        with transaction(self._db, self.path, "writing the outbox") as db:
            if change.going:
                rows = [(sequence,) for sequence in change.going]
                db.executemany("DELETE FROM entries WHERE sequence = ?", rows)
            if change.coming:
                db.executemany(INSERT, map(_row_of, change.coming))
            if change.losses is not None:
                db.execute("DELETE FROM losses")
                losses = [(one.first, one.last, one.count, one.reason) for one in change.losses]
                db.executemany("INSERT INTO losses VALUES (?, ?, ?, ?)", losses)
            if change.marks:
                rows_of_marks = list(change.marks.items())
                db.executemany("INSERT OR REPLACE INTO marks VALUES (?, ?)", rows_of_marks)

    def marks(self) -> dict[str, str]:
        """Return the named values."""
        return dict(self._rows("SELECT name, value FROM marks"))

    def losses(self) -> list[OutboxLoss]:
        """Return the ranges lost and not told yet."""
        return [
            OutboxLoss(*row) for row in self._rows("SELECT first, last, count, reason FROM losses")
        ]

    def page(self, after: int, before: int, count: int) -> list[OutboxEntry]:
        """Return the oldest entries with numbers between two others, both excluded."""
        return self._entries("sequence > ? AND sequence < ?", (after, before), count)

    def droppable(self, count: int) -> list[OutboxEntry]:
        """Return the oldest entries that may be dropped."""
        return self._entries("kept = 0", (), count)

    def expired(self, before_ns: int, count: int) -> list[OutboxEntry]:
        """Return the oldest entries that may be dropped and came before a moment."""
        return self._entries("kept = 0 AND age_ns < ?", (before_ns,), count)

    def numbers(self, first: int) -> list[int]:
        """Return the numbers of entries from one on, in order."""
        asked = "SELECT sequence FROM entries WHERE sequence >= ? ORDER BY sequence"
        return [row[0] for row in self._rows(asked, (first,))]

    def held(self) -> StoredOutbox:
        """Count what the file holds; reads all of it."""
        rows = self._rows(
            f"SELECT COUNT(*), COALESCE(SUM({SIZE}), 0),"
            f" COALESCE(SUM(kept * ({SIZE})), 0) FROM entries"
        )
        return StoredOutbox(*rows[0])

    def scrub(self) -> None:
        """Rebuild the file and cut its log, so that nothing of deleted rows is left in either."""
        self._wait_for_disk(durable=True)
        with guard_errors(self.path, "overwriting what was forgotten in"):
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def close(self) -> None:
        """Close the file; SQLite then merges the log into it."""
        self._db.close()

    def _wait_for_disk(self, *, durable: bool) -> None:
        if durable != self._durable:
            self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._durable = durable

    def _entries(self, where: str, values: tuple[int, ...], count: int) -> list[OutboxEntry]:
        asked = f"SELECT {COLUMNS} FROM entries WHERE {where} ORDER BY sequence LIMIT {count:d}"
        return [_entry_of(row) for row in self._rows(asked, values)]

    def _rows(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with guard_errors(self.path, "reading"):
            return self._db.execute(sql, values).fetchall()


@contextmanager
def _private() -> Iterator[None]:
    """Let files that are made be readable for their owner alone."""
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
    """Make an entry of a row; one without a topic where damage left nothing to send."""
    sequence, kept, topic, body, keys, correlation, retain, age_ns = row
    if list(map(type, row)) != _TYPES or not _TOPIC.fullmatch(topic) or _BROKEN.search(keys):
        return OutboxEntry(sequence, "", b"", historical=True)
    named = tuple(keys.split("\n")) if keys else ()
    return OutboxEntry(
        sequence, topic, body, bool(kept), named, correlation, bool(retain), age_ns, historical=True
    )
