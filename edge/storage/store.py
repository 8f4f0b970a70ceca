"""The durable ledger of facts: one SQLite file.

An applied effect survives a power cut: WAL with a full fsync at each commit.  Erased facts are
overwritten in the file, and its log is cut.  One process writes; any number may read.
"""

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

import encoder

from ..core import (
    RECALIBRATION_VERSION,
    CompleteForget,
    Derived,
    DeviceOrder,
    Effect,
    EraseFacts,
    ExcludeFacts,
    Fact,
    Message,
    ModelMismatchError,
    Publish,
    Receipt,
    ReleaseActions,
    RemoveAdaptor,
    RenameDomain,
    StateError,
    StoreAdaptor,
    StoreContribution,
    StoreDomainMerge,
    StoreFacts,
    StoreGeometry,
    StoreGrowthAttempt,
    StoreLabelCandidates,
    StoreRecalibration,
    Together,
    digest_facts,
    rows_to_bury,
)
from . import action_log, tables
from .action_log import ActionRecords
from .bundle_trials import BEFORE, BundleTrials, ImportedBundle
from .capture_times import CaptureTimes
from .checkpoints import UNSCRUBBED_HINT, Checkpoints, LogInUseError
from .command_journal import CommandJournal, delete_answers
from .concept_totals import add_digests, by_concept, write_ranks, write_totals
from .content_tombstones import ContentTombstones, adopt_tombstones, write_contents
from .database import WriterLock, begin_snapshot, guard_errors, open_database, transaction
from .derived_table import delete_some, delete_traces, write_derived
from .digest_key import note_key
from .durable_files import remove_file, replace_file
from .file_copies import remove_copies
from .new_file import refuse_existing, require_columns, write_empty
from .pending_forgets import delete_pending, request_of, write_pending
from .provenance import delete_notes, note_facts, rename_domain
from .publications import Publications
from .reader import StoreReader
from .receipt_rows import insert_receipt, rekey_receipts
from .serialization import pack_arrays
from .tables import FACT_COLUMNS, fact_to_row, hash_id, put_meta
from .totals_check import settle_totals

MARKING = (StoreFacts, EraseFacts, ExcludeFacts, RemoveAdaptor, StoreContribution)
"""Effects that complete a command; any other precedes one of them or does not change the answer."""


class Store(StoreReader):
    """A ledger in a file.  Make one with `create` or `open`, and apply the runtime's effects to it.

    raw_inputs: set it to a function that returns raw inputs by id, to keep those of new facts.

    Every method raises StateError (or a subclass) if the file cannot be read or written.  A failed
    `apply` has changed nothing, except an erasure, whose error says which step failed.
    """

    def __init__(self, path: Path, db: sqlite3.Connection, lock: WriterLock | None) -> None:
        super().__init__(path, db, writable=lock is not None)
        self._lock = lock
        self._checkpoints = Checkpoints(path, db) if lock is not None else None
        self._marks = self._nested = False
        self._recording: int | None = None
        self.raw_inputs: Callable[[Iterable[str]], Mapping[str, bytes]] | None = None
        self.action_records = ActionRecords(self._rows, self._transaction)
        self.trials = BundleTrials(self._rows, self._command_transaction)
        self.publications = Publications(self._rows, self._transaction)
        self.journal = CommandJournal(self._rows, self._transaction, self._keys[0][1])

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], card: encoder.Card, columns: Sequence[str] = ()
    ) -> Self:
        """Create a knowledge file for an encoder card, durably.  Raises StateError for an existing
        file; a failure leaves no file behind.  columns: names of the encoder's input columns, in
        order; raises ConfigError for invalid names."""
        path = Path(path)
        if columns:
            require_columns(columns, card)
        refuse_existing(path, f"creating {path}")
        lock = WriterLock(path)
        fresh = path.with_name(path.name + ".new")
        try:
            with guard_errors(path, "creating"):
                refuse_existing(path, f"creating {path}")
                remove_file(fresh)
                write_empty(fresh, card, columns)
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
        counts: bool = True,
    ) -> Self:
        """Open a knowledge file.  card: of the encoder in use; raises ModelMismatchError if the
        facts come from another encoder or quantiser.  A file opened for reading shows one snapshot
        until it is closed.  counts: whether opening for writing counts the facts."""
        path = Path(path)
        if path.is_dir():
            raise StateError(
                f"opening {path}: expected a knowledge file, found a folder",
                "name the file in it, by default knowledge.db",
            )
        if not path.is_file():
            found = "it is not a regular file" if os.path.lexists(path) else "there is no such file"
            raise StateError(
                f"opening {path}: {found}", "check the path; `auricle init` makes a home's file"
            )
        lock = WriterLock(path) if writable else None
        try:
            with guard_errors(path, "opening"):
                db = open_database(path, writable=writable)
        except BaseException:
            if lock is not None:
                lock.release()
            raise
        return cls._checked(path, db, lock, card, counts=counts and writable)

    @classmethod
    def open_or_create(cls, path: str | os.PathLike[str], card: encoder.Card) -> Self:
        """Open a knowledge file for writing, or create it.  Raises as `open` and `create` do."""
        return cls.open(path, card) if os.path.lexists(path) else cls.create(path, card)

    @classmethod
    def _checked(
        cls,
        path: Path,
        db: sqlite3.Connection,
        lock: WriterLock | None,
        card: encoder.Card | None,
        *,
        counts: bool,
    ) -> Self:
        store: Self | None = None
        try:
            settle_totals(path, db, writable=lock is not None, counts=counts)
            store = cls(path, db, lock)
            if card is not None:
                store._require_card(card)
            with suppress(StateError):  # a reader may hold the log, or the disk be full
                store._finish_earlier_work()
        except BaseException:
            if store is not None:
                store.close()
            else:
                db.close()
                if lock is not None:
                    lock.release()
            raise
        return store

    def _finish_earlier_work(self) -> None:
        """Finish what a crash, a full disk or a reader interrupted: checkpoints, an erasure."""
        if self._checkpoints is None:
            return
        if self._key.lost:
            self.renew_key()
        if self._meta("plain_digests") is not None:
            with self._transaction("keying receipts") as db:
                rekey_receipts(db, self._key)
        if self.unscrubbed:
            self.overwrite_remains()
            return
        self.action_records.expire(max(time.time_ns(), self.action_records.newest_ns()))
        with guard_errors(self.path, "writing the log into"):
            uncleaned = self._uncleaned
            if self._checkpoints.advance(everything=uncleaned) and uncleaned:
                with self._transaction("noting that the file is clean") as db:
                    db.execute("DELETE FROM meta WHERE name = 'uncleaned'")

    def apply(self, effect: Effect) -> None:
        """Apply an effect durably.  Publish, Grow and Abandon change nothing in the store."""
        self._marks = isinstance(effect, MARKING) or self.journal.confirms(effect)
        match effect:
            case StoreFacts():
                self._store_facts(effect)
            case EraseFacts() | ExcludeFacts() | CompleteForget() | RenameDomain():
                self._forget(effect)
            case StoreGeometry():
                self._store_geometry(effect)
            case StoreContribution():
                with self._transaction("storing a contribution of another device") as db:
                    tables.store_contribution(db, effect.contribution)
            case StoreAdaptor():
                with self._adaptor_transaction("storing an adaptor") as db:
                    tables.replace_adaptor(db, effect.record, self._recording)
            case RemoveAdaptor():
                with self._adaptor_transaction("removing an adaptor") as db:
                    tables.delete_adaptor(db, effect.domain, effect.version, self._recording)
            case StoreDomainMerge() | StoreRecalibration() | StoreGrowthAttempt():
                self._store_record(effect)
            case Together() | ReleaseActions():
                self._change_actions(effect)
            case StoreLabelCandidates():
                self._store_candidates(effect)

    def _store_candidates(self, effect: StoreLabelCandidates) -> None:
        index = self.candidate_index()
        leaving = index.overflow(effect.candidates)
        with self._transaction("storing label candidates") as db:
            tables.store_candidates(db, effect.candidates, leaving)
        index.put(effect.candidates)
        index.drop(leaving)

    def _store_record(
        self, effect: StoreDomainMerge | StoreRecalibration | StoreGrowthAttempt
    ) -> None:
        if isinstance(effect, StoreGrowthAttempt):
            with self._transaction("recording a growth attempt") as db:
                row = (effect.domain, effect.hash)
                db.execute("INSERT OR REPLACE INTO attempts VALUES (?, ?)", row)
            return
        if isinstance(effect, StoreDomainMerge):
            with self._transaction("recording a merge of domains") as db:
                tables.store_merge(db, effect.merge)
            return
        with self._transaction("storing the recalibration of a stream") as db:
            tables.store_recalibration(db, effect.stream, effect.record)

    def _change_actions(self, effect: Together | ReleaseActions) -> None:
        if isinstance(effect, ReleaseActions):
            with self._transaction("deleting facts from the records of actions") as db:
                action_log.delete_facts(db, effect.ids, streams=effect.streams)
            return
        try:
            with self._adaptor_transaction("carrying out an action") as db:
                self._nested = True
                if effect.action is not None:
                    self._recording = action_log.write_action(db, effect.action)
                for one in effect.effects:
                    self.apply(one)
                if effect.undoes:
                    action_log.end_action(db, effect.undoes)
                self._marks = True
        except BaseException:
            # Values read during the change that is rolled back must not stay.
            self._totals, self._times = None, CaptureTimes()
            self._records = self._ended = self._candidates = None
            raise
        finally:
            self._nested, self._recording = False, None

    def apply_all(self, effects: Iterable[Effect]) -> tuple[Message, ...]:
        """Apply the effects of one event in order.  Returns the messages among them: their contents
        are durable now, so they may be published."""
        messages = []
        for effect in effects:
            self.apply(effect)
            if isinstance(effect, Publish):
                messages.append(effect.message)
        return tuple(messages)

    def adopt_tombstones(self, other: "Store") -> None:
        """Copy another store's tombstones: facts forgotten there stay forgotten here."""
        with self._transaction("adopting tombstones") as db:
            adopt_tombstones(db, other.tombstones(), other.buried.every())
            self.series_tombstones().adopt(db, other.series_tombstones())
        self._keys, self._gone_samples = self._tombstone_keys(), None
        self.buried = ContentTombstones(self._rows, self._keys)

    def store_raw_inputs(self, raws: Mapping[str, bytes]) -> None:
        """Store raw inputs by id, while these observations are label candidates or facts."""
        with self._transaction("storing raw inputs") as db:
            tables.store_raw_inputs(db, raws)

    def device_orders(self, request_id: str, ids: Iterable[str]) -> tuple[DeviceOrder, ...]:
        """See `facts.Ledger`."""
        return self.publications.orders(request_id, ids)

    def save_derived(self, entries: Iterable[Derived]) -> None:
        """Keep what was derived, in place of earlier entries, to open and to answer sooner."""
        with self._transaction("keeping what was derived") as db:
            write_derived(db, entries)

    def drop_derived(self) -> None:
        """Delete all that is kept of derived state: it is derived from the facts again."""
        with self._transaction("deleting derived state") as db:
            db.execute("DELETE FROM derived")

    def drop_some_derived(self) -> bool:
        """Delete a part of what is kept of derived state; True while there is more."""
        with self._transaction("deleting derived state") as db:
            return delete_some(db)

    def stamp(self, digest: str) -> None:
        """Store the digest of the knowledge with the digests of its inputs."""
        held = {"facts": self.written_digest(), "beside": self.inputs_digest()}
        keyed = self._keyed_stamp(held | {"knowledge": digest})
        body = msgspec.json.encode(keyed)
        with self._transaction("stamping the digest") as db:
            put_meta(db, "stamp", body)
            note_key(db, self._key)

    def renew_key(self) -> None:
        """Let the home's key, or a new one, take the place of the key that the file names."""
        self._key.renew()
        if self._key.mark() != self._key_mark().mark:
            with self._transaction("noting the home's key") as db:
                note_key(db, self._key, renewed=True)

    def name_columns(self, columns: Sequence[str], card: encoder.Card) -> None:
        """Name the encoder's input columns, in the order of the vectors learned so far; facts do
        not change.  Raises ConfigError for invalid names."""
        require_columns(columns, card)
        with self._transaction("naming the columns") as db:
            put_meta(db, "columns", msgspec.json.encode(list(columns)))
        self._columns = None

    def drop_recalibrations(self) -> None:
        """Delete the recalibration of all streams, and overwrite its remains in the file."""
        with self._transaction("deleting the recalibration of all streams") as db:
            db.execute("DELETE FROM recalibrations")
            put_meta(db, "unscrubbed", b"1")
        self.overwrite_remains()

    def remove_bundle(self, one: ImportedBundle) -> None:
        """Remove what a bundle that is not on trial brought, and overwrite its remains."""
        self.trials.remove(one)
        self.overwrite_remains()

    @property
    def writable(self) -> bool:
        """Whether it is open for writing."""
        return self._lock is not None

    def backup(self, target: str | os.PathLike[str]) -> None:
        """Write a consistent copy to a new file, durably, while this store stays in use.  A failure
        leaves no file behind."""
        target = Path(target)
        refuse_existing(target, f"backing up to {target}")
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
        """Close the file and release its lock."""
        if self._checkpoints is not None:
            self._checkpoints.join()
            with suppress(sqlite3.Error, OSError):
                if not self._checkpoints.advance():
                    # The last reader to close writes the log into the file without cleaning it.
                    with self._transaction("noting that the file is not clean") as db:
                        put_meta(db, "uncleaned", b"1")
        self._db.close()
        if self._checkpoints is not None:
            self._checkpoints.close()
            self._checkpoints = None
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

    def _store_facts(self, effect: StoreFacts) -> None:
        evictions = self.evictions() + len(effect.evicted) - effect.readmitted
        going = (*effect.evicted, *(fact.id for fact in effect.facts))
        out = (*going, *effect.withdrawn)
        with self._fact_transaction("storing facts", out, effect.facts) as db:
            db.executemany(
                f"INSERT OR REPLACE INTO facts ({FACT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [fact_to_row(fact) for fact in effect.facts],
            )
            tables.delete_candidates(db, going)
            tables.delete_raw_inputs(db, effect.evicted)
            kept = self.raw_inputs(fact.id for fact in effect.facts) if self.raw_inputs else {}
            if kept:
                tables.store_raw_inputs(db, kept)
            tables.delete_from_merges(db, (*effect.evicted, *effect.withdrawn))
            note_facts(db, effect)
            if effect.evicted or effect.readmitted:
                put_meta(db, "evictions", str(evictions).encode())
        self.candidate_index().drop(going)

    @contextmanager
    def _fact_transaction(
        self, doing: str, going: Iterable[str], coming: Sequence[Fact] = (), *, held: bool = False
    ) -> Iterator[sqlite3.Connection]:
        """Take facts out of the ledger and change all that is counted of those that go and come,
        in one transaction; the caller writes those that come in it.  held: see `Checkpoints`."""
        gone = [fact for fact in map(self.get, dict.fromkeys(going)) if fact is not None]
        coming = tuple({fact.id: fact for fact in coming}.values())
        totals = self._concept_totals()
        changed = totals.after(gone, coming)
        digest = add_digests(self.written_digest(), digest_facts(coming))
        digest = add_digests(digest, digest_facts(gone), -1)
        with self._transaction(doing, held=held) as db:
            db.executemany("DELETE FROM facts WHERE id = ?", [(fact.id,) for fact in gone])
            yield db
            delete_notes(db, {fact.id for fact in gone} - {fact.id for fact in coming})
            write_ranks(db, gone, coming)
            write_totals(db, changed)
            delete_traces(db, by_concept(gone))
            put_meta(db, "digest", bytes.fromhex(digest))
        totals.accept(changed)
        self._times.change(gone, coming)

    def _store_geometry(self, effect: StoreGeometry) -> None:
        packed = pack_arrays(effect.geometry)
        checksum = hashlib.sha256(packed).digest()
        with self._transaction("storing the geometry") as db:
            if checksum != self._meta("geometry_sha256"):
                db.execute("DELETE FROM derived")
            put_meta(db, "geometry", packed)
            put_meta(db, "geometry_sha256", checksum)
            # Reverting a trial must not restore a geometry fitted to facts that are forgotten now.
            db.execute("DELETE FROM meta WHERE name = ?", (BEFORE,))

    def _forget(self, effect: EraseFacts | ExcludeFacts | CompleteForget | RenameDomain) -> None:
        if isinstance(effect, RenameDomain):
            with self._transaction("renaming a domain") as db:
                rename_domain(db, effect.old, effect.new)
            self._candidates = None
            return
        if not isinstance(effect, CompleteForget):
            self._erase(effect)
            return
        self.complete(effect.receipt)
        self.overwrite_remains()

    def complete(self, receipt: Receipt) -> None:
        """Store the receipt of a pending request; overwrite its record before publishing it."""
        with self._transaction("completing a forget request") as db:
            delete_pending(db, receipt.request_id)
            insert_receipt(db, receipt, self._key)
            put_meta(db, "unscrubbed", b"1")

    def _erase(self, effect: EraseFacts | ExcludeFacts) -> None:
        number, key = self._keys[0]
        tombs = [(number, hash_id(key, fact_id)) for fact_id in effect.ids]
        contents = rows_to_bury(effect, self, key)
        request_id = request_of(effect, self.pending_forgets())
        shaped = self.publications.shaped_by(effect.ids)
        held = isinstance(effect, ExcludeFacts)
        with self._fact_transaction("erasing facts", effect.ids, held=held) as db:
            self.publications.order(db, request_id, shaped)
            db.executemany("INSERT OR IGNORE INTO tombstones VALUES (?, ?)", tombs)
            write_contents(db, number, contents)
            self.series_tombstones().bury(db, number, key, effect.ranges)
            tables.erase_growth(db, effect.ids)
            action_log.delete_facts(db, effect.ids)
            delete_answers(db)
            # The core never reads records of another version, so it cannot match them.
            db.execute("DELETE FROM recalibrations WHERE version != ?", (RECALIBRATION_VERSION,))
            if isinstance(effect, EraseFacts):
                insert_receipt(db, effect.receipt, self._key)
            elif effect.request is not None:
                write_pending(db, effect.request)
            put_meta(db, "unscrubbed", b"1")
        self._records = self._ended = self._gone_samples = None
        self.buried = ContentTombstones(self._rows, self._keys)
        self.candidate_index().drop(effect.ids)
        if held:
            return
        self.overwrite_remains()
        left = self._confirmed_ids().intersection(effect.ids)
        left.update(filter(self._holds, effect.ids))
        if left:
            raise StateError(
                f"erasing from {self.path}: {len(left)} ids are still in the file",
                "see `auricle verify`",
            )

    def overwrite_remains(self, *, waits: bool = True) -> None:
        """Overwrite the remains of erased facts in the file and in copies, and cut the log.  Cost:
        the pages that changed; a file that is mostly free is rebuilt.  waits: for other readers;
        raises LogInUseError while there are any."""
        checkpoints = self._writing("overwriting erased facts")
        try:
            with guard_errors(self.path, "overwriting erased facts in"):
                remove_copies(self.path)
                done = checkpoints.overwrite(waits=waits, everything=self._uncleaned)
        except StateError as error:
            raise StateError(error.message, UNSCRUBBED_HINT) from error
        if not done:
            doing = f"truncating the log of {self.path}"
            raise LogInUseError(f"{doing}: another process is reading it", UNSCRUBBED_HINT)
        with self._transaction("completing an erasure") as db:
            db.execute("DELETE FROM meta WHERE name IN ('unscrubbed', 'uncleaned')")

    def prepare_overwriting(self) -> None:
        """Do most of `overwrite_remains` in another thread; a failure is left to that."""
        with suppress(sqlite3.Error, OSError):
            self._writing("overwriting erased facts").prepare()

    def finish_checkpoint(self) -> bool:
        """Do the rest of a checkpoint that another thread has prepared; False if there is none."""
        return self._writing("finishing a checkpoint").finish_prepared()

    def checkpoint_in_background(self) -> None:
        """Let no transaction wait for a checkpoint: see `Checkpoints`."""
        self._writing("preparing checkpoints").in_background = True

    @property
    def _uncleaned(self) -> bool:
        """Whether pages may hold remains that the log does not name."""
        return self._meta("uncleaned") is not None

    def _writing(self, doing: str) -> Checkpoints:
        if self._checkpoints is None:
            raise StateError(
                f"{doing} in {self.path}: it was opened for reading only", "open it writable"
            )
        return self._checkpoints

    def _copy(self, fresh: Path) -> None:
        held = self._db.in_transaction
        if held:
            self._db.execute("COMMIT")
        self._db.execute("VACUUM INTO ?", (str(fresh),))
        if held:
            begin_snapshot(self._db)

    @contextmanager
    def _command_transaction(self, doing: str) -> Iterator[sqlite3.Connection]:
        """Change adaptors in a transaction that also marks the current command as done."""
        self._marks = True
        with self._adaptor_transaction(doing) as db:
            yield db

    @contextmanager
    def _adaptor_transaction(self, doing: str) -> Iterator[sqlite3.Connection]:
        """Change adaptors in a transaction; the cached records are read again afterwards."""
        with self._transaction(doing) as db:
            yield db
        self._records = self._ended = None

    @contextmanager
    def _transaction(self, doing: str, *, held: bool = False) -> Iterator[sqlite3.Connection]:
        if self._nested:
            yield self._db
            return
        checkpoints = self._writing(doing)
        with transaction(self._db, self.path, doing) as db:
            yield db
            if self._marks and self.journal.current is not None:
                self.journal.mark(db)
        self._marks = False
        checkpoints.advance_if_due(held=held)

    def _require_card(self, card: encoder.Card) -> None:
        if card.fingerprint != self.card_fingerprint:
            raise ModelMismatchError(
                f"opening {self.path}: its features come from the encoder card"
                f" {self.card_fingerprint[:12]}, the card in use is {card.fingerprint[:12]}"
                f" ({card.name})",
                "use the card that the file was made with, or start a new knowledge file",
            )
