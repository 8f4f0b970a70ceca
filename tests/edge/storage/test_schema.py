from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from edge.storage import schema


def made() -> sqlite3.Connection:
    """A database in memory with the newest layout."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(db, 0)
    return db


def test_a_new_file_has_the_application_id():
    """The header holds application id and version."""
    db = made()
    assert db.execute("PRAGMA application_id").fetchone()[0] == schema.APPLICATION_ID
    assert db.execute("PRAGMA user_version").fetchone()[0] == schema.version()


def test_every_table_and_column_is_documented(source: Path):
    """docs/explanation/state.md names each table and each column of the layout."""
    text = (source / "docs/explanation/state.md").read_text("utf-8")
    db = made()
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    names = {row[1] for table in tables for row in db.execute(f"PRAGMA table_info({table})")}
    missing = {name for name in {*tables, *names} if not re.search(rf"`{name}`", text)}
    assert missing == set()
    assert "facts" in tables


def test_each_step_leads_to_the_newest_layout():
    """A file of any earlier version ends with the same tables as a new one."""
    wanted = layout(made())
    for found in range(1, schema.version()):
        db = sqlite3.connect(":memory:", isolation_level=None)
        schema.add_functions(db)
        db.executescript("".join(schema.MIGRATIONS[:found]))
        schema.migrate(db, found)
        assert layout(db) == wanted
    assert schema.version() >= 2


def layout(db: sqlite3.Connection) -> list[tuple[object, ...]]:
    """The declarations of all tables and indexes."""
    return db.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()


def test_a_failing_migration_changes_nothing(monkeypatch):
    """A migration that fails half way leaves version and tables unchanged."""
    db = made()
    before = db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    steps = [*schema.MIGRATIONS, "CREATE TABLE extra (a); CREATE TABLE facts (a);"]
    monkeypatch.setattr(schema, "MIGRATIONS", steps)
    try:
        schema.migrate(db, len(steps) - 1)
    except sqlite3.OperationalError:
        db.execute("ROLLBACK")
    assert db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone() == before
    assert db.execute("PRAGMA user_version").fetchone()[0] == len(steps) - 1
