"""Read access to a knowledge file: the core's `Ledger` protocol, receipts, digests and checks."""

import hashlib
import sqlite3
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from ..core import (
    DIGEST_BITS,
    RECALIBRATION_VERSION,
    Action,
    Concept,
    Contribution,
    DomainMerge,
    Fact,
    FactBatch,
    LabelCandidate,
    Recalibration,
    Selector,
    Span,
    StateCorruptError,
    StateError,
    find_invalid_columns,
    hash_fields,
    rank_number,
)
from ..core import limits as core_limits
from ..core.adaptors import AdaptorRecord, PendingAdaptor
from . import action_log, series_tombstones, tables
from .candidate_index import CandidateIndex, candidate_entry
from .capture_times import CaptureTimes, changed_times
from .concept_totals import DIGEST_BYTES, ConceptTotals
from .content_tombstones import ContentTombstones
from .database import guard_errors
from .derived_table import read_derived
from .digest_key import MARK, DigestKey, KeyMark
from .fact_reads import DAMAGED, SCANNED_BYTES_MAX, FactReads, without_rows
from .forget_reads import ForgetReads
from .lists import Lists
from .pending_adaptors import COLUMNS as PENDING_COLUMNS
from .pending_adaptors import pending_from_row
from .receipt_reads import ReceiptReads
from .serialization import LazyArrays, unpack_arrays
from .series_tombstones import SeriesTombstones
from .tables import DOMAIN, FACT_COLUMNS, LABEL, fact_from_row, hash_id, require_width


class StoreReader(ForgetReads, ReceiptReads):
    """An open knowledge file, for reading; `Store` adds writing.

    Methods raise StateError if the file cannot be read, and StateCorruptError for content that this
    program cannot have written.
    """

    def __init__(self, path: Path, db: sqlite3.Connection, *, writable: bool) -> None:
        self.path = path
        self._db = db
        self._key = DigestKey(path, writable=writable, marked=lambda: self._key_mark().mark)
        self._hashes: dict[str, str] = {}
        self._records: dict[str, tuple[AdaptorRecord, ...]] | None = None
        self._ended: dict[str, PendingAdaptor] | None = None
        self._columns: tuple[str, ...] | None = None
        self._keys = self._tombstone_keys()
        self._width = int(self._meta("width") or b"0")
        if not (self._keys and self._width):
            raise StateCorruptError(
                f"opening {path}: its encoder card or its tombstone key is missing", DAMAGED
            )
        self._facts = FactReads(self._rows, self._width, path)
        self.buried = ContentTombstones(self._rows, self._keys)
        self._gone_samples: SeriesTombstones | None = None
        self._totals: ConceptTotals | None = None
        self._times = CaptureTimes()
        self._candidates: CandidateIndex | None = None
        self.lists = Lists(self._rows)

    def get(self, fact_id: str) -> Fact | None:
        """See `facts.Ledger`."""
        rows = self._rows(f"SELECT {FACT_COLUMNS} FROM facts WHERE id = ?", (fact_id,))
        return fact_from_row(rows[0], self._width, self.path) if rows else None

    def concepts(self) -> Mapping[Concept, int]:
        """See `facts.Ledger`."""
        return self._concept_totals().counts

    def contents(self) -> Mapping[Concept, str]:
        """See `facts.Ledger`."""
        return self._concept_totals().digests

    def _concept_totals(self) -> ConceptTotals:
        if self._totals is None:
            rows = self._rows(
                "SELECT domain, label, facts, digest FROM concepts ORDER BY domain, label"
            )
            try:
                self._totals = ConceptTotals(rows)
            except ValueError as error:
                raise StateCorruptError(f"reading {self.path}: {error}", DAMAGED) from error
        return self._totals

    def oldest(self, domain: str, label: str, count: int) -> tuple[str, ...]:
        """See `facts.Ledger`."""
        rows = self._rows(
            "SELECT id FROM facts WHERE domain = ? AND label = ?"
            " ORDER BY captured_at_ns, id LIMIT ?",
            (domain, label, count),
        )
        return tuple(row[0] for row in rows)

    def select(self, selector: Selector, limit: int = 0) -> tuple[str, ...]:
        """See `facts.Ledger`."""
        where, values = tables.where_facts(selector)
        # Without ORDER BY: it would visit all of them for a few.
        most = f" LIMIT {limit}" if limit else ""
        rows = self._rows(f"SELECT id FROM facts WHERE {where}{most}", values)
        return tuple(sorted(row[0] for row in rows))

    def batches(
        self,
        domain: str | None = None,
        without: AbstractSet[str] = frozenset(),
        label: str | None = None,
    ) -> Iterator[FactBatch]:
        """See `facts.Ledger`."""
        if domain is None:
            found = self._facts.every()
        elif label is None:
            found = self._facts.of_domain(domain)
        else:
            found = self._facts.of_concept(domain, label)
        return without_rows(found, without)

    def concept_features(
        self, concepts: Collection[Concept], without: AbstractSet[str] = frozenset()
    ) -> Iterator[tuple[Concept, NDArray[np.uint8]]]:
        """See `facts.Ledger`."""
        counts = self.concepts()
        wanted = sum(counts.get(concept, 0) for concept in concepts)
        most = 2 * wanted > sum(counts.values()) and not without
        if most and wanted * self._width <= SCANNED_BYTES_MAX:
            yield from self._facts.in_order_of_rows(concepts)
            return
        for domain, label in concepts:
            for batch in self.batches(domain, without, label):
                yield (domain, label), batch.features

    def sample(
        self,
        size: int,
        domains: Collection[str] | None = None,
        without: AbstractSet[str] = frozenset(),
    ) -> FactBatch:
        """See `facts.Ledger`."""
        every = {domain for domain, _ in self.concepts()}
        chosen = every if domains is None else every.intersection(domains)
        return self._facts.sample(size, sorted(chosen), without)

    def times(self, domain: str, without: AbstractSet[str] = frozenset()) -> NDArray[np.int64]:
        """See `facts.Ledger`."""
        found = self._times.of(domain, self._facts.times)
        gone = (fact for fact in map(self.get, without) if fact and fact.domain == domain)
        return changed_times(found, gone, ())

    def between(
        self, domain: str, spans: Sequence[Span], without: AbstractSet[str] = frozenset()
    ) -> Iterator[FactBatch]:
        """See `facts.Ledger`."""
        labels = [label for name, label in self.concepts() if name == domain]
        return self._facts.between(domain, labels, spans, without)

    def derived(
        self, name: str, key: str, *, domain: str = "", label: str = "", part: str = ""
    ) -> Mapping[str, NDArray[Any]] | None:
        """See `facts.Ledger`.  Arrays are read-only.  An entry that cannot be read is as good as
        none: if that is the disk's fault, the facts cannot be read either."""
        try:
            return read_derived(self._rows, (name, domain, label, part), key)
        except StateError:
            return None

    def pages(self) -> Iterator[list[Fact]]:
        """Yield all facts, sorted by id, a page at a time."""
        last = ""
        while rows := self._rows(
            f"SELECT {FACT_COLUMNS} FROM facts WHERE id > ? ORDER BY id LIMIT ?",
            (last, core_limits.BATCH_FACTS),
        ):
            yield [fact_from_row(row, self._width, self.path) for row in rows]
            last = rows[-1][0]

    def was_forgotten(self, fact_id: str) -> bool:
        """See `facts.Ledger`."""
        return any(
            self._rows(
                "SELECT 1 FROM tombstones WHERE key = ? AND hash = ?",
                (number, hash_id(key, fact_id)),
            )
            for number, key in self._keys
        )

    def resembles_forgotten(self, features: bytes) -> bool:
        """See `facts.Ledger`."""
        return self.buried.hold(features)

    def forgot_sample(self, stream: str, at_ns: int) -> bool:
        """See `facts.Ledger`."""
        return self.series_tombstones().hold(stream, at_ns)

    def series_tombstones(self) -> SeriesTombstones:
        """Return the times of forgotten samples of series."""
        if self._gone_samples is None:
            self._gone_samples = SeriesTombstones(self._keys, self._meta(series_tombstones.NAME))
        return self._gone_samples

    def geometry(self) -> Mapping[str, NDArray[Any]] | None:
        """See `facts.Ledger`."""
        packed = self._meta("geometry")
        if packed is None:
            return None
        # The digest of the facts does not cover the geometry: without this check a flipped bit
        # would change the knowledge unnoticed.
        if hashlib.sha256(packed).digest() != self._meta("geometry_sha256"):
            raise StateCorruptError(f"reading the geometry in {self.path}: it is damaged", DAMAGED)
        return unpack_arrays(packed)

    def evictions(self) -> int:
        """See `facts.Ledger`."""
        return int(self._meta("evictions") or b"0")

    def adaptors(self) -> Mapping[str, tuple[AdaptorRecord, ...]]:
        """See `facts.Ledger`.  Arrays are read on first access."""
        if self._records is None:
            self._records = self._read_records()
        return self._records

    def pending_adaptors(self) -> dict[str, PendingAdaptor]:
        """See `facts.Ledger`."""
        if self._ended is not None:
            return self._ended
        rows = self._rows(f"SELECT {PENDING_COLUMNS} FROM pending_adaptors ORDER BY domain")
        try:
            self._ended = {row[0]: pending_from_row(row) for row in rows}
        except ValueError as error:
            raise StateCorruptError(
                f"reading the pending adaptors in {self.path}: one is damaged", DAMAGED
            ) from error
        return self._ended

    def attempts(self) -> dict[str, str]:
        """See `facts.Ledger`."""
        return dict(self._rows("SELECT domain, hash FROM attempts ORDER BY domain"))

    def candidates(self) -> dict[str, LabelCandidate]:
        """See `facts.Ledger`."""
        rows = self._rows(f"SELECT {tables.CANDIDATE_COLUMNS} FROM candidates ORDER BY number")
        return {row[0]: tables.candidate_from_row(row) for row in rows}

    def candidate(self, observation_id: str) -> LabelCandidate | None:
        """See `facts.Ledger`."""
        query = f"SELECT {tables.CANDIDATE_COLUMNS} FROM candidates WHERE id = ?"
        rows = self._rows(query, (observation_id,))
        return tables.candidate_from_row(rows[0]) if rows else None

    def select_candidates(self, selector: Selector) -> tuple[str, ...]:
        """See `facts.Ledger`."""
        return self.candidate_index().select(selector)

    def candidate_index(self) -> CandidateIndex:
        """Return the label candidates without their features.  Cost: one pass over them at the
        first call."""
        if self._candidates is None:
            rows = self._rows(
                "SELECT id, stream, subject, domain, captured_at_ns, COALESCE(score, 'nan'),"
                " recording FROM candidates ORDER BY number"
            )
            self._candidates = CandidateIndex(
                (
                    key,
                    candidate_entry(
                        stream=stream,
                        subject=subject,
                        domain=domain,
                        captured_at_ns=at_ns,
                        score=float(score),
                        recording=recording,
                    ),
                )
                for key, stream, subject, domain, at_ns, score, recording in rows
            )
        return self._candidates

    def actions(self) -> tuple[Action, ...]:
        """See `facts.Ledger`."""
        return action_log.read_actions(self._rows)

    def kept_facts(self, selector: Selector) -> tuple[str, ...]:
        """See `facts.Ledger`."""
        where, values = tables.where_clause(selector)
        if selector.ids is None:
            return action_log.kept_facts(self._rows, where, values)
        found = (
            action_log.kept_facts(self._rows, f"({where}) AND id = ?", (*values, fact_id))
            for fact_id in sorted(selector.ids)
        )
        return tuple(fact_id for ids in found for fact_id in ids)

    def domain_merges(self) -> tuple[DomainMerge, ...]:
        """See `facts.Ledger`."""
        found = self._rows(
            "SELECT merge, source, target, at_ns, undone FROM domain_merges ORDER BY number"
        )
        return tuple(
            DomainMerge(
                id=merge,
                source=source,
                target=target,
                at_ns=at_ns,
                fact_ids=tuple(
                    row[0]
                    for row in self._rows(
                        "SELECT id FROM merged_facts WHERE merge = ? ORDER BY id", (merge,)
                    )
                ),
                undone=bool(undone),
            )
            for merge, source, target, at_ns, undone in found
        )

    def raw(self, observation_id: str) -> bytes | None:
        """Return the raw input of a candidate or a fact, None if it was not kept."""
        rows = self._rows("SELECT raw FROM raws WHERE id = ?", (observation_id,))
        return bytes(rows[0][0]) if rows else None

    def contributions(self) -> Mapping[str, Contribution]:
        """See `facts.Ledger`.  Arrays are read on first access."""
        rows = self._rows(
            f"SELECT {tables.CONTRIBUTION_COLUMNS} FROM contributions ORDER BY device"
        )
        try:
            return {row[0]: tables.contribution_from_row(row, self._read_sums) for row in rows}
        except ValueError as error:
            raise StateCorruptError(
                f"reading the contributions of other devices in {self.path}: {error}", DAMAGED
            ) from error

    def recalibrations(self, stream: str | None = None, /) -> dict[str, Recalibration]:
        """See `facts.Ledger`.  Records of another version are left out."""
        query = "SELECT stream, body, sha256 FROM recalibrations WHERE version = ?"
        query += " ORDER BY number" if stream is None else " AND stream = ?"
        rows = self._rows(query, (RECALIBRATION_VERSION, *(() if stream is None else (stream,))))
        try:
            return {stream: tables.recalibration_from_row(tuple(row)) for stream, *row in rows}
        except ValueError as error:
            raise StateCorruptError(
                f"reading the recalibration of streams in {self.path}: {error}", DAMAGED
            ) from error

    def columns(self) -> tuple[str, ...]:
        """See `facts.Ledger`."""
        if self._columns is None:
            self._columns = self._read_columns()
        return self._columns

    def _read_columns(self) -> tuple[str, ...]:
        body = self._meta("columns")
        try:
            return msgspec.json.decode(body, type=tuple[str, ...]) if body else ()
        except ValueError as error:
            raise StateCorruptError(
                f"reading the column names in {self.path}: {error}", DAMAGED
            ) from error

    @property
    def card_fingerprint(self) -> str:
        """Fingerprint of the encoder card the features were made with."""
        return (self._meta("card") or b"").decode()

    @property
    def unscrubbed(self) -> bool:
        """Whether the file's free space or its log may still contain erased facts."""
        return self._meta("unscrubbed") is not None

    def digest(self) -> str:
        """Return the hex digest of the facts, which does not depend on their order."""
        totals = self._count_again()
        return f"{sum(digest for _, digest in totals.values()) % (1 << DIGEST_BITS):064x}"

    def tombstones(self) -> Iterator[tuple[bytes, list[bytes]]]:
        """Yield each tombstone key with the hashes of the ids forgotten under it."""
        for number, key in self._keys:
            rows = self._rows("SELECT hash FROM tombstones WHERE key = ?", (number,))
            yield key, [row[0] for row in rows]

    def inputs_digest(self) -> str:
        """Return the hex digest of the inputs of the knowledge other than the facts: the geometry
        and the contributions of other devices."""
        rows = self._rows(
            "SELECT device, card, geometry, seed, revision, hex(sha256) FROM contributions"
            " ORDER BY device"
        )
        frozen = (self._meta("geometry_sha256") or b"").hex()
        return hashlib.sha256(msgspec.json.encode([frozen, rows])).hexdigest()

    def stamped(self, digests: Mapping[str, str]) -> dict[str, str]:
        """Return the last stamp of the digests `facts`, `beside` (`inputs_digest`) and `knowledge`:
        each of the given ones that it agrees with, and "another" for each that it does not.  Empty
        if the file was never stamped, or under another key."""
        body = self._meta("stamp")
        stamp = msgspec.json.decode(body, type=dict[str, str]) if body else {}
        now = self._keyed_stamp(digests)
        if stamp.get("key") != now["key"]:
            return {}
        return {
            name: digest if stamp.get(name) == now[name] else "another"
            for name, digest in digests.items()
        }

    def _key_mark(self) -> KeyMark:
        body = self._meta(MARK)
        return msgspec.json.decode(body, type=KeyMark) if body else KeyMark("")

    def key_problem(self) -> str:
        """Return why the home's key can't be used; '' if it can."""
        try:
            self._key.mark()
        except StateError as error:
            return f"{error.message}; {error.hint}"
        return ""

    def unchecked_receipts(self) -> int:
        """Count the receipts that were stated under a key of the home that was lost since."""
        after = self._key_mark().after
        return int(self._rows("SELECT COUNT(*) FROM receipts WHERE number <= ?", (after,))[0][0])

    @property
    def merged(self) -> bool:
        """Whether another ledger was ever merged into this one."""
        return len(self._keys) > 1

    def _keyed_stamp(self, digests: Mapping[str, str]) -> dict[str, str]:
        keyed = {name: self._key.of(f"stamp {name}", digest) for name, digest in digests.items()}
        return keyed | {"key": self._key.of("stamp", "")}

    def written_digest(self) -> str:
        """Return the digest of the facts as written, updated with each change.  If `digest`,
        computed from the file, differs, the file is damaged."""
        return (self._meta("digest") or bytes(DIGEST_BYTES)).hex()

    def check(self) -> tuple[str, ...]:
        """Return the errors that SQLite's integrity check and the digests find, none for an intact
        file."""
        rows = self._rows("PRAGMA integrity_check")
        lines = [line for row in rows for line in row[0].splitlines()]
        found = [line for line in lines if line != "ok" and not line.startswith("***")]
        return tuple(found) or tuple(self._damage())

    def _damage(self) -> Iterator[str]:
        try:
            self.geometry()
            yield from self._damaged_facts()
            wrong = find_invalid_columns(self._read_columns(), len(self._read_columns()))
            if wrong:
                yield f"the column names are damaged: {wrong}"
            self.recalibrations()
            for one in self.contributions().values():
                len(one.arrays)
            for versions in self._read_records().values():
                for record in versions:
                    len(record.arrays)
        except StateCorruptError as error:
            yield error.message

    def _damaged_facts(self) -> Iterator[str]:
        """Yield what differs between the facts, and the digests, totals and ranks kept of them."""
        totals = self._count_again()
        counts = {concept: count for concept, (count, _) in totals.items()}
        digests = {concept: f"{digest:064x}" for concept, (_, digest) in totals.items()}
        total = sum(digest for _, digest in totals.values()) % (1 << DIGEST_BITS)
        if f"{total:064x}" != self.written_digest():
            yield "the facts differ from those that were written: the file is damaged"
        elif (counts, digests) != (self.concepts(), self.contents()):
            yield "the totals of concepts differ from the facts: the file is damaged"
        elif self._misplaced_ranks() or self._rows("SELECT COUNT(*) FROM ranks") != [
            (sum(counts.values()),)
        ]:
            yield "the ranks of facts differ from the facts: the file is damaged"

    def _count_again(self) -> dict[Concept, tuple[int, int]]:
        """Return the number and the digest of each concept's facts, from the facts, in the order
        in which they lie in the file."""
        totals: dict[Concept, tuple[int, int]] = {}
        last = -1
        while rows := self._rows(
            f"SELECT rowid, {FACT_COLUMNS} FROM facts WHERE rowid > ? ORDER BY rowid LIMIT ?",
            (last, core_limits.BATCH_FACTS),
        ):
            for _, *fields in rows:
                row = tuple(fields)
                require_width(row, self._width, self.path)
                concept = (row[DOMAIN], row[LABEL])
                count, digest = totals.get(concept, (0, 0))
                try:
                    more = int.from_bytes(hash_fields(row), "little")
                except (AttributeError, TypeError, struct.error) as error:
                    raise StateCorruptError(
                        f"reading {self.path}: a field of {row[0]!r} is of another type", DAMAGED
                    ) from error
                totals[concept] = count + 1, (digest + more) % (1 << DIGEST_BITS)
            last = rows[-1][0]
        return totals

    def _misplaced_ranks(self) -> bool:
        self._db.create_function("rank_of", 1, rank_number, deterministic=True)
        return bool(
            self._rows(
                "SELECT 1 FROM facts WHERE NOT EXISTS (SELECT 1 FROM ranks WHERE"
                " ranks.domain = facts.domain AND rank = rank_of(facts.id) AND"
                " ranks.id = facts.id) LIMIT 1"
            )
        )

    def _read_records(self) -> dict[str, tuple[AdaptorRecord, ...]]:
        found: dict[str, tuple[AdaptorRecord, ...]] = {}
        rows = self._rows(
            "SELECT number, digest, domain, version, blueprint, own, seed, accuracy, incumbent,"
            " provisional FROM adaptors WHERE kept_for IS NULL ORDER BY domain, number DESC"
        )
        for number, digest, *values in rows:
            shaped = "SELECT id FROM adaptor_facts WHERE adaptor = ? ORDER BY id"
            facts = self._rows(shaped, (number,))
            try:
                bare = tables.adaptor_from_row(tuple(values), {}, (row[0] for row in facts))
            except ValueError as error:
                raise self._damaged_adaptor(values[0], values[1]) from error
            load = partial(self._read_arrays, number, digest, bare)
            found[bare.domain] = (
                *found.get(bare.domain, ()),
                replace(bare, arrays=LazyArrays(load)),
            )
        return found

    def _read_arrays(
        self, number: int, digest: str, bare: AdaptorRecord
    ) -> Mapping[str, NDArray[Any]]:
        """Read an adaptor's arrays and check the digest of the whole record."""
        rows = self._rows("SELECT arrays FROM adaptors WHERE number = ?", (number,))
        try:
            arrays = unpack_arrays(rows[0][0] if rows else b"")
        except ValueError as error:
            raise self._damaged_adaptor(bare.domain, bare.version) from error
        if replace(bare, arrays=arrays).digest != digest:
            raise self._damaged_adaptor(bare.domain, bare.version)
        return arrays

    def _read_sums(self, device: str) -> Mapping[str, NDArray[Any]]:
        """Read the arrays of a device's contribution and check their checksum."""
        rows = self._rows("SELECT arrays, sha256 FROM contributions WHERE device = ?", (device,))
        try:
            return tables.verified_arrays(*(rows[0] if rows else (b"", b"")))
        except ValueError as error:
            raise StateCorruptError(
                f"reading the contribution of {device} in {self.path}: it is damaged", DAMAGED
            ) from error

    def _damaged_adaptor(self, domain: str, version: int) -> StateCorruptError:
        return StateCorruptError(
            f"reading version {version} of the adaptor of {domain} in {self.path}: it is damaged",
            DAMAGED,
        )

    def _confirmed_ids(self) -> set[str]:
        """Return the ids of the observations in confirmed alarms."""
        alarms = (alarm for one in self.recalibrations().values() for alarm in one.confirmed)
        return {fact_id for alarm in alarms for fact_id in alarm.observation_ids}

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with guard_errors(self.path, "reading"):
            return self._db.execute(sql, values).fetchall()

    def _meta(self, name: str) -> bytes | None:
        rows = self._rows("SELECT value FROM meta WHERE name = ?", (name,))
        return bytes(rows[0][0]) if rows else None

    def _tombstone_keys(self) -> list[tuple[int, bytes]]:
        return [
            (n, key) for n, key in self._rows("SELECT number, key FROM burial_keys ORDER BY number")
        ]
