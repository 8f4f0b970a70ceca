"""The journal of commands: idempotency by id, also across crashes.

A command is marked as done in the transaction that makes its change, and its answer follows.  So
after a crash between the two, a repeated command is known to be done.  Ids and payloads are stored
as keyed hashes, and an erasure deletes all answers: the journal holds nothing that was forgotten.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from ..core import Effect, FrozenStruct, StoreRecalibration
from .fact_reads import RowReader
from .tables import hash_id

ENTRIES_MAX: Final = 1_024
"""Commands in the journal; expired ones are deleted to make room.  Chosen by hand; effect not
measured."""

KEPT_DAYS: Final = 30
"""Days that a command without expiry stays in the journal.  Chosen by hand; effect not measured."""

ANSWER_BYTES_MAX: Final = 65_536
"""Longest answer kept: 1,024 of them take at most 64 MiB of the file.  Chosen by hand; effect not
measured."""

ACTION_ID_CHARS: Final = 16
"""Length of an action's id in hex: 64 bits never collide among `limits.ACTIONS_MAX`."""

DAY_NS: Final = 86_400 * 10**9  # nanoseconds in a day

Transaction = Callable[[str], AbstractContextManager[sqlite3.Connection]]


class JournalEntry(FrozenStruct, frozen=True):
    """The journal's key of a command.  expires_at_ns: 0 where it does not expire."""

    id: str
    verb: str
    payload: bytes
    at_ns: int = 0
    expires_at_ns: int = 0


class AnsweredCommand(FrozenStruct, frozen=True):
    """A command with a known id.  same: its payload is identical too.  done: it was carried out.
    answer: None if a crash lost it or an erasure deleted it."""

    same: bool
    done: bool
    answer: bytes | None


class CommandJournal:
    """The table `commands` of a knowledge file.  rows: runs a query; change: opens a transaction;
    key: of the hashes."""

    def __init__(self, rows: RowReader, change: Transaction, key: bytes) -> None:
        self._rows, self._change, self._key = rows, change, key
        self.current: JournalEntry | None = None

    def find(self, command: JournalEntry) -> AnsweredCommand | None:
        """Return the answered command with this id, or None for a new id."""
        rows = self._rows(
            "SELECT payload, done, answer FROM commands WHERE id = ?",
            (hash_id(self._key, command.id),),
        )
        if not rows:
            return None
        payload, done, answer = rows[0]
        return AnsweredCommand(payload == self._payload(command), bool(done), answer)

    def confirms(self, effect: Effect) -> bool:
        """Return whether an effect completes the command `confirm`; a recalibration that changes
        with the facts does not complete their command."""
        verb = self.current.verb if self.current is not None else ""
        return isinstance(effect, StoreRecalibration) and verb == "confirm"

    def action_id(self, command_id: str) -> str:
        """Return the id of the action of a command: a keyed hash of the command's id."""
        return hash_id(self._key, f"action {command_id}").hex()[:ACTION_ID_CHARS]

    def newest_ns(self) -> int:
        """Return the time of the newest command in ns since 1970, 0 for none."""
        return int(self._rows("SELECT COALESCE(MAX(at_ns), 0) FROM commands", ())[0][0])

    def make_room(self, now_ns: int) -> bool:
        """Delete expired commands if the journal is full; return whether there is room."""
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
        """Mark a command as done in the transaction of the change made in this context."""
        self.current = command
        try:
            yield
        finally:
            self.current = None

    def mark(self, db: sqlite3.Connection) -> None:
        """Mark the command in progress as done; called inside the transaction of its change."""
        assert self.current is not None, "no command is in progress"
        self._write(db, self.current, None, done=True)

    def record(self, command: JournalEntry, answer: bytes, *, done: bool) -> None:
        """Write an answer durably.  An answer beyond ANSWER_BYTES_MAX is not kept, only its
        mark."""
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
                hash_id(self._key, command.id),
                self._payload(command),
                command.verb,
                command.at_ns,
                command.expires_at_ns,
                done,
                answer,
            ),
        )

    def _payload(self, command: JournalEntry) -> bytes:
        return hash_id(self._key, command.payload.hex())


def delete_answers(db: sqlite3.Connection) -> None:
    """Delete all answers as part of an erasure: they may name erased facts."""
    db.execute("UPDATE commands SET answer = NULL")
