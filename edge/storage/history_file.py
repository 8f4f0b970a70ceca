"""The history of a home: what happened, for people, in a bounded SQLite file of its own.

It names streams, domains and labels, as receipts do, and never an observation, a subject or a
recording.  An event that is about observations keeps a keyed hash of each id, so that forgetting
one of them erases the event.  It is no part of the knowledge: a file that cannot be read is started
again, and a disk that fails costs events and nothing else.
"""

import hashlib
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from ..core import StateCorruptError, StateError, StateVersionError
from .database import open_database, transaction
from .durable_files import remove_file
from .schema import MigratedLayout

EVENTS_MAX: Final = 20_000
"""Events kept: at a hundred a day more than half a year, in about five megabytes."""

TRIMMED: Final = 500
"""Events beyond `EVENTS_MAX` that are deleted at once, so that not every write deletes."""

SERIES_KINDS: Final = ("change-point", "anomaly")
"""Kinds of events about a series."""

LABEL_KEPT: Final = "label-kept"
"""Kind of the events that a person has checked a label and kept it."""

HASHES_MAX: Final = 500
"""Hashes in one query; SQLite accepts 999 parameters before version 3.32."""

HASH_BYTES: Final = 16
"""Bytes of a hashed id: no two of a billion ids are alike."""

MIGRATIONS: Final = [
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE events (
        number INTEGER PRIMARY KEY,
        at_ns INTEGER NOT NULL,
        kind TEXT NOT NULL,
        stream TEXT NOT NULL,
        domain TEXT NOT NULL,
        text TEXT NOT NULL,
        fields TEXT NOT NULL
    );
    CREATE INDEX events_by_kind ON events (kind, number);
    CREATE INDEX events_by_stream ON events (stream, number);
    CREATE TABLE traces (
        hash BLOB NOT NULL,
        number INTEGER NOT NULL REFERENCES events (number),
        PRIMARY KEY (hash, number)
    ) WITHOUT ROWID;
    CREATE INDEX traces_by_number ON traces (number);
    """,
]


LAYOUT: Final = MigratedLayout(0x41554849, MIGRATIONS)
"""Of the file; the application id is 'AUHI'."""


class HistoryEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened.  text: one sentence.  fields: numbers and names behind it.  number:
    grows; 0 before it is stored.  observation_ids: those it is about, never stored."""

    at_ns: int
    kind: str
    text: str
    stream: str = ""
    domain: str = ""
    fields: dict[str, Any] = {}
    number: int = 0
    observation_ids: tuple[str, ...] = ()


class HistoryFile:
    """The file, opened at its first use, for one thread.  problem: why events could not be written,
    or ''."""

    def __init__(self, path: Path, *, writable: bool) -> None:
        self.path, self._writable = path, writable
        self.problem = ""
        self._db: sqlite3.Connection | None = None
        self._key = b""

    def append(self, events: Sequence[HistoryEvent]) -> None:
        """Write events, and delete the oldest beyond `EVENTS_MAX`.  They survive a crash of the
        process; a power cut may cost the last ones."""
        if not events or not self._writable:
            return
        try:
            db = self._open()
            with transaction(db, self.path, "writing the history") as writing:
                for one in events:
                    self._insert(writing, one)
                _trim(writing)
            self.problem = ""
        except StateError as error:
            self.problem = error.message

    def read(
        self,
        *,
        before: int = 0,
        kinds: Sequence[str] = (),
        stream: str = "",
        limit: int = 100,
    ) -> tuple[HistoryEvent, ...]:
        """Return events, newest first.  before: a number that all are below, 0 for the newest.
        kinds: empty for all.  Raises StateError if the file cannot be read."""
        if not self.path.exists():
            return ()
        terms = ["number < ?"]
        values: list[int | str] = [before or 2**62]
        if kinds:
            terms.append(f"kind IN ({', '.join('?' * len(kinds))})")
            values += kinds
        if stream:
            terms.append("stream = ?")
            values.append(stream)
        query = (
            "SELECT number, at_ns, kind, stream, domain, text, fields FROM events WHERE"
            f" {' AND '.join(terms)} ORDER BY number DESC LIMIT ?"
        )
        try:
            rows = self._open().execute(query, (*values, limit)).fetchall()
        except sqlite3.Error as error:
            raise StateError(
                f"reading {self.path}: {error}", "the history is started again if it is damaged"
            ) from error
        return tuple(_event(row) for row in rows)

    def kept_labels(self, labels: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        """Return those of some labels, as observation and name, that a person has kept.  Raises
        StateError if the file cannot be read."""
        if not self.path.exists():
            return ()
        db = self._open()
        hashes = [self._hash(key) for key, _ in labels]
        found: set[tuple[bytes, str]] = set()
        try:
            for start in range(0, len(hashes), HASHES_MAX):
                some = hashes[start : start + HASHES_MAX]
                found.update(db.execute(_kept_query(len(some)), (LABEL_KEPT, *some)))
        except sqlite3.Error as error:
            raise StateError(
                f"reading {self.path}: {error}", "the history is started again if it is damaged"
            ) from error
        pairs = zip(hashes, labels, strict=True)
        return tuple(one for hashed, one in pairs if (hashed, one[1]) in found)

    def take_back_kept(self, observation_id: str, label: str) -> None:
        """Delete the events that a label of an observation was kept.  Raises StateError if that
        fails."""
        if not self.path.exists():
            return
        with transaction(self._open(), self.path, "deleting events") as writing:
            found = writing.execute(
                f"SELECT events.number FROM ({_kept_query(1, 'events.number')}) AS events"
                " WHERE label = ?",
                (LABEL_KEPT, self._hash(observation_id), label),
            )
            _delete(writing, [row[0] for row in found])

    def erase_names(self, names: re.Pattern[bytes] | None) -> None:
        """Erase the events that name what is forgotten, and overwrite their remains.  Raises
        StateError if that fails."""
        if names is None or not self.path.exists():
            return
        db = self._open()
        rows = db.execute("SELECT number, stream, domain, text, fields FROM events").fetchall()
        # Whole names are looked for in quotes, as in the fields.
        found = [
            number
            for number, stream, domain, text, fields in rows
            if names.search(f'"{stream}" "{domain}" {text} {fields}'.encode())
        ]
        if found:
            with transaction(db, self.path, "erasing events") as writing:
                _delete(writing, found)
            self._cut_log(db)

    def erase(self, ids: Iterable[str]) -> None:
        """Erase the events that are about any of these observations, and overwrite their remains.
        Raises StateError if that fails."""
        if not self.path.exists():
            return
        db = self._open()
        if not db.execute("SELECT 1 FROM traces LIMIT 1").fetchone():
            return
        hashes = [(self._hash(key),) for key in ids]
        with transaction(db, self.path, "erasing events") as writing:
            writing.execute("CREATE TEMP TABLE IF NOT EXISTS gone (hash BLOB PRIMARY KEY)")
            writing.execute("DELETE FROM gone")
            writing.executemany("INSERT OR IGNORE INTO gone VALUES (?)", hashes)
            named = "SELECT number FROM traces JOIN gone ON gone.hash = traces.hash"
            found = [row[0] for row in writing.execute(named)]
            _delete(writing, found)
            writing.execute("DELETE FROM gone")
        if found:
            self._cut_log(db)

    def erase_series(self, stream: str, from_ns: int) -> None:
        """Erase the events about a series from a time on: forgotten samples may have shaped them.
        Raises StateError if that fails."""
        if not self.path.exists():
            return
        db = self._open()
        marks = ", ".join("?" * len(SERIES_KINDS))
        query = f"SELECT number FROM events WHERE stream = ? AND at_ns >= ? AND kind IN ({marks})"
        with transaction(db, self.path, "erasing events") as writing:
            rows = writing.execute(query, (stream, from_ns, *SERIES_KINDS)).fetchall()
            _delete(writing, [row[0] for row in rows])
        if rows:
            self._cut_log(db)

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None

    def _insert(self, db: sqlite3.Connection, one: HistoryEvent) -> None:
        body = msgspec.json.encode(one.fields).decode()
        number = db.execute(
            "INSERT INTO events (at_ns, kind, stream, domain, text, fields) VALUES"
            " (?, ?, ?, ?, ?, ?)",
            (one.at_ns, one.kind, one.stream, one.domain, one.text, body),
        ).lastrowid
        rows = [(self._hash(key), number) for key in one.observation_ids]
        db.executemany("INSERT OR IGNORE INTO traces VALUES (?, ?)", rows)

    def _hash(self, key: str) -> bytes:
        return hashlib.blake2b(key.encode(), digest_size=HASH_BYTES, key=self._key).digest()

    def _open(self) -> sqlite3.Connection:
        """Return the open file; a damaged one is removed and started again."""
        if self._db is None:
            try:
                self._db = self._connect()
            except StateVersionError:
                raise
            except StateCorruptError:
                if not self._writable:
                    raise
                remove_file(self.path)
                self._db = self._connect()
        return self._db

    def _connect(self) -> sqlite3.Connection:
        db = open_database(self.path, writable=self._writable, layout=LAYOUT)
        try:
            if self._writable:
                self.path.chmod(0o600)
                # A power cut may cost the last events; no event is worth a wait for the disk.
                db.execute("PRAGMA synchronous=NORMAL")
                fresh = ("key", os.urandom(32))
                db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", fresh)
            self._key = db.execute("SELECT value FROM meta WHERE name = 'key'").fetchone()[0]
        except (sqlite3.Error, OSError, TypeError) as error:
            db.close()
            raise StateError(
                f"opening {self.path}: {error}", "check the disk and its free space"
            ) from error
        return db

    def _cut_log(self, db: sqlite3.Connection) -> None:
        """Write the log into the file and cut it, so that it keeps no erased event."""
        busy = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise StateError(
                f"truncating the log of {self.path}: another process is reading it",
                "close it, then send the request again",
            )


def _kept_query(hashes: int, chosen: str = "hash") -> str:
    """Return a query for events that labels were kept.  hashes: how many it takes."""
    marks = ", ".join("?" * hashes)
    return (
        f"SELECT {chosen}, json_extract(fields, '$.label') AS label FROM events"
        f" JOIN traces ON traces.number = events.number WHERE kind = ? AND hash IN ({marks})"
    )


def _delete(db: sqlite3.Connection, numbers: Sequence[int]) -> None:
    rows = [(number,) for number in numbers]
    db.executemany("DELETE FROM events WHERE number = ?", rows)
    db.executemany("DELETE FROM traces WHERE number = ?", rows)


def _trim(db: sqlite3.Connection) -> None:
    first, last = db.execute("SELECT MIN(number), MAX(number) FROM events").fetchone()
    if first is not None and last - first >= EVENTS_MAX + TRIMMED:
        most = last - EVENTS_MAX
        db.execute("DELETE FROM events WHERE number <= ?", (most,))
        db.execute("DELETE FROM traces WHERE number <= ?", (most,))


def _event(row: Iterable[Any]) -> HistoryEvent:
    number, at_ns, kind, stream, domain, text, fields = row
    return HistoryEvent(
        number=number,
        at_ns=at_ns,
        kind=kind,
        stream=stream,
        domain=domain,
        text=text,
        fields=msgspec.json.decode(fields),
    )


def events_as_data(events: Iterable[HistoryEvent]) -> Iterator[dict[str, Any]]:
    """Yield events as plain data, without ids."""
    for one in events:
        made = msgspec.to_builtins(one)
        made.pop("observation_ids")
        yield made
