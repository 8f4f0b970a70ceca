from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from edge import Store
from edge.core.errors import StateCorruptError, StateError, StateVersionError
from edge.core.events import EraseFacts, StoreAdaptor, StoreFacts
from edge.core.facts import Selector, digest_facts
from edge.core.receipt import Receipt
from edge.storage import database as files
from edge.storage import schema
from edge.storage.database import WriterLock, guard_errors, open_database, transaction
from edge.storage.tables import fact_to_row
from tests.homes import CARD, distinct_facts, new_store
from tests.workers import a_record
from tests.worlds import fact


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A knowledge file with ten facts, closed."""
    file = tmp_path / "knowledge.db"
    new_store(file, distinct_facts(10)).close()
    return file


@pytest.mark.parametrize("writable", [True, False])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"hello, this is a text\n" * 9, "not a knowledge file"),
        (b"SQLite format 3\x00" + b"\x01" * 84, "database"),
    ],
)
def test_a_foreign_file_is_refused_and_not_changed(tmp_path, content, words, writable):
    """A foreign file raises StateCorruptError and is not changed."""
    file = tmp_path / "k.db"
    file.write_bytes(content)
    with pytest.raises(StateCorruptError, match=words) as caught:
        Store.open(file, writable=writable)
    assert caught.value.hint
    assert file.read_bytes() == content


@pytest.mark.parametrize("writable", [True, False])
def test_another_program_s_database_is_refused_untouched(tmp_path, writable):
    """A database of another program is refused and not changed."""
    file = tmp_path / "k.db"
    with sqlite3.connect(file) as db:
        db.execute("CREATE TABLE facts (id)")
    db.close()
    before = file.read_bytes()
    with pytest.raises(StateCorruptError, match="another program"):
        Store.open(file, writable=writable)
    assert file.read_bytes() == before


@pytest.mark.parametrize("writable", [True, False])
def test_a_newer_layout_is_refused_untouched(path, writable):
    """A file of a later version raises StateVersionError and is not changed."""
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {schema.version() + 1}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(StateVersionError, match=f"version {schema.version() + 1}"):
        Store.open(path, writable=writable)
    assert path.read_bytes() == before


def test_an_older_layout_is_copied_aside_and_migrated(path, monkeypatch):
    """A migration keeps a copy of the old file, and every fact."""
    with Store.open(path) as store:
        digest = store.digest()
    steps = [*schema.MIGRATIONS, "ALTER TABLE receipts ADD COLUMN note TEXT;"]
    monkeypatch.setattr(schema, "MIGRATIONS", steps)
    with pytest.raises(StateError, match="older than this"):
        Store.open(path, writable=False)
    with Store.open(path) as store:
        assert store.digest() == digest
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone()[0] == len(steps)
    assert "note" in [row[1] for row in db.execute("PRAGMA table_info(receipts)")]
    db.close()
    aside = sqlite3.connect(path.with_name(f"knowledge.db.v{len(steps) - 1}"))
    assert aside.execute("PRAGMA user_version").fetchone()[0] == len(steps) - 1
    assert aside.execute("SELECT COUNT(*) FROM facts").fetchone()[0] == 10
    aside.close()


@pytest.fixture
def first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file as the first version of the program wrote it, with ten facts, closed."""
    file = tmp_path / "first.db"
    with monkeypatch.context() as earlier:
        earlier.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        store = Store.create(file, CARD)
        store.close()
    db = sqlite3.connect(file)
    facts = distinct_facts(10)
    db.executemany(
        "INSERT INTO facts (id, stream, domain, label, captured_at_ns, features, subject, revision)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (fact_to_row(one)[:-1] for one in facts),
    )
    total = bytes.fromhex(digest_facts(facts))
    db.execute("INSERT OR REPLACE INTO meta VALUES ('digest', ?)", (total,))
    db.commit()
    db.close()
    return file


def test_facts_of_the_layout_before_recordings_are_kept(tmp_path, monkeypatch):
    """A file whose facts and candidates have no recording is migrated with a copy aside: the facts,
    their digest and the candidates stay, and new facts keep their recordings."""
    file, old = tmp_path / "old.db", distinct_facts(3)
    with monkeypatch.context() as earlier:
        earlier.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:6])
        Store.create(file, CARD).close()
    db = sqlite3.connect(file)
    db.executemany(
        "INSERT INTO facts (id, stream, domain, label, captured_at_ns, features, subject, revision)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (fact_to_row(one)[:-1] for one in old),
    )
    total = bytes.fromhex(digest_facts(old))
    db.execute("INSERT OR REPLACE INTO meta VALUES ('digest', ?)", (total,))
    db.execute(
        "INSERT INTO candidates (id, stream, subject, domain, captured_at_ns, score, features)"
        " VALUES ('c', 'cam', '', 'home', 3, 1.0, ?)",
        (old[0].features,),
    )
    db.commit()
    db.close()
    timed = replace(old[0], id="timed", recording="session 1")
    with Store.open(file, CARD) as store:
        assert store.check() == ()
        assert [store.get(one.id) for one in old] == old
        assert store.candidates()["c"].recording == ""
        store.apply(StoreFacts(facts=(timed,)))
    with Store.open(file, CARD) as store:
        assert store.check() == ()
        assert store.select(Selector(recording="session 1")) == ("timed",)
        assert store.get("timed") == timed
    assert file.with_name("old.db.v6").exists()


def test_a_file_of_the_first_version_opens_and_grows(first):
    """A file without the tables of growth is copied aside and migrated; every fact is there, no
    adaptor is, one can be stored, and the first erasure removes the copy."""
    with Store.open(first, CARD) as store:
        assert store.check() == ()
        assert sum(store.concepts().values()) == 10
        assert (store.adaptors(), store.attempts(), store.candidates()) == ({}, {}, {})
        store.apply(StoreAdaptor(a_record(facts=(distinct_facts(1)[0].id,))))
        assert first.with_name("first.db.v1").exists()
        receipt = Receipt(
            request_id="r",
            requested_at_ns=5,
            selector=Selector(label="a"),
            facts_forgotten=1,
            concepts_touched=(),
            digest_before="x",
            digest_after="y",
            rebuilt=(),
            evicted_before=0,
            not_covered=(),
        )
        store.apply(EraseFacts((distinct_facts(1)[0].id,), receipt))
        assert not first.with_name("first.db.v1").exists()
        assert store.adaptors() == {}


def test_an_older_file_is_copied_up_to_date(first, path, tmp_path):
    """A current file is read without a copy; an older file is not changed, and its migrated copy
    can be read."""
    before = first.read_bytes()
    made = files.copy_updated(first, tmp_path / "copy.db")
    assert made == tmp_path / "copy.db"
    with Store.open(made, CARD, writable=False) as store:
        assert sum(store.concepts().values()) == 10
    assert first.read_bytes() == before
    for readable in (path, tmp_path / "nothing.db"):
        assert files.copy_updated(readable, tmp_path / "other.db") == readable
    assert not (tmp_path / "other.db").exists()


def test_a_failing_migration_leaves_the_file_usable(path, monkeypatch):
    """After a failed migration the program that wrote the file can still read it."""
    with monkeypatch.context() as later:
        later.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, "CREATE TABLE facts (a);"])
        with pytest.raises(StateError, match="already exists"):
            Store.open(path)
    with Store.open(path) as store:
        assert sum(store.concepts().values()) == 10


def test_one_writer_at_a_time(path):
    """A second writer is refused, readers are not, and closing a writer releases the lock."""
    with Store.open(path) as writer:
        with pytest.raises(StateError, match="another process has it open"):
            Store.open(path)
        with Store.open(path, writable=False) as reader:
            assert reader.digest() == writer.digest()
    Store.open(path).close()


def test_a_failed_opening_frees_the_lock(path):
    """A failed open releases the lock."""
    path.write_bytes(b"x" * 200)
    with pytest.raises(StateCorruptError):
        Store.open(path)
    WriterLock(path).release()


def test_a_lock_needs_a_folder(tmp_path):
    """Locking in a missing folder raises StateError with a hint."""
    with pytest.raises(StateError, match="locking") as caught:
        WriterLock(tmp_path / "no" / "k.db")
    assert "folder" in caught.value.hint


def test_a_reader_sees_one_state(path):
    """An open reader sees one snapshot, whatever a writer commits."""
    with Store.open(path, CARD) as writer, Store.open(path, writable=False) as reader:
        before = reader.digest()
        writer.apply(StoreFacts(facts=(fact("late"),)))
        assert reader.digest() == before
        assert writer.digest() != before


def without_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let SQLite find no place for its index of the log, as in a folder that cannot be written."""
    hold, calls = files.begin_snapshot, []

    def refuse_once(db: sqlite3.Connection) -> None:
        calls.append(db)
        if len(calls) == 1:
            raise sqlite3.OperationalError("unable to open database file")
        hold(db)

    monkeypatch.setattr(files, "begin_snapshot", refuse_once)
    monkeypatch.setattr(os, "access", lambda *_: False)


def test_a_folder_that_cannot_be_written_can_be_read(path, monkeypatch):
    """On a read-only medium a file without a log can be read."""
    without_index(monkeypatch)
    with Store.open(path, writable=False) as store:
        assert sum(store.concepts().values()) == 10


def test_a_log_is_never_passed_over(path, monkeypatch):
    """On a read-only medium a file with a log that cannot be read is refused."""
    path.with_name("knowledge.db-wal").write_bytes(b"log")
    without_index(monkeypatch)
    with pytest.raises(StateError, match="unable to open"):
        Store.open(path, writable=False)


def test_an_interrupted_transaction_is_rolled_back(path):
    """A transaction that ends early for any reason leaves nothing."""
    db = open_database(path, writable=True)
    with pytest.raises(KeyboardInterrupt), transaction(db, path, "testing"):  # noqa: PT012
        db.execute("DELETE FROM facts")
        raise KeyboardInterrupt
    assert db.execute("SELECT COUNT(*) FROM facts").fetchone()[0] == 10
    db.close()


@pytest.mark.parametrize(
    ("error", "kind", "hint"),
    [
        (sqlite3.OperationalError("database or disk is full"), StateError, "free space"),
        (sqlite3.OperationalError("database is locked"), StateError, "try again"),
        (sqlite3.OperationalError("attempt to write a readonly database"), StateError, "permissi"),
        (sqlite3.OperationalError("unable to open database file"), StateError, "folder"),
        (sqlite3.DatabaseError("malformed"), StateCorruptError, "backup"),
        (OSError(28, "No space left on device"), StateError, "free space"),
    ],
)
def test_errors_of_the_system_have_a_hint(error, kind, hint):
    """SQLite's and the system's errors become StateError, with the file and a hint."""
    with (
        pytest.raises(kind, match=r"writing k\.db") as caught,
        guard_errors(Path("k.db"), "writing"),
    ):
        raise error
    assert type(caught.value) is kind
    assert hint in caught.value.hint


@pytest.mark.parametrize(("free", "hint"), [(0, "free space on the disk"), (1 << 20, "verify")])
def test_an_io_error_on_a_full_disk_says_so(monkeypatch, free, hint):
    """Where nothing is free, SQLite reports reads as I/O errors, too."""
    monkeypatch.setattr(files, "_free_bytes", lambda _: free)
    with pytest.raises(StateError) as caught, guard_errors(Path("k.db"), "opening"):
        raise sqlite3.OperationalError("disk I/O error")
    assert hint in caught.value.hint


def test_a_file_that_may_not_be_written_is_not_opened_for_writing(path, monkeypatch):
    """A file without write permission is refused when it is opened for writing."""
    connect = sqlite3.connect

    def read_only(name: str, **options: Any) -> Any:
        return connect(name.replace("mode=rwc", "mode=ro"), **options)

    monkeypatch.setattr(sqlite3, "connect", read_only)
    with pytest.raises(StateError, match="readonly") as caught:
        Store.open(path)
    assert "permissions" in caught.value.hint


def test_a_file_that_could_not_be_made_is_not_left_empty(tmp_path):
    """An empty file that SQLite leaves on a full disk is removed."""

    class Full:
        APPLICATION_ID = 1

        def version(self) -> int:
            raise sqlite3.OperationalError("database or disk is full")

        def migrate(self, db: sqlite3.Connection, found: int) -> None:
            """Not reached."""

    with pytest.raises(sqlite3.OperationalError):
        open_database(tmp_path / "new.db", writable=True, layout=Full())
    assert list(tmp_path.iterdir()) == []


def test_a_crashed_writer_loses_nothing_committed(path, tmp_path):
    """A copy of file and log, made while a writer has them open, holds all commits."""
    with Store.open(path) as store:
        store.apply(StoreFacts(facts=(fact("committed"),)))
        image = tmp_path / "image.db"
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{image}{suffix}")
        digest = store.digest()
    with Store.open(image) as again:
        assert again.digest() == digest
        assert again.check() == ()
