"""The secret key of a home, in a file of its own that no backup, export or merge copies.

A digest of facts is a test of a guess at their content: whoever learns the guess gets the same
digest.  So digests that outlive facts, in receipts and stamps, are keyed with it, and so are the
texts that a receipt's request named.

The knowledge file holds a mark of the key that its receipts were stated under.  Another key is
refused; one that is lost is replaced when the home is opened, and earlier receipts can't be
checked.
"""

import hashlib
import hmac
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from ..core import StateCorruptError, StateError
from .database import guard_errors
from .durable_files import write_bytes

KEY_BYTES: Final = 32
"""As long as the hash (RFC 2104, section 3)."""

SUFFIX: Final = ".key"
"""Of the key's file, after the name of the knowledge file."""


MARK: Final = "digest_key"
"""In `meta`: the mark of the key, and the last receipt that was stated under another one."""

LOST: Final = (
    "restore it from where it was kept; if it is lost, remove it and open the home again: a new key"
    " is made, and the digests of earlier receipts cannot be checked any more"
)


class KeyMark(msgspec.Struct, frozen=True):
    """The mark of a key.  after: number of the last receipt that was stated under another one."""

    mark: str
    after: int = 0


class DigestKey:
    """The key of a knowledge file; made at its first use if the file is open for writing.  marked:
    returns the mark in the file, '' if it has none."""

    def __init__(
        self, knowledge: Path, *, writable: bool, marked: Callable[[], str] = lambda: ""
    ) -> None:
        self.path = knowledge.with_name(knowledge.name + SUFFIX)
        self._writable, self._marked = writable, marked
        self._key = b""

    def of(self, purpose: str, text: str) -> str:
        """Return the HMAC-SHA256 of a text, in hex; of another purpose it differs.  Empty where
        there is no key and the file is open for reading only.  Raises StateError."""
        return _hmac(self._read(), purpose, text)

    def mark(self) -> str:
        """Return the mark of the key."""
        return self.of("mark", "")

    @property
    def lost(self) -> bool:
        """Whether the key that the file names is gone."""
        return bool(self._marked()) and not self.path.exists()

    def renew(self) -> None:
        """Make a key in place of one that is lost, unless there is one."""
        with guard_errors(self.path, "reading"):
            self._key = self._stored() or self._made()

    def _read(self) -> bytes:
        if self._key:
            return self._key
        with guard_errors(self.path, "reading"):
            found, marked = self._stored(), self._marked()
            if found and marked and _hmac(found, "mark", "") != marked:
                raise StateError(
                    f"reading {self.path}: expected the key that earlier receipts were stated"
                    " under, found another one",
                    LOST,
                )
            if not found and self._writable:
                if marked:
                    raise StateError(f"reading {self.path}: the key of this home is missing", LOST)
                found = self._made()
            self._key = found
        return self._key

    def _stored(self) -> bytes:
        """Return the key in the file, empty without one."""
        if not self.path.exists():
            return b""
        found = self.path.read_bytes()
        if len(found) != KEY_BYTES:
            raise StateCorruptError(
                f"reading {self.path}: expected {KEY_BYTES} bytes, found {len(found)}", LOST
            )
        return found

    def _made(self) -> bytes:
        fresh = os.urandom(KEY_BYTES)
        write_bytes(self.path, fresh, private=True)
        return fresh


def note_key(db: sqlite3.Connection, key: DigestKey, *, renewed: bool = False) -> None:
    """Write the mark of the key that receipts and stamps are stated under from now on.  renewed:
    in place of another one, under which the receipts so far were stated."""
    after = 0
    if renewed:
        after = db.execute("SELECT MAX(number) FROM receipts").fetchone()[0] or 0
        db.execute("DELETE FROM meta WHERE name = ?", (MARK,))
    body = msgspec.json.encode(KeyMark(key.mark(), after))
    db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (MARK, body))


def _hmac(key: bytes, purpose: str, text: str) -> str:
    body = f"{purpose}\n{text}".encode()
    return hmac.new(key, body, hashlib.sha256).hexdigest() if key else ""
