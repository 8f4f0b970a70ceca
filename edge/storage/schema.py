"""The layout of the knowledge file, version by version.

docs/explanation/state.md describes every column.

`MIGRATIONS[n]` migrates a file from version n to n + 1; a new file runs all of them.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from ..core import DIGEST_BITS, Fact, digest_facts, rank_number

APPLICATION_ID: Final = 0x41555243
"""'AURC' in the SQLite header: distinguishes a knowledge file from any other database."""

MIGRATIONS: Final[list[str]] = [
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE facts (
        id TEXT NOT NULL UNIQUE,
        stream TEXT NOT NULL,
        subject TEXT NOT NULL,
        domain TEXT NOT NULL,
        label TEXT NOT NULL,
        captured_at_ns INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        features BLOB NOT NULL
    );
    CREATE INDEX facts_by_concept ON facts (domain, label, captured_at_ns, id);
    CREATE TABLE burial_keys (number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE);
    CREATE TABLE tombstones (
        key INTEGER NOT NULL REFERENCES burial_keys (number),
        hash BLOB NOT NULL,
        PRIMARY KEY (key, hash)
    ) WITHOUT ROWID;
    CREATE TABLE receipts (
        number INTEGER PRIMARY KEY,
        requested_at_ns INTEGER NOT NULL,
        body TEXT NOT NULL
    );
    """,
    """
    CREATE TABLE adaptors (
        number INTEGER PRIMARY KEY,
        domain TEXT NOT NULL,
        version INTEGER NOT NULL,
        blueprint TEXT NOT NULL,
        arrays BLOB NOT NULL,
        own INTEGER NOT NULL,
        seed INTEGER NOT NULL,
        accuracy REAL,
        incumbent REAL,
        digest TEXT NOT NULL,
        UNIQUE (domain, version)
    );
    CREATE TABLE adaptor_facts (
        adaptor INTEGER NOT NULL REFERENCES adaptors (number),
        id TEXT NOT NULL,
        PRIMARY KEY (adaptor, id)
    ) WITHOUT ROWID;
    CREATE INDEX adaptor_facts_by_id ON adaptor_facts (id);
    CREATE TABLE attempts (domain TEXT PRIMARY KEY, hash TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE candidates (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        stream TEXT NOT NULL,
        subject TEXT NOT NULL,
        domain TEXT NOT NULL,
        captured_at_ns INTEGER NOT NULL,
        score REAL,
        features BLOB NOT NULL
    );
    """,
    """
    CREATE TABLE contributions (
        device TEXT PRIMARY KEY,
        card TEXT NOT NULL,
        geometry TEXT NOT NULL,
        seed INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        samples INTEGER NOT NULL,
        arrays BLOB NOT NULL,
        sha256 BLOB NOT NULL
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE raws (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, raw BLOB NOT NULL);
    """,
    """
    CREATE TABLE commands (
        id BLOB PRIMARY KEY,
        payload BLOB NOT NULL,
        verb TEXT NOT NULL,
        at_ns INTEGER NOT NULL,
        expires_at_ns INTEGER NOT NULL,
        done INTEGER NOT NULL,
        answer BLOB
    ) WITHOUT ROWID;
    CREATE TABLE replaced_contributions (
        device TEXT PRIMARY KEY,
        card TEXT NOT NULL,
        geometry TEXT NOT NULL,
        seed INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        samples INTEGER NOT NULL,
        arrays BLOB NOT NULL,
        sha256 BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX receipts_by_request ON receipts (json_extract(body, '$.request_id'));
    """,
    """
    ALTER TABLE contributions ADD COLUMN columns TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE replaced_contributions ADD COLUMN columns TEXT NOT NULL DEFAULT '[]';
    """,
    """
    ALTER TABLE facts ADD COLUMN recording TEXT NOT NULL DEFAULT '';
    ALTER TABLE candidates ADD COLUMN recording TEXT NOT NULL DEFAULT '';
    """,
    """
    CREATE TABLE recalibrations (
        number INTEGER PRIMARY KEY,
        stream TEXT NOT NULL UNIQUE,
        version INTEGER NOT NULL,
        body BLOB NOT NULL,
        sha256 BLOB NOT NULL
    );
    """,
    """
    CREATE TABLE domain_merges (
        number INTEGER PRIMARY KEY,
        merge TEXT NOT NULL UNIQUE,
        source TEXT NOT NULL,
        target TEXT NOT NULL,
        at_ns INTEGER NOT NULL,
        undone INTEGER NOT NULL
    );
    CREATE TABLE merged_facts (
        merge TEXT NOT NULL,
        id TEXT NOT NULL,
        PRIMARY KEY (merge, id)
    ) WITHOUT ROWID;
    CREATE INDEX merged_facts_by_id ON merged_facts (id);
    """,
    """
    CREATE TABLE concepts (
        domain TEXT NOT NULL,
        label TEXT NOT NULL,
        facts INTEGER NOT NULL,
        digest BLOB NOT NULL,
        PRIMARY KEY (domain, label)
    ) WITHOUT ROWID;
    INSERT INTO concepts
        SELECT domain, label, COUNT(*), digest_of(id, stream, domain, label, captured_at_ns,
            features, subject, revision, recording)
        FROM facts GROUP BY domain, label;
    CREATE TABLE ranks (
        domain TEXT NOT NULL,
        rank INTEGER NOT NULL,
        id TEXT NOT NULL,
        PRIMARY KEY (domain, rank, id)
    ) WITHOUT ROWID;
    INSERT INTO ranks SELECT domain, rank_of(id), id FROM facts ORDER BY 1, 2, 3;
    CREATE INDEX facts_by_subject ON facts (subject, id) WHERE subject != '';
    CREATE INDEX facts_by_recording ON facts (recording, id) WHERE recording != '';
    CREATE TABLE derived (
        number INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        domain TEXT NOT NULL,
        label TEXT NOT NULL,
        part TEXT NOT NULL,
        key TEXT NOT NULL,
        arrays BLOB NOT NULL,
        sha256 BLOB NOT NULL,
        UNIQUE (name, domain, label, part)
    );
    CREATE INDEX derived_by_concept ON derived (domain, label);
    ALTER TABLE contributions ADD COLUMN geometry_version INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE replaced_contributions ADD COLUMN geometry_version INTEGER NOT NULL DEFAULT 1;
    DELETE FROM meta WHERE name = 'stamp';
    INSERT OR REPLACE INTO meta VALUES ('uncleaned', x'31');
    """,
    """
    CREATE TABLE actions (
        number INTEGER PRIMARY KEY,
        action TEXT NOT NULL UNIQUE,
        verb TEXT NOT NULL,
        at_ns INTEGER NOT NULL,
        undone INTEGER NOT NULL,
        detail TEXT NOT NULL
    );
    CREATE TABLE action_facts (
        action INTEGER NOT NULL REFERENCES actions (number),
        id TEXT NOT NULL,
        stream TEXT NOT NULL,
        domain TEXT NOT NULL,
        label TEXT NOT NULL,
        captured_at_ns INTEGER NOT NULL,
        features BLOB NOT NULL,
        subject TEXT NOT NULL,
        revision INTEGER NOT NULL,
        recording TEXT NOT NULL,
        after BLOB NOT NULL,
        score REAL,
        PRIMARY KEY (action, id)
    );
    CREATE INDEX action_facts_by_id ON action_facts (id);
    ALTER TABLE adaptors ADD COLUMN kept_for INTEGER;
    """,
    """
    -- Contents of forgotten facts: keyed hashes, and sketches for near duplicates.
    CREATE TABLE content_tombstones (
        number INTEGER PRIMARY KEY,
        near INTEGER NOT NULL,
        key INTEGER NOT NULL REFERENCES burial_keys (number),
        body BLOB NOT NULL,
        UNIQUE (near, key, body)
    );
    -- Fleet: what was published of the facts.
    CREATE TABLE cohorts (number INTEGER PRIMARY KEY, members BLOB NOT NULL);
    CREATE TABLE exported_parts (
        number INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        name BLOB NOT NULL,
        members BLOB NOT NULL,
        UNIQUE (kind, name)
    );
    CREATE TABLE exports (
        number INTEGER PRIMARY KEY,
        publisher TEXT NOT NULL,
        counter INTEGER NOT NULL,
        cohorts BLOB NOT NULL,
        parts BLOB NOT NULL,
        order_id TEXT NOT NULL
    );
    CREATE TABLE holders (
        device TEXT NOT NULL,
        holds TEXT NOT NULL,
        publisher TEXT NOT NULL,
        counter INTEGER NOT NULL,
        UNIQUE (device, holds, publisher, counter)
    );
    CREATE TABLE recalls (order_id TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE imported_bundles (
        number INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        publisher TEXT NOT NULL,
        counter INTEGER NOT NULL,
        device TEXT NOT NULL,
        revision INTEGER NOT NULL,
        UNIQUE (publisher, counter)
    );
    ALTER TABLE adaptors ADD COLUMN bundle INTEGER;
    INSERT INTO meta VALUES ('published_key', randomblob(32));
    -- Forget requests that are not complete.
    CREATE TABLE pending_forgets (
        number INTEGER PRIMARY KEY,
        request TEXT NOT NULL UNIQUE,
        body TEXT NOT NULL
    );
    -- Which facts have evicted others, and whose domain the detector chose.
    CREATE TABLE evictors (id TEXT PRIMARY KEY, facts INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE placed_facts (id TEXT PRIMARY KEY, domain TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX placed_by_domain ON placed_facts (domain);
    CREATE INDEX facts_by_stream ON facts (stream, captured_at_ns, domain, label, id);
    -- Receipts and stamps: what earlier layouts stored, a guess at the facts can be tested with.
    INSERT OR REPLACE INTO meta VALUES ('plain_digests', x'31');
    DELETE FROM meta WHERE name = 'stamp';
    INSERT OR REPLACE INTO meta VALUES ('uncleaned', x'31');
    -- Adaptors that are made again after a forget.
    ALTER TABLE adaptors ADD COLUMN provisional INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE pending_adaptors (
        domain TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        blueprint TEXT NOT NULL,
        seed INTEGER NOT NULL
    ) WITHOUT ROWID;
    """,
    """
    -- How many devices' facts a sum holds; 0: not known, its arrays say it.
    ALTER TABLE contributions ADD COLUMN devices INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE replaced_contributions ADD COLUMN devices INTEGER NOT NULL DEFAULT 0;
    """,
]


_FIELDS: Final = Fact.__struct_fields__


class _DigestOf:
    """An aggregate function of SQL: the digest of facts, given by their fields in order."""

    def __init__(self) -> None:
        self._total = 0

    def step(self, *values: Any) -> None:
        """Add a fact."""
        fact = Fact(**dict(zip(_FIELDS, values, strict=True)))
        self._total += int(digest_facts((fact,)), 16)

    def finalize(self) -> bytes:
        """Return the digest."""
        return (self._total % (1 << DIGEST_BITS)).to_bytes(DIGEST_BITS // 8, "big")


def version() -> int:
    """Return the layout version that this program writes."""
    return len(MIGRATIONS)


def migrate(db: sqlite3.Connection, found: int) -> None:
    """Migrate a file from version `found` to the newest, in one transaction."""
    add_functions(db)
    run_steps(db, MIGRATIONS, found, APPLICATION_ID)


def add_functions(db: sqlite3.Connection) -> None:
    """Add the SQL functions that migrations call."""
    db.create_function("rank_of", 1, rank_number, deterministic=True)
    # typeshed knows aggregates of integers only.
    db.create_aggregate("digest_of", len(_FIELDS), _DigestOf)  # type: ignore[arg-type]


class MigratedLayout:
    """The layout of a file of its own, for `open_database`: its application id in the SQLite
    header, and the steps of SQL from an empty file to the newest version."""

    def __init__(self, application_id: int, migrations: Sequence[str]) -> None:
        self.APPLICATION_ID, self._migrations = application_id, migrations

    def version(self) -> int:
        """Return the newest version."""
        return len(self._migrations)

    def migrate(self, db: sqlite3.Connection, found: int) -> None:
        """Bring a file from version `found` to the newest."""
        run_steps(db, self._migrations, found, self.APPLICATION_ID)


def run_steps(
    db: sqlite3.Connection, migrations: Sequence[str], found: int, application_id: int
) -> None:
    """Run the migrations from version `found` and stamp the header, in one transaction."""
    steps = "".join(migrations[found:])
    stamps = f"PRAGMA application_id={application_id}; PRAGMA user_version={len(migrations)};"
    db.executescript(f"BEGIN IMMEDIATE; {steps} {stamps} COMMIT;")
