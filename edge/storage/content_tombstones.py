"""Tombstones of contents: hashes and sketches of what was forgotten, in the knowledge file."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from ..core import (
    CONTENTS_MAX,
    SKETCHES_MAX,
    ContentRows,
    Sketches,
    hash_content,
)

RowReader = Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]


class ContentTombstones:
    """Answers whether a content was forgotten.  keys: of the tombstones, by number."""

    def __init__(self, rows: RowReader, keys: Sequence[tuple[int, bytes]]) -> None:
        self._rows, self._keys = rows, keys
        self._sketches: tuple[Sketches, ...] | None = None

    def hold(self, features: bytes) -> bool:
        """Return whether this content, or nearly the same one, was forgotten."""
        query = "SELECT 1 FROM content_tombstones WHERE near = 0 AND key = ? AND body = ?"
        for number, key in self._keys:
            if self._rows(query, (number, hash_content(key, features))):
                return True
        if self._sketches is None:
            made = (Sketches(key, rows.sketches) for key, rows in self.every() if rows.sketches)
            self._sketches = tuple(made)
        return any(one.resemble(features) for one in self._sketches)

    def every(self) -> Iterator[tuple[bytes, ContentRows]]:
        """Yield all rows, by key."""
        query = "SELECT body FROM content_tombstones WHERE near = ? AND key = ? ORDER BY number"
        for number, key in self._keys:
            hashes = [bytes(row[0]) for row in self._rows(query, (0, number))]
            sketches = [bytes(row[0]) for row in self._rows(query, (1, number))]
            yield key, ContentRows(hashes, sketches)


def write_contents(db: sqlite3.Connection, number: int, rows: ContentRows) -> None:
    """Write rows under a key's number, and delete the oldest beyond the limits."""
    kinds = ((0, rows.hashes, CONTENTS_MAX), (1, rows.sketches, SKETCHES_MAX))
    for near, bodies, most in kinds:
        if not bodies:
            continue
        db.executemany(
            "INSERT OR IGNORE INTO content_tombstones (near, key, body) VALUES (?, ?, ?)",
            [(near, number, body) for body in bodies],
        )
        db.execute(
            "DELETE FROM content_tombstones WHERE near = ?1 AND number <= (SELECT number FROM"
            " content_tombstones WHERE near = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
            (near, most),
        )


def adopt_tombstones(
    db: sqlite3.Connection,
    ids: Iterable[tuple[bytes, list[bytes]]],
    contents: Iterable[tuple[bytes, ContentRows]],
) -> None:
    """Write the tombstones of another file: of ids and of contents, by key."""
    for key, hashes in ids:
        db.execute("INSERT OR IGNORE INTO burial_keys (key) VALUES (?)", (key,))
        rows = [(_number(db, key), tombstone) for tombstone in hashes]
        db.executemany("INSERT OR IGNORE INTO tombstones VALUES (?, ?)", rows)
    for key, content in contents:
        write_contents(db, _number(db, key), content)


def _number(db: sqlite3.Connection, key: bytes) -> int:
    row = db.execute("SELECT number FROM burial_keys WHERE key = ?", (key,)).fetchone()
    return int(row[0])
