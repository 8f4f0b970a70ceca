"""The durable ledger: one SQLite file.

What an applied effect wrote survives a power cut: WAL with a full fsync at each commit.  What was
erased is overwritten in the database, and the log is cut to nothing.  One process writes at a time;
readers are welcome.
"""

import hashlib
import os
import re
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

import encoder

from ..core import (
    ConfigError,
    Effect,
    EraseFacts,
    Fact,
    Message,
    ModelMismatchError,
    Publish,
    RemoveAdaptor,
    StateError,
    StoreAdaptor,
    StoreContribution,
    StoreFacts,
    StoreGeometry,
    StoreGrowthAttempt,
    StoreLabelCandidates,
    digest_facts,
    find_invalid_columns,
)
from . import adaptor_tables as growth_tables
from . import contribution_tables as fleet_tables
from .bundle_trials import BEFORE, BundleTrials
from .command_journal import CommandJournal, drop_answers
from .database import WriterLock, guard_errors, hold_lock, open_database, transaction
from .durable_files import remove_file, replace_file
from .reader import DIGEST_BYTES, StoreReader
from .rows import COLUMNS, row_of, tombstone_row, veil_id
from .serialization import pack_arrays

COPY_SUFFIX = re.compile(r"\.(v\d+|before-restore.*)")
"""Copies that migrations and restores leave beside the file; erasing removes them."""

MARKING = (StoreFacts, EraseFacts, RemoveAdaptor, StoreContribution)
"""Effects that make a command done; the others come before one of them, or do not matter."""


class Store(StoreReader):
    """A ledger in a file.  Make one with `create` or `open`; apply the runtime's effects to it.

    Every method raises StateError (or a subclass) where the file cannot be read or written; a
    failed `apply` has changed nothing, but for an Erase whose error says how far it came.
    """

    def __init__(self, path: Path, db: sqlite3.Connection, lock: WriterLock | None) -> None:
        super().__init__(path, db)
        self._lock = lock
        self._marks = False
        self.trials = BundleTrials(self._rows, self._deciding)
        self.journal = CommandJournal(self._rows, self._transaction, self._keys[0][1])

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], card: encoder.Card, columns: Sequence[str] = ()
    ) -> Self:
        """Make a new knowledge file for an encoder's card, durably; refuses to touch an existing
        file, and leaves nothing behind where it fails.  columns: names of the encoder's input
        columns, in order; raises ConfigError for names that cannot be these."""
        path = Path(path)
        if columns:
            _require_columns(columns, card)
        _refuse_existing(path, f"creating {path}")
        lock = WriterLock(path)
        fresh = path.with_name(path.name + ".new")
        try:
            with guard_errors(path, "creating"):
                _refuse_existing(path, f"creating {path}")
                remove_file(fresh)
                _fill(fresh, card, columns)
                replace_file(fresh, path, private=True)
                return cls(path, open_database(path, writable=True), lock)
        except BaseException:
            remove_file(fresh)
            lock.discard()
            raise

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        card: encoder.Card | None = None,
        *,
        writable: bool = True,
    ) -> Self:
        """Open a knowledge file.  card: of the encoder in use; raises ModelMismatchError where
        the ledger was made with another one (or another quantiser).  Opened for reading, it shows
        one state of the file until it is closed."""
        path = Path(path)
        if path.is_dir():
            raise StateError(
                f"opening {path}: expected a knowledge file, found a folder",
                "name the file in it, knowledge.db where its settings say nothing else",
            )
        if not path.is_file():
            found = "what is there is no file" if os.path.lexists(path) else "there is no such file"
            raise StateError(
                f"opening {path}: {found}", "check the path; a home's is made by `auricle init`"
            )
        lock = WriterLock(path) if writable else None
        try:
            with guard_errors(path, "opening"):
                db = open_database(path, writable=writable)
        except BaseException:
            if lock is not None:
                lock.release()
            raise
        return cls._checked(path, db, lock, card)

    @classmethod
    def open_or_create(cls, path: str | os.PathLike[str], card: encoder.Card) -> Self:
        """Open a knowledge file for writing, or make it where there is nothing yet; raises what
        `open` and `create` raise."""
        return cls.open(path, card) if os.path.lexists(path) else cls.create(path, card)

    @classmethod
    def _checked(
        cls,
        path: Path,
        db: sqlite3.Connection,
        lock: WriterLock | None,
        card: encoder.Card | None,
    ) -> Self:
        try:
            store = cls(path, db, lock)
            if card is not None:
                store._require_card(card)
            if lock is not None and store.unscrubbed:
                # A reader may hold the log, or the disk be full: then the next one to open tries.
                with suppress(StateError):
                    store._scrub()
        except BaseException:
            db.close()
            if lock is not None:
                lock.release()
            raise
        return store

    def apply(self, effect: Effect) -> None:
        """Carry out an effect, durably; Publish, Grow and Abandon are not the store's business."""
        self._marks = isinstance(effect, MARKING)
        match effect:
            case StoreFacts():
                self._remember(effect)
            case EraseFacts():
                self._erase(effect)
            case StoreGeometry():
                self._freeze(effect)
            case StoreContribution():
                with self._transaction("adopting the sums of another device") as db:
                    fleet_tables.put_contribution(db, effect.contribution)
            case StoreAdaptor():
                with self._growing("storing an adaptor") as db:
                    growth_tables.put_adaptor(db, effect.record)
            case RemoveAdaptor():
                with self._growing("retiring an adaptor") as db:
                    growth_tables.remove_adaptor(db, effect.domain, effect.version)
            case StoreGrowthAttempt():
                with self._transaction("noting an attempt at growth") as db:
                    row = (effect.domain, effect.hash)
                    db.execute("INSERT OR REPLACE INTO attempts VALUES (?, ?)", row)
            case StoreLabelCandidates():
                with self._transaction("keeping candidates for a label") as db:
                    growth_tables.put_candidates(db, effect.candidates)

    def apply_all(self, effects: Iterable[Effect]) -> tuple[Message, ...]:
        """Carry out the effects of one event, in order; return the messages among them, which may
        be passed on now that what they announce is durable."""
        messages = []
        for effect in effects:
            self.apply(effect)
            if isinstance(effect, Publish):
                messages.append(effect.message)
        return tuple(messages)

    def adopt_burials(self, other: "Store") -> None:
        """Take over what another store has buried: a fact forgotten there stays forgotten here."""
        with self._transaction("adopting burials") as db:
            for key, hashes in other.burials():
                db.execute("INSERT OR IGNORE INTO burial_keys (key) VALUES (?)", (key,))
                row = db.execute("SELECT number FROM burial_keys WHERE key = ?", (key,)).fetchone()
                rows = [(row[0], buried) for buried in hashes]
                db.executemany("INSERT OR IGNORE INTO tombstones VALUES (?, ?)", rows)
        self._keys = self._burial_keys()

    def keep_raws(self, raws: Mapping[str, bytes]) -> None:
        """Keep raw inputs by id, for as long as these observations are candidates for a label."""
        with self._transaction("keeping raw inputs") as db:
            growth_tables.keep_raw_inputs(db, raws)

    def stamp(self, digest: str) -> None:
        """Write down the digest of the knowledge that what is held now leads to."""
        held = {"facts": self.digest(), "beside": self.beside()}
        body = msgspec.json.encode(held | {"knowledge": digest})
        with self._transaction("stamping the digest") as db:
            _put(db, "stamp", body)

    def name_columns(self, columns: Sequence[str], card: encoder.Card) -> None:
        """Write the names of the encoder's input columns, in the order in which they were learned;
        what was learned stays as it is.  Raises ConfigError for names that cannot be these."""
        _require_columns(columns, card)
        with self._transaction("naming the columns") as db:
            _put(db, "columns", msgspec.json.encode(list(columns)))
        self._columns = None

    def number_contribution(self, content: str, now_ns: int) -> int:
        """Return the revision of own sums with this content, durably: the last one where they are
        as they were, else a higher one.  Revisions are seconds where the clock is ahead of them, so
        that a restored backup does not fall behind what was published before."""
        body = self._meta("contributed")
        last, told = msgspec.json.decode(body, type=tuple[int, str]) if body else (0, "")
        if told == content:
            return last
        revision = max(last + 1, now_ns // 10**9)
        with self._transaction("numbering own sums") as db:
            _put(db, "contributed", msgspec.json.encode((revision, content)))
        return revision

    def backup(self, target: str | os.PathLike[str]) -> None:
        """Write a consistent copy to a new file, durably, while this store stays in use; leaves
        nothing behind where it fails."""
        target = Path(target)
        _refuse_existing(target, f"backing up to {target}")
        fresh = target.with_name(target.name + ".new")
        try:
            with guard_errors(target, f"backing up {self.path} to"):
                remove_file(fresh)
                self._copy(fresh)
                replace_file(fresh, target, private=True)
        except BaseException:
            with suppress(OSError):
                remove_file(fresh)
            raise

    def close(self) -> None:
        """Close the file; the store can't be used any more."""
        self._db.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _remember(self, effect: StoreFacts) -> None:
        evictions = self.evictions() + len(effect.evicted)
        going = (*effect.evicted, *(fact.id for fact in effect.facts))
        digest = self._changed_digest(going, effect.facts)
        with self._transaction("remembering facts") as db:
            db.executemany("DELETE FROM facts WHERE id = ?", [(i,) for i in effect.evicted])
            db.executemany(
                f"INSERT OR REPLACE INTO facts ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [row_of(fact) for fact in effect.facts],
            )
            _put(db, "digest", digest)
            growth_tables.drop_candidates(db, going)
            if effect.evicted:
                _put(db, "evictions", str(evictions).encode())

    def _freeze(self, effect: StoreGeometry) -> None:
        packed = pack_arrays(effect.geometry)
        with self._transaction("freezing the geometry") as db:
            _put(db, "geometry", packed)
            _put(db, "geometry_sha256", hashlib.sha256(packed).digest())
            # A trial that is reverted must not bring back what was surveyed from forgotten facts.
            db.execute("DELETE FROM meta WHERE name = ?", (BEFORE,))

    def _changed_digest(self, going: Iterable[str], coming: Iterable[Fact]) -> bytes:
        """Return the facts' digest after a change; it is a sum, so only the change is read."""
        gone = [fact for fact in map(self.get, set(going)) if fact is not None]
        parts = (self.written_digest(), digest_facts(coming), digest_facts(gone))
        before, plus, minus = (int(part, 16) for part in parts)
        return ((before + plus - minus) % (1 << 8 * DIGEST_BYTES)).to_bytes(DIGEST_BYTES, "big")

    def _erase(self, effect: EraseFacts) -> None:
        number, key = self._keys[0]
        tombs = [(number, tombstone_row(key, fact_id)) for fact_id in effect.ids]
        body = msgspec.json.encode(veil_id(effect.receipt, key)).decode()
        digest = self._changed_digest(effect.ids, ())
        with self._growing("erasing facts") as db:
            db.executemany("DELETE FROM facts WHERE id = ?", [(i,) for i in effect.ids])
            db.executemany("INSERT OR IGNORE INTO tombstones VALUES (?, ?)", tombs)
            growth_tables.forget_growth(db, effect.ids)
            drop_answers(db)
            db.execute(
                "INSERT INTO receipts (requested_at_ns, body) VALUES (?, ?)",
                (effect.receipt.requested_at_ns, body),
            )
            _put(db, "digest", digest)
            _put(db, "unscrubbed", b"1")
        self._scrub()
        left = [fact_id for fact_id in effect.ids if self._holds(fact_id)]
        if left:
            raise StateError(
                f"erasing from {self.path}: {len(left)} ids read back", "see `auricle verify`"
            )

    def _holds(self, fact_id: str) -> bool:
        """Say whether any table still names an id."""
        asked = " UNION ALL ".join(
            f"SELECT 1 FROM {table} WHERE id = ?1" for table in growth_tables.TABLES_WITH_IDS
        )
        return bool(self._rows(asked, (fact_id,)))

    def _scrub(self) -> None:
        """Overwrite what erased facts leave in free space, and cut the log.

        `secure_delete` alone is not enough: where SQLite splits or joins pages, old copies of rows
        stay in the gaps, so the file is rebuilt.  Cost: writes the file twice.
        """
        hint = "the facts are out of the ledger; the next command that writes tries again"
        try:
            with guard_errors(self.path, "overwriting erased facts in"):
                _remove_copies(self.path)
                self._db.execute("VACUUM")
                busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except StateError as error:
            raise StateError(error.message, hint) from error
        if busy:
            raise StateError(f"cutting the log of {self.path}: another process reads it", hint)
        with self._transaction("noting the end of an erasure") as db:
            db.execute("DELETE FROM meta WHERE name = 'unscrubbed'")

    def _copy(self, fresh: Path) -> None:
        held = self._db.in_transaction
        if held:
            self._db.execute("COMMIT")
        self._db.execute("VACUUM INTO ?", (str(fresh),))
        if held:
            hold_lock(self._db)

    @contextmanager
    def _deciding(self, doing: str) -> Iterator[sqlite3.Connection]:
        """Change what a command decides on, with the mark that it is done."""
        self._marks = True
        with self._growing(doing) as db:
            yield db

    @contextmanager
    def _growing(self, doing: str) -> Iterator[sqlite3.Connection]:
        """Change the adaptors in a transaction; they are read again afterwards."""
        with self._transaction(doing) as db:
            yield db
        self._records = None

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[sqlite3.Connection]:
        if self._lock is None:
            raise StateError(
                f"{doing} in {self.path}: it was opened for reading only", "open it writable"
            )
        with transaction(self._db, self.path, doing) as db:
            yield db
            if self._marks:
                self.journal.mark(db)
        self._marks = False

    def _require_card(self, card: encoder.Card) -> None:
        if card.fingerprint != self.card_fingerprint:
            raise ModelMismatchError(
                f"opening {self.path}: its features come from the encoder card"
                f" {self.card_fingerprint[:12]}, the one in use is {card.fingerprint[:12]}"
                f" ({card.name})",
                "use the card it was made with, or start a new knowledge file",
            )


def _fill(fresh: Path, card: encoder.Card, columns: Sequence[str]) -> None:
    """Write a complete knowledge file without facts, its log merged into it."""
    db = open_database(fresh, writable=True)
    try:
        with transaction(db, fresh, "writing the encoder card"):
            db.execute("INSERT INTO burial_keys (key) VALUES (?)", (secrets.token_bytes(32),))
            _put(db, "card", card.fingerprint.encode())
            _put(db, "width", str(card.width).encode())
            if columns:
                _put(db, "columns", msgspec.json.encode(list(columns)))
    finally:
        db.close()


def _require_columns(columns: Sequence[str], card: encoder.Card) -> None:
    if card.kind != "vector":
        raise ConfigError(
            f"naming columns: the encoder {card.name} takes a payload of kind {card.kind}",
            "only encoders of vectors have named columns",
        )
    width = card.input.size("V")
    wrong = find_invalid_columns(columns, len(columns) if width == -1 else width)
    if wrong:
        raise ConfigError(f"naming columns: {wrong}", "correct the names, or their number")


def _refuse_existing(path: Path, doing: str) -> None:
    if path.exists():
        raise StateError(f"{doing}: the file exists already", "choose another name")


def _put(db: sqlite3.Connection, name: str, value: bytes) -> None:
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


def _remove_copies(path: Path) -> None:
    for other in path.absolute().parent.iterdir():
        suffix = other.name.removeprefix(path.name)
        if other.name.startswith(path.name) and COPY_SUFFIX.fullmatch(suffix):
            other.unlink()
