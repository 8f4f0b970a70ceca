from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from edge.outbox import schema


def test_every_table_and_column_is_documented(source: Path):
    """docs/howto/daemon.md names each table and column of the outbox."""
    text = (source / "docs/howto/daemon.md").read_text("utf-8")
    db = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(db, 0)
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    names = {row[1] for table in tables for row in db.execute(f"PRAGMA table_info({table})")}
    assert {name for name in {*tables, *names} if not re.search(rf"`{name}`", text)} == set()
    assert db.execute("PRAGMA application_id").fetchone()[0] == schema.APPLICATION_ID
    assert db.execute("PRAGMA user_version").fetchone()[0] == schema.version() >= 1
