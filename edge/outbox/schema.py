"""The outbox file's layout, version by version.  docs/howto/daemon.md describes every column.

`MIGRATIONS[n]` takes a file from version n to n + 1; a new file runs them all.
"""

import sqlite3
from typing import Final

from ..storage import run_steps

APPLICATION_ID: Final = 0x4155524F
"""'AURO' in the SQLite header: distinguishes an outbox from a knowledge file."""

MIGRATIONS: Final[list[str]] = [
    """
    CREATE TABLE marks (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE entries (
        sequence INTEGER PRIMARY KEY,
        kept INTEGER NOT NULL,
        topic TEXT NOT NULL,
        body BLOB NOT NULL,
        keys TEXT NOT NULL,
        correlation BLOB NOT NULL,
        retain INTEGER NOT NULL,
        age_ns INTEGER NOT NULL
    );
    CREATE TABLE losses (
        first INTEGER PRIMARY KEY,
        last INTEGER NOT NULL,
        count INTEGER NOT NULL,
        reason TEXT NOT NULL
    );
    """,
]


def version() -> int:
    """Return the layout version that this program writes."""
    return len(MIGRATIONS)


def migrate(db: sqlite3.Connection, found: int) -> None:
    """Migrate a file from version `found` to this program's, all or nothing."""
    run_steps(db, MIGRATIONS, found, APPLICATION_ID)
