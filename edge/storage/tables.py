"""The tables of the knowledge file: rows, the values they encode, and the SQL that writes them.

Functions that take `db` run inside a transaction that their caller has begun.
"""

import hashlib
import hmac
import math
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from numpy.typing import NDArray

from ..core import (
    MEMBERS,
    Contribution,
    DomainMerge,
    Fact,
    LabelCandidate,
    Recalibration,
    Selector,
    StateCorruptError,
)
from ..core import limits as core_limits
from ..core.adaptors import AdaptorRecord
from .pending_adaptors import drop_pending, keep_blueprints
from .serialization import LazyArrays, pack_arrays, unpack_arrays
from .stored_blueprint import decode_blueprint, encode_blueprint

FACT_COLUMNS: Final = (
    "id, stream, domain, label, captured_at_ns, features, subject, revision, recording"
)
"""Columns of `facts`, in the order of Fact's fields."""

FACT_FIELDS: Final = FACT_COLUMNS.split(", ")
DOMAIN, LABEL, FEATURES = map(FACT_FIELDS.index, ("domain", "label", "features"))

CANDIDATE_COLUMNS: Final = "id, stream, subject, domain, captured_at_ns, score, features, recording"
"""Columns of `candidates` without their number."""

CONTRIBUTION_COLUMNS: Final = (
    "device, card, geometry, geometry_version, seed, revision, samples, columns, devices"
)
"""Columns of `contributions` without the arrays and their checksum."""

TABLES_WITH_IDS: Final = (
    "facts",
    "adaptor_facts",
    "candidates",
    "raws",
    "merged_facts",
    "action_facts",
    "evictors",
    "placed_facts",
)
"""Tables whose column `id` holds an observation id."""

RAW_BYTES_MAX: Final = 64 << 20
"""Total size of the raw inputs kept: about a thousand camera images.  Chosen by hand; effect not
measured."""


def put_meta(db: sqlite3.Connection, name: str, value: bytes) -> None:
    """Write a named value of `meta`."""
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


# --- facts ----------------------------------------------------------------------------------------


def fact_from_row(row: tuple[Any, ...], width: int, path: Path) -> Fact:
    """Return the fact of a row; raises StateCorruptError unless its features are `width` bytes."""
    require_width(row, width, path)
    return Fact(**dict(zip(FACT_FIELDS, row, strict=True)))


def require_width(row: tuple[Any, ...], width: int, path: Path) -> None:
    """Raise StateCorruptError unless the features of a row of FACT_COLUMNS are `width` bytes."""
    features = row[FEATURES]
    if not isinstance(features, bytes) or len(features) != width:
        raise StateCorruptError(
            f"reading {path}: the features of {row[0]!r} are not {width} bytes",
            "keep the damaged file and restore the last backup",
        )


def fact_to_row(fact: Fact) -> tuple[Any, ...]:
    """Return a fact's values in the order of FACT_COLUMNS."""
    return (
        fact.id,
        fact.stream,
        fact.domain,
        fact.label,
        fact.captured_at_ns,
        fact.features,
        fact.subject,
        fact.revision,
        fact.recording,
    )


def where_clause(selector: Selector) -> tuple[str, tuple[Any, ...]]:
    """Return SQL and its parameters for every field but `ids`, which may exceed SQLite's limit of
    parameters."""
    terms = [
        (f"{name} = ?", getattr(selector, name))
        for name in ("subject", "stream", "domain", "label", "recording")
    ]
    terms += [("captured_at_ns >= ?", selector.from_ns), ("captured_at_ns < ?", selector.until_ns)]
    used = [(term, value) for term, value in terms if value is not None]
    # Said once more without a parameter, so that SQLite may use the indexes of the facts that have
    # a subject or a recording.
    named = [f"{n} != ''" for n in ("subject", "recording") if getattr(selector, n)]
    where = " AND ".join([*(term for term, _ in used), *named]) or "1"
    return where, tuple(value for _, value in used)


def where_facts(selector: Selector) -> tuple[str, tuple[Any, ...]]:
    """Return SQL and its parameters for every field, `ids` included."""
    where, values = where_clause(selector)
    if selector.ids is None:
        return where, values
    named = msgspec.json.encode(sorted(selector.ids)).decode()
    return f"({where}) AND id IN (SELECT value FROM json_each(?))", (*values, named)


# --- tombstones ----------------------------------------------------------------------


def hash_id(key: bytes, fact_id: str) -> bytes:
    """Return the tombstone of a forgotten id: its HMAC-SHA256 under a key of the file."""
    return hmac.new(key, fact_id.encode(), hashlib.sha256).digest()


# --- adaptors and label candidates ----------------------------------------------------------------


def replace_adaptor(
    db: sqlite3.Connection, record: AdaptorRecord, action: int | None = None
) -> None:
    """Write an adaptor version and delete its domain's versions beyond the limit.  action: keep
    these aside for the action of this number."""
    # The newest version of a domain drops those kept aside there.
    db.execute(
        "DELETE FROM adaptors WHERE domain = ? AND (version = ? OR kept_for IS NOT NULL)",
        (record.domain, record.version),
    )
    _drop_oldest(db, record.domain, core_limits.VERSIONS_MAX - 1, action)
    # Before the insertion: SQLite may give the number of a deleted row to the next one.
    delete_orphaned_ids(db)
    insert_adaptor(db, record)


def insert_adaptor(db: sqlite3.Connection, record: AdaptorRecord) -> None:
    """Write an adaptor version and keep all others."""
    number = db.execute(
        "INSERT INTO adaptors (domain, version, blueprint, arrays, own, seed, accuracy, incumbent,"
        " digest, provisional) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            record.domain,
            record.version,
            encode_blueprint(record.blueprint),
            pack_arrays(record.arrays),
            record.own,
            record.seed,
            nan_to_null(record.accuracy),
            nan_to_null(record.incumbent),
            record.digest,
            int(record.provisional),
        ),
    ).lastrowid
    rows = [(number, fact_id) for fact_id in record.facts]
    db.executemany("INSERT INTO adaptor_facts VALUES (?, ?)", rows)
    drop_pending(db, record.domain)


def prune_adaptors(db: sqlite3.Connection, domain: str) -> None:
    """Delete a domain's oldest versions beyond the limit."""
    _drop_oldest(db, domain, core_limits.VERSIONS_MAX, None)
    delete_orphaned_ids(db)


def _drop_oldest(db: sqlite3.Connection, domain: str, kept: int, action: int | None) -> None:
    """Delete the serving versions of a domain but the newest, or keep them aside for an action."""
    oldest = (
        "domain = ?1 AND kept_for IS NULL AND number NOT IN (SELECT number FROM adaptors"
        " WHERE domain = ?1 AND kept_for IS NULL ORDER BY number DESC LIMIT ?2)"
    )
    if action is None:
        db.execute(f"DELETE FROM adaptors WHERE {oldest}", (domain, kept))
    else:
        db.execute(f"UPDATE adaptors SET kept_for = ?3 WHERE {oldest}", (domain, kept, action))


def delete_adaptor(
    db: sqlite3.Connection, domain: str, version: int, action: int | None = None
) -> None:
    """Delete a serving adaptor version, or a pending one, if it exists.  action: keep it aside for
    the action of this number."""
    drop_pending(db, domain, version)
    place = "domain = ?1 AND version = ?2 AND kept_for IS NULL"
    if action is None:
        db.execute(f"DELETE FROM adaptors WHERE {place}", (domain, version))
        delete_orphaned_ids(db)
    else:
        db.execute(f"UPDATE adaptors SET kept_for = ?3 WHERE {place}", (domain, version, action))


def adaptor_from_row(
    row: tuple[Any, ...], arrays: Mapping[str, NDArray[Any]], facts: Iterable[str]
) -> AdaptorRecord:
    """Return the record of (domain, version, blueprint, own, seed, accuracy, incumbent,
    provisional); raises ValueError for an invalid blueprint."""
    domain, version, blueprint, own, seed, accuracy, incumbent, provisional = row
    return AdaptorRecord(
        domain=domain,
        version=version,
        blueprint=decode_blueprint(blueprint),
        arrays=arrays,
        facts=tuple(facts),
        own=own,
        seed=seed,
        accuracy=null_to_nan(accuracy),
        incumbent=null_to_nan(incumbent),
        provisional=bool(provisional),
    )


def store_candidates(
    db: sqlite3.Connection, candidates: Iterable[LabelCandidate], leaving: Iterable[str]
) -> None:
    """Write label candidates, replacing those with the same id; delete the oldest, beyond the
    limit."""
    db.executemany(
        "INSERT INTO candidates (id, stream, subject, domain, captured_at_ns, score, features,"
        " recording) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
        " stream = excluded.stream, subject = excluded.subject, domain = excluded.domain,"
        " score = excluded.score, captured_at_ns = excluded.captured_at_ns,"
        " features = excluded.features, recording = excluded.recording",
        [
            (
                one.observation_id,
                one.stream,
                one.subject,
                one.domain,
                one.captured_at_ns,
                nan_to_null(one.score),
                one.features,
                one.recording,
            )
            for one in candidates
        ],
    )
    delete_candidates(db, leaving)


def candidate_from_row(row: tuple[Any, ...]) -> LabelCandidate:
    """Return the candidate of a row of CANDIDATE_COLUMNS."""
    fact_id, stream, subject, domain, captured_at_ns, score, features, recording = row
    return LabelCandidate(
        observation_id=fact_id,
        stream=stream,
        subject=subject,
        domain=domain,
        captured_at_ns=captured_at_ns,
        score=null_to_nan(score),
        features=features,
        recording=recording,
    )


def delete_candidates(db: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Delete candidates that were labelled, evicted or forgotten."""
    db.executemany("DELETE FROM candidates WHERE id = ?", [(fact_id,) for fact_id in ids])


def delete_raw_inputs(db: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Delete the raw inputs of facts that were evicted or forgotten."""
    db.executemany("DELETE FROM raws WHERE id = ?", [(fact_id,) for fact_id in ids])


def store_raw_inputs(db: sqlite3.Connection, raws: Mapping[str, bytes]) -> None:
    """Write raw inputs by id, unless they are stored; delete those of neither a candidate nor a
    fact, and the oldest beyond the limit."""
    db.executemany("INSERT OR IGNORE INTO raws (id, raw) VALUES (?, ?)", list(raws.items()))
    db.execute(
        "DELETE FROM raws WHERE id NOT IN (SELECT id FROM candidates)"
        " AND id NOT IN (SELECT id FROM facts)"
    )
    db.execute(
        "DELETE FROM raws WHERE number IN (SELECT number FROM (SELECT number, SUM(LENGTH(raw))"
        " OVER (ORDER BY number DESC) AS newer FROM raws) WHERE newer > ?)",
        (RAW_BYTES_MAX,),
    )


def erase_growth(db: sqlite3.Connection, ids: Sequence[str]) -> None:
    """Delete every adaptor version that one of these facts shaped, every candidate among them,
    their place in merges of domains, and all records of growth attempts.  How the serving versions
    were made is kept, to make them again."""
    keep_blueprints(db, ids)
    rows = [(fact_id,) for fact_id in ids]
    shaped = "DELETE FROM adaptors WHERE number IN (SELECT adaptor FROM adaptor_facts WHERE id = ?)"
    if db.executemany(shaped, rows).rowcount:
        delete_orphaned_ids(db)
    delete_candidates(db, ids)
    delete_raw_inputs(db, ids)
    delete_from_merges(db, ids)
    db.execute("DELETE FROM attempts")


def delete_orphaned_ids(db: sqlite3.Connection) -> None:
    """Delete the fact ids of adaptor versions that no longer exist."""
    db.execute("DELETE FROM adaptor_facts WHERE adaptor NOT IN (SELECT number FROM adaptors)")


def nan_to_null(number: float) -> float | None:
    """Return None for NaN, which SQLite cannot store."""
    return None if math.isnan(number) else float(number)


def null_to_nan(number: float | None) -> float:
    """Return NaN for None."""
    return math.nan if number is None else number


# --- merges of domains ----------------------------------------------------------------------------


def store_merge(db: sqlite3.Connection, one: DomainMerge) -> None:
    """Write a merge of domains, replacing the record of the same id; delete the oldest beyond the
    limit."""
    db.execute("DELETE FROM domain_merges WHERE merge = ?", (one.id,))
    db.execute("DELETE FROM merged_facts WHERE merge = ?", (one.id,))
    db.execute(
        "INSERT INTO domain_merges (merge, source, target, at_ns, undone) VALUES (?, ?, ?, ?, ?)",
        (one.id, one.source, one.target, one.at_ns, one.undone),
    )
    rows = [(one.id, fact_id) for fact_id in one.fact_ids]
    db.executemany("INSERT INTO merged_facts VALUES (?, ?)", rows)
    db.execute(
        "DELETE FROM domain_merges WHERE number NOT IN"
        " (SELECT number FROM domain_merges ORDER BY number DESC LIMIT ?)",
        (core_limits.DOMAIN_MERGES_MAX,),
    )
    db.execute("DELETE FROM merged_facts WHERE merge NOT IN (SELECT merge FROM domain_merges)")


def delete_from_merges(db: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Delete facts that were evicted or forgotten from the merges, and merges left without any."""
    db.executemany("DELETE FROM merged_facts WHERE id = ?", [(fact_id,) for fact_id in ids])
    db.execute("DELETE FROM domain_merges WHERE merge NOT IN (SELECT merge FROM merged_facts)")


# --- recalibration --------------------------------------------------------------------------------


def store_recalibration(db: sqlite3.Connection, stream: str, record: Recalibration | None) -> None:
    """Write a stream's recalibration in place of the previous one, None to delete it; delete the
    oldest beyond the limit."""
    db.execute("DELETE FROM recalibrations WHERE stream = ?", (stream,))
    if record is None:
        return
    body = msgspec.msgpack.encode(record)
    db.execute(
        "INSERT INTO recalibrations (number, stream, version, body, sha256) VALUES"
        " ((SELECT COALESCE(MAX(number), 0) + 1 FROM recalibrations), ?, ?, ?, ?)",
        (stream, record.version, body, hashlib.sha256(body).digest()),
    )
    db.execute(
        "DELETE FROM recalibrations WHERE number NOT IN"
        " (SELECT number FROM recalibrations ORDER BY number DESC LIMIT ?)",
        (core_limits.STREAMS_MAX,),
    )


def recalibration_from_row(row: tuple[Any, ...]) -> Recalibration:
    """Return the record of (body, sha256); raises ValueError if it is damaged."""
    body, sha256 = row
    if hashlib.sha256(body).digest() != sha256:
        raise ValueError("the checksum differs")
    return msgspec.msgpack.decode(body, type=Recalibration)


# --- contributions of other devices ---------------------------------------------------------------


def store_contribution(db: sqlite3.Connection, one: Contribution) -> None:
    """Write a device's contribution, replacing the previous one."""
    body = pack_arrays(one.arrays) if one.samples else b""
    head = (one.device, one.card, one.geometry, one.geometry_version, one.seed, one.revision)
    columns = msgspec.json.encode(one.columns).decode()
    db.execute(
        "INSERT OR REPLACE INTO contributions (device, card, geometry, geometry_version, seed,"
        " revision, samples, columns, devices, arrays, sha256)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*head, one.samples, columns, one.devices, body, hashlib.sha256(body).digest()),
    )


def contribution_from_row(
    row: tuple[Any, ...], load: Callable[[str], Mapping[str, NDArray[Any]]]
) -> Contribution:
    """Return the contribution of a row of CONTRIBUTION_COLUMNS.  load: reads a device's arrays, on
    first access if the row says how many devices they are of.  Raises ValueError for invalid column
    names."""
    device, card, geometry, version, seed, revision, samples, columns, devices = row
    arrays = LazyArrays(lambda: load(device)) if samples else {}
    if not devices:
        devices = len(arrays.get(MEMBERS, (device,)))
    return Contribution(
        device=device,
        card=card,
        geometry=geometry,
        geometry_version=version,
        seed=seed,
        revision=revision,
        samples=samples,
        arrays=arrays,
        columns=msgspec.json.decode(columns, type=tuple[str, ...]),
        devices=devices,
    )


def verified_arrays(body: bytes, sha256: bytes) -> Mapping[str, NDArray[Any]]:
    """Return the arrays of a stored body; raises ValueError if its checksum differs."""
    if hashlib.sha256(body).digest() != sha256:
        raise ValueError("the checksum differs")
    return unpack_arrays(body)
