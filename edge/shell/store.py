"""The durable ledger: one SQLite file.

What an applied effect wrote survives a power cut: WAL with a full fsync at each commit.  What was
erased is overwritten in the database (`secure_delete`) and the log is cut to nothing.  One process
writes at a time; readers are welcome.
"""

import hashlib
import hmac
import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

import encoder

from ..core import (
    Batch,
    Effect,
    Erase,
    Fact,
    Freeze,
    ModelMismatchError,
    Receipt,
    Remember,
    Selector,
    StateError,
    digest_facts,
    gather,
)
from ..core import limits as core_limits
from .files import WriterLock, guarded, open_database

COLUMNS = "id, stream, domain, label, captured_at_ns, features, subject, revision"


class Store:
    """A ledger in a file.  Make one with `create` or `open`; apply the runtime's effects to it.

    Every method raises StateError (or a subclass) where the file cannot be read or written; a
    failed `apply` has changed nothing.
    """

    def __init__(self, path: Path, db: sqlite3.Connection, lock: WriterLock | None) -> None:
        self.path = path
        self._db = db
        self._lock = lock
        self._keys = self._burial_keys()

    @classmethod
    def create(cls, path: str | os.PathLike[str], card: encoder.Card) -> Self:
        """Make a new knowledge file for an encoder's card; refuses to touch an existing file."""
        path = Path(path)
        if path.exists():
            raise StateError(
                f"creating {path}: the file exists already", "choose another name, or open it"
            )
        lock = WriterLock(path)
        with guarded(path, "creating"):
            db = open_database(path, writable=True)
            db.execute("INSERT INTO burial_keys (key) VALUES (?)", (secrets.token_bytes(32),))
            rows = [("card", card.fingerprint.encode()), ("width", str(card.width).encode())]
            db.executemany("INSERT INTO meta VALUES (?, ?)", rows)
        return cls(path, db, lock)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        card: encoder.Card | None = None,
        *,
        writable: bool = True,
    ) -> Self:
        """Open a knowledge file.  card: of the encoder in use; raises ModelMismatchError where
        the ledger was made with another one (or another quantiser)."""
        path = Path(path)
        if not path.is_file():
            raise StateError(f"opening {path}: there is no such file", "make one: `auricle init`")
        lock = WriterLock(path) if writable else None
        try:
            with guarded(path, "opening"):
                store = cls(path, open_database(path, writable=writable), lock)
            if card is not None:
                store._require_card(card)
        except BaseException:
            if lock is not None:
                lock.release()
            raise
        return store

    def apply(self, effect: Effect) -> None:
        """Carry out an effect, durably; Publish is not the store's business."""
        if isinstance(effect, Remember):
            self._remember(effect)
        elif isinstance(effect, Erase):
            self._erase(effect)
        elif isinstance(effect, Freeze):
            arrays = {name: np.ascontiguousarray(a) for name, a in effect.geometry.items()}
            with self._transaction("freezing the geometry") as db:
                db.execute(
                    "INSERT OR REPLACE INTO meta VALUES ('geometry', ?)", (save_arrays(arrays),)
                )

    # --- reading: the core's Ledger -------------------------------------------------------------

    def get(self, fact_id: str) -> Fact | None:
        """See `facts.Ledger`."""
        rows = self._rows(f"SELECT {COLUMNS} FROM facts WHERE id = ?", (fact_id,))
        return Fact(*rows[0]) if rows else None

    def concepts(self) -> dict[tuple[str, str], int]:
        """See `facts.Ledger`."""
        rows = self._rows("SELECT domain, label, COUNT(*) FROM facts GROUP BY domain, label")
        return {(domain, label): count for domain, label, count in rows}

    def oldest(self, domain: str, label: str, count: int) -> tuple[str, ...]:
        """See `facts.Ledger`."""
        rows = self._rows(
            "SELECT id FROM facts WHERE domain = ? AND label = ?"
            " ORDER BY captured_at_ns, id LIMIT ?",
            (domain, label, count),
        )
        return tuple(row[0] for row in rows)

    def select(self, selector: Selector) -> tuple[str, ...]:
        """See `facts.Ledger`."""
        where, values = _where(selector)
        rows = self._rows(f"SELECT id FROM facts WHERE {where} ORDER BY id", values)
        return tuple(row[0] for row in rows if selector.ids is None or row[0] in selector.ids)

    def batches(
        self, domain: str | None = None, without: AbstractSet[str] = frozenset()
    ) -> Iterator[Batch]:
        """See `facts.Ledger`."""
        for facts in self.pages(domain):
            kept = [fact for fact in facts if fact.id not in without]
            if kept:
                yield gather(kept)

    def pages(self, domain: str | None = None) -> Iterator[list[Fact]]:
        """Yield all facts, or a domain's, sorted by id, a page at a time."""
        last = ""
        while True:
            rows = self._rows(
                f"SELECT {COLUMNS} FROM facts WHERE id > ? AND (?2 IS NULL OR domain = ?2)"
                " ORDER BY id LIMIT ?3",
                (last, domain, core_limits.BATCH_FACTS),
            )
            if not rows:
                return
            yield [Fact(*row) for row in rows]
            last = rows[-1][0]

    def buried(self, fact_id: str) -> bool:
        """See `facts.Ledger`."""
        return any(
            self._rows(
                "SELECT 1 FROM tombstones WHERE key = ? AND hash = ?", (number, _tomb(key, fact_id))
            )
            for number, key in self._keys
        )

    def geometry(self) -> Mapping[str, NDArray[Any]] | None:
        """See `facts.Ledger`."""
        packed = self._meta("geometry")
        return None if packed is None else load_arrays(packed)

    def evictions(self) -> int:
        """See `facts.Ledger`."""
        return int(self._meta("evictions") or b"0")

    # --- what else users ask of a file ----------------------------------------------------------

    @property
    def card_fingerprint(self) -> str:
        """Fingerprint of the encoder card the features were made with."""
        return (self._meta("card") or b"").decode()

    def digest(self) -> str:
        """Hex digest of the facts alone, whatever their order."""
        return digest_facts(fact for page in self.pages() for fact in page)

    def receipts(self) -> tuple[dict[str, Any], ...]:
        """Return all receipts, oldest first; ids and subjects in them are keyed hashes."""
        rows = self._rows("SELECT body FROM receipts ORDER BY number")
        return tuple(msgspec.json.decode(row[0]) for row in rows)

    def burials(self) -> Iterator[tuple[bytes, list[bytes]]]:
        """Yield each burial key with the hashes of the ids buried under it."""
        for number, key in self._keys:
            rows = self._rows("SELECT hash FROM tombstones WHERE key = ?", (number,))
            yield key, [row[0] for row in rows]

    def adopt_burials(self, other: "Store") -> None:
        """Take over what another store has buried: a fact forgotten there stays forgotten here."""
        with self._transaction("adopting burials") as db:
            for key, hashes in other.burials():
                db.execute("INSERT OR IGNORE INTO burial_keys (key) VALUES (?)", (key,))
                row = db.execute("SELECT number FROM burial_keys WHERE key = ?", (key,)).fetchone()
                rows = [(row[0], tomb) for tomb in hashes]
                db.executemany("INSERT OR IGNORE INTO tombstones VALUES (?, ?)", rows)
        self._keys = self._burial_keys()

    def stamp(self, digest: str) -> None:
        """Write down the digest of the knowledge that the facts now held lead to."""
        body = msgspec.json.encode({"facts": self.digest(), "knowledge": digest})
        with self._transaction("stamping the digest") as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES ('stamp', ?)", (body,))

    def stamped(self) -> dict[str, str]:
        """Return the last stamp, `facts` and `knowledge` digests, or nothing."""
        body = self._meta("stamp")
        return msgspec.json.decode(body, type=dict[str, str]) if body else {}

    def backup(self, target: str | os.PathLike[str]) -> None:
        """Write a consistent copy to a new file, durably, while this store stays in use."""
        target = Path(target)
        if target.exists():
            raise StateError(
                f"backing up to {target}: the file exists already", "choose another name"
            )
        with guarded(self.path, f"backing up to {target}:"):
            self._db.execute("VACUUM INTO ?", (str(target),))
        with target.open("rb") as copy:
            os.fsync(copy.fileno())

    def check(self) -> tuple[str, ...]:
        """Return what SQLite's integrity check complains of; nothing when all is well."""
        rows = self._rows("PRAGMA integrity_check")
        return tuple(row[0] for row in rows if row[0] != "ok")

    def close(self) -> None:
        """Close the file; the store can't be used any more."""
        self._db.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- writing --------------------------------------------------------------------------------

    def _remember(self, effect: Remember) -> None:
        rows = [
            (f.id, f.stream, f.domain, f.label, f.captured_at_ns, f.features, f.subject, f.revision)
            for f in effect.facts
        ]
        evictions = self.evictions() + len(effect.evicted)
        with self._transaction("remembering facts") as db:
            db.executemany("DELETE FROM facts WHERE id = ?", [(i,) for i in effect.evicted])
            db.executemany(
                f"INSERT OR REPLACE INTO facts ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows
            )
            if effect.evicted:
                db.execute(
                    "INSERT OR REPLACE INTO meta VALUES ('evictions', ?)",
                    (str(evictions).encode(),),
                )

    def _erase(self, effect: Erase) -> None:
        number, key = self._keys[0]
        tombs = [(number, _tomb(key, fact_id)) for fact_id in effect.ids]
        body = msgspec.json.encode(_veiled(effect.receipt, key)).decode()
        with self._transaction("erasing facts") as db:
            db.executemany("DELETE FROM facts WHERE id = ?", [(i,) for i in effect.ids])
            db.executemany("INSERT OR IGNORE INTO tombstones VALUES (?, ?)", tombs)
            db.execute(
                "INSERT INTO receipts (requested_at_ns, body) VALUES (?, ?)",
                (effect.receipt.requested_at_ns, body),
            )
        with guarded(self.path, "cutting the log of"):
            busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        left = [fact_id for fact_id in effect.ids if self.get(fact_id) is not None]
        if left or busy:
            raise StateError(
                f"erasing from {self.path}: {len(left)} facts read back, log busy: {bool(busy)}",
                "close other readers of the file and repeat the request",
            )

    def _transaction(self, doing: str) -> "_Transaction":
        if self._lock is None:
            raise StateError(
                f"{doing} in {self.path}: it was opened for reading only", "open it writable"
            )
        return _Transaction(self._db, self.path, doing)

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with guarded(self.path, "reading"):
            return self._db.execute(sql, values).fetchall()

    def _meta(self, name: str) -> bytes | None:
        rows = self._rows("SELECT value FROM meta WHERE name = ?", (name,))
        return bytes(rows[0][0]) if rows else None

    def _burial_keys(self) -> list[tuple[int, bytes]]:
        return [
            (n, key) for n, key in self._rows("SELECT number, key FROM burial_keys ORDER BY number")
        ]

    def _require_card(self, card: encoder.Card) -> None:
        if card.fingerprint != self.card_fingerprint:
            self._db.close()
            raise ModelMismatchError(
                f"opening {self.path}: its features come from the encoder card"
                f" {self.card_fingerprint[:12]}, the one in use is {card.fingerprint[:12]}"
                f" ({card.name})",
                "use the card it was made with, or start a new knowledge file",
            )


class _Transaction:
    """BEGIN IMMEDIATE ... COMMIT, rolled back as a whole on any error."""

    def __init__(self, db: sqlite3.Connection, path: Path, doing: str) -> None:
        self._db = db
        self._guard = guarded(path, f"{doing} in")

    def __enter__(self) -> sqlite3.Connection:
        self._guard.__enter__()
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            self._guard.__exit__(type(error), error, None)
            raise
        return self._db

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._db.execute("COMMIT")
        except sqlite3.Error as failed:
            kind, error = type(failed), failed
        if error is not None and self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self._guard.__exit__(kind, error, trace)


def _tomb(key: bytes, fact_id: str) -> bytes:
    return hmac.new(key, fact_id.encode(), hashlib.sha256).digest()


def _veiled(receipt: Receipt, key: bytes) -> dict[str, Any]:
    """Turn a receipt into plain data whose ids and subject are keyed hashes: it must not keep what
    it says is gone."""
    body: dict[str, Any] = msgspec.to_builtins(receipt)
    selector = body["selector"]
    if selector["ids"] is not None:
        selector["ids"] = sorted(_tomb(key, fact_id).hex() for fact_id in selector["ids"])
    if selector["subject"] is not None:
        selector["subject"] = _tomb(key, selector["subject"]).hex()
    return body


def _where(selector: Selector) -> tuple[str, tuple[Any, ...]]:
    """Return SQL for everything but `ids`, which may be more than SQLite takes as parameters."""
    terms = [
        (f"{name} = ?", getattr(selector, name))
        for name in ("subject", "stream", "domain", "label")
    ]
    terms += [("captured_at_ns >= ?", selector.from_ns), ("captured_at_ns < ?", selector.until_ns)]
    used = [(term, value) for term, value in terms if value is not None]
    where = " AND ".join(term for term, _ in used) or "1"
    return where, tuple(value for _, value in used)
