"""The tables of growth in the knowledge file: adaptors, the facts that shaped them, candidates.

Every function takes part in a transaction that its caller has begun.
"""

import math
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from numpy.typing import NDArray

import nas

from ..core import LabelCandidate
from ..core import limits as core_limits
from ..core.adaptors import AdaptorRecord
from .serialization import pack_arrays

TABLES_WITH_IDS: Final = ("facts", "adaptor_facts", "candidates", "raws")
"""Tables whose column `id` names an observation."""

RAW_BYTES_MAX: Final = 64 << 20
"""Of all raw inputs that are kept together."""


def put_adaptor(db: sqlite3.Connection, record: AdaptorRecord) -> None:
    """Write an adaptor version, and drop those of its domain that are too many."""
    db.execute(
        "DELETE FROM adaptors WHERE domain = ?1 AND (version = ?2 OR number NOT IN"
        " (SELECT number FROM adaptors WHERE domain = ?1 ORDER BY number DESC LIMIT ?3))",
        (record.domain, record.version, core_limits.VERSIONS_MAX - 1),
    )
    # Before the insertion: SQLite gives the number of a row that is gone to the next one.
    _drop_stray_facts(db)
    add_attempt(db, record)


def prune_adaptors(db: sqlite3.Connection, domain: str) -> None:
    """Drop the versions of a domain that are too many."""
    db.execute(
        "DELETE FROM adaptors WHERE domain = ?1 AND number NOT IN"
        " (SELECT number FROM adaptors WHERE domain = ?1 ORDER BY number DESC LIMIT ?2)",
        (domain, core_limits.VERSIONS_MAX),
    )
    _drop_stray_facts(db)


def add_attempt(db: sqlite3.Connection, record: AdaptorRecord) -> None:
    """Write an adaptor version beside those that are there."""
    number = db.execute(
        "INSERT INTO adaptors (domain, version, blueprint, arrays, own, seed, accuracy, incumbent,"
        " digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        _row_of(record),
    ).lastrowid
    rows = [(number, fact_id) for fact_id in record.facts]
    db.executemany("INSERT INTO adaptor_facts VALUES (?, ?)", rows)


def remove_adaptor(db: sqlite3.Connection, domain: str, version: int) -> None:
    """Delete an adaptor version."""
    db.execute("DELETE FROM adaptors WHERE domain = ? AND version = ?", (domain, version))
    _drop_stray_facts(db)


def put_candidates(db: sqlite3.Connection, candidates: Iterable[LabelCandidate]) -> None:
    """Write candidates for a label, in place of those with the same id; the newest stay."""
    db.executemany(
        "INSERT INTO candidates (id, stream, subject, domain, captured_at_ns, score, features)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET stream = excluded.stream,"
        " subject = excluded.subject, domain = excluded.domain, score = excluded.score,"
        " captured_at_ns = excluded.captured_at_ns, features = excluded.features",
        [_row_of_candidate(one) for one in candidates],
    )
    db.execute(
        "DELETE FROM candidates WHERE number NOT IN"
        " (SELECT number FROM candidates ORDER BY number DESC LIMIT ?)",
        (core_limits.CANDIDATES_MAX,),
    )


def keep_raw_inputs(db: sqlite3.Connection, raws: Mapping[str, bytes]) -> None:
    """Write the raw inputs of candidates; those of others, and the oldest beyond the limit, go."""
    db.executemany("INSERT OR REPLACE INTO raws (id, raw) VALUES (?, ?)", list(raws.items()))
    db.execute("DELETE FROM raws WHERE id NOT IN (SELECT id FROM candidates)")
    db.execute(
        "DELETE FROM raws WHERE number IN (SELECT number FROM (SELECT number, SUM(LENGTH(raw))"
        " OVER (ORDER BY number DESC) AS newer FROM raws) WHERE newer > ?)",
        (RAW_BYTES_MAX,),
    )


def forget_growth(db: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Delete every adaptor version that any of these facts shaped, every candidate among them, and
    all that is noted about attempts."""
    rows = [(fact_id,) for fact_id in ids]
    shaped = "DELETE FROM adaptors WHERE number IN (SELECT adaptor FROM adaptor_facts WHERE id = ?)"
    db.executemany(shaped, rows)
    _drop_stray_facts(db)
    drop_candidates(db, ids)
    db.execute("DELETE FROM attempts")


def drop_candidates(db: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Delete candidates, with their raw inputs: labelled, evicted or forgotten."""
    rows = [(fact_id,) for fact_id in ids]
    db.executemany("DELETE FROM candidates WHERE id = ?", rows)
    db.executemany("DELETE FROM raws WHERE id = ?", rows)


def record_of(
    row: tuple[Any, ...], arrays: Mapping[str, NDArray[Any]], facts: Iterable[str]
) -> AdaptorRecord:
    """Make an adaptor version of domain, version, blueprint, own, seed, accuracy and incumbent;
    raises ValueError for a blueprint that cannot be one."""
    domain, version, blueprint, own, seed, accuracy, incumbent = row
    return AdaptorRecord(
        domain=domain,
        version=version,
        blueprint=msgspec.json.decode(blueprint, type=nas.Blueprint),
        arrays=arrays,
        facts=tuple(facts),
        own=own,
        seed=seed,
        accuracy=_or_nan(accuracy),
        incumbent=_or_nan(incumbent),
    )


def candidate_of(row: tuple[Any, ...]) -> LabelCandidate:
    """Make a candidate of id, stream, subject, domain, captured_at_ns, score and features."""
    fact_id, stream, subject, domain, captured_at_ns, score, features = row
    return LabelCandidate(
        observation_id=fact_id,
        stream=stream,
        subject=subject,
        domain=domain,
        captured_at_ns=captured_at_ns,
        score=_or_nan(score),
        features=features,
    )


def _row_of(record: AdaptorRecord) -> tuple[Any, ...]:
    return (
        record.domain,
        record.version,
        msgspec.json.encode(record.blueprint).decode(),
        pack_arrays(record.arrays),
        record.own,
        record.seed,
        _or_null(record.accuracy),
        _or_null(record.incumbent),
        record.digest,
    )


def _row_of_candidate(candidate: LabelCandidate) -> tuple[Any, ...]:
    names = ("observation_id", "stream", "subject", "domain", "captured_at_ns")
    given = tuple(getattr(candidate, name) for name in names)
    return (*given, _or_null(candidate.score), candidate.features)


def _drop_stray_facts(db: sqlite3.Connection) -> None:
    """Delete the ids that belonged to adaptor versions which are gone."""
    db.execute("DELETE FROM adaptor_facts WHERE adaptor NOT IN (SELECT number FROM adaptors)")


def _or_null(number: float) -> float | None:
    """Turn NaN into what SQLite stores in its place."""
    return None if math.isnan(number) else float(number)


def _or_nan(number: float | None) -> float:
    return math.nan if number is None else number
