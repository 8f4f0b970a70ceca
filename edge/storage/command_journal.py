"""The journal of answered commands: each id is carried out once, however often it is sent.

The mark of a command is written in the very transaction of what it changes, its answer afterwards.
So after a crash in between, a repeated command is known to be done.  Ids and payloads are kept as
keyed hashes, and an erasure drops all answers: the journal names nothing that was forgotten.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from .rows import tombstone_row

ENTRIES_MAX: Final = 1_024
"""Commands whose ids are known; the oldest that may no longer come again make room."""

KEPT_DAYS: Final = 30
"""How long a command without an expiry is known."""

ANSWER_BYTES_MAX: Final = 65_536
"""Longest answer kept: 1,024 of them take at most 64 MiB of the file.  Chosen by hand; effect not
measured."""
DAY_NS: Final = 86_400 * 10**9  # nanoseconds in a day

Transaction = Callable[[str], AbstractContextManager[sqlite3.Connection]]
Rows = Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """What the journal knows a command by.  expires_at_ns: 0 where it does not expire."""

    id: str
    verb: str
    payload: bytes = field(repr=False)
    at_ns: int = 0
    expires_at_ns: int = 0


@dataclass(frozen=True, slots=True)
class AnsweredCommand:
    """A command of this id that was carried out.  same: it was this very command.  answer: None
    where it was lost in a crash, or dropped by an erasure."""

    same: bool
    done: bool
    answer: bytes | None = field(repr=False)


class CommandJournal:
    """The table `commands` of a knowledge file.  key: what ids are hashed with."""

    def __init__(self, rows: Rows, change: Transaction, key: bytes) -> None:
        self._rows, self._change, self._key = rows, change, key
        self._current: JournalEntry | None = None

    def find(self, command: JournalEntry) -> AnsweredCommand | None:
        """Return what became of a command of this id, or None where it is new."""
        rows = self._rows(
            "SELECT payload, done, answer FROM commands WHERE id = ?",
            (tombstone_row(self._key, command.id),),
        )
        if not rows:
            return None
        payload, done, answer = rows[0]
        return AnsweredCommand(payload == self._payload(command), bool(done), answer)

    def newest_ns(self) -> int:
        """The newest time at which a command was answered, 0 where none was."""
        return int(self._rows("SELECT COALESCE(MAX(at_ns), 0) FROM commands", ())[0][0])

    def make_room(self, now_ns: int) -> bool:
        """Drop what may no longer come again, as far as there are too many; False where all may."""
        ((held,),) = self._rows("SELECT COUNT(*) FROM commands", ())
        if held < ENTRIES_MAX:
            return True
        with self._change("making room in the journal of commands") as db:
            db.execute(
                "DELETE FROM commands WHERE id IN (SELECT id FROM commands"
                " WHERE expires_at_ns < ?1 ORDER BY at_ns LIMIT ?2)",
                (now_ns, 1 + held - ENTRIES_MAX),
            )
        ((left,),) = self._rows("SELECT COUNT(*) FROM commands", ())
        return bool(left < ENTRIES_MAX)

    @contextmanager
    def marking(self, command: JournalEntry) -> Iterator[None]:
        """Mark a command as done together with what is changed meanwhile."""
        self._current = command
        try:
            yield
        finally:
            self._current = None

    def mark(self, db: sqlite3.Connection) -> None:
        """Write the mark of the command that is being carried out, if any, in a transaction."""
        if self._current is not None:
            self._write(db, self._current, None, done=True)

    def record(self, command: JournalEntry, answer: bytes, *, done: bool) -> None:
        """Write an answer, durably; long ones are not kept, only that there was one."""
        with self._change("recording the answer to a command") as db:
            kept = answer if len(answer) <= ANSWER_BYTES_MAX else None
            self._write(db, command, kept, done=done)
            old_ns = command.at_ns - KEPT_DAYS * DAY_NS
            db.execute(
                "DELETE FROM commands WHERE at_ns < ? AND expires_at_ns < ?",
                (old_ns, command.at_ns),
            )

    def _write(
        self, db: sqlite3.Connection, command: JournalEntry, answer: bytes | None, *, done: bool
    ) -> None:
        db.execute(
            "INSERT OR REPLACE INTO commands VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                tombstone_row(self._key, command.id),
                self._payload(command),
                command.verb,
                command.at_ns,
                command.expires_at_ns,
                done,
                answer,
            ),
        )

    def _payload(self, command: JournalEntry) -> bytes:
        return tombstone_row(self._key, command.payload.hex())


def drop_answers(db: sqlite3.Connection) -> None:
    """Drop all answers, within an erasure: they may name what goes."""
    db.execute("UPDATE commands SET answer = NULL")
