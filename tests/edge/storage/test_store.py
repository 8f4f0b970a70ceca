from __future__ import annotations

import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import encoder
from edge import Store
from edge.core.errors import ModelMismatchError, StateError
from edge.core.events import (
    EraseFacts,
    Publish,
    Rejected,
    StoreAdaptor,
    StoreContribution,
    StoreFacts,
)
from edge.core.facts import Selector
from edge.core.knowledge import Contribution
from edge.core.receipt import Receipt
from tests.homes import CARD, RECEIPT, distinct_facts, new_store, raw_bytes, wide_card
from tests.workers import a_record
from tests.worlds import fact


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A path for a knowledge file."""
    return tmp_path / "knowledge.db"


def names(folder: Path) -> list[str]:
    """The names in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


def forbid(path: Path, what: str) -> None:
    """Make a closed file refuse some later change, as a disk that fills up half way would."""
    db = sqlite3.connect(path)
    db.execute(f"CREATE TRIGGER forbid BEFORE {what} BEGIN SELECT RAISE(ABORT, 'no room'); END")
    db.commit()
    db.close()


def test_creating_refuses_an_existing_file(path):
    """An existing file is not changed."""
    path.write_text("mine", "utf-8")
    with pytest.raises(StateError, match="exists already"):
        Store.create(path, CARD)
    assert path.read_text("utf-8") == "mine"


def test_a_file_is_opened_or_made(path):
    """A missing file is created, an existing one is opened, and another card is refused."""
    with Store.open_or_create(path, CARD) as store:
        assert store.apply_all([StoreFacts(facts=(fact("f"),)), Publish(RECEIPT)]) == (RECEIPT,)
    with Store.open_or_create(path, CARD) as store:
        assert store.get("f") == fact("f")
    with pytest.raises(ModelMismatchError):
        Store.open_or_create(path, wide_card(9))
    (path.parent / "gone.db").symlink_to(path.parent / "nothing")
    with pytest.raises(StateError, match="it is not a regular file"):
        Store.open_or_create(path.parent / "gone.db", CARD)


@pytest.mark.parametrize("function", ["replace_file", "write_empty"])
def test_a_failed_creation_leaves_nothing(path, monkeypatch, function):
    """If creation fails half way, the folder is unchanged."""

    def fail(*_: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"edge.storage.store.{function}", fail)
    with pytest.raises(StateError, match="No space"):
        Store.create(path, CARD)
    assert names(path.parent) == []


def test_leftovers_of_a_crash_do_not_matter(path):
    """A partial file of a crashed creation is replaced."""
    path.with_name("knowledge.db.new").write_bytes(b"half")
    new_store(path, [fact("a")]).close()
    assert names(path.parent) == ["knowledge.db", "knowledge.db.lock"]


def test_another_card_is_refused(path):
    """A ledger opens with its own card only, and its lock is released after a refusal."""
    new_store(path).close()
    with pytest.raises(ModelMismatchError, match=CARD.fingerprint[:12]):
        Store.open(path, wide_card(9))
    Store.open(path, CARD).close()


def test_a_missing_file_is_reported_as_missing(tmp_path):
    """A missing file and a folder are neither opened nor created, and the error names which it
    is."""
    for missing, result in ((tmp_path / "no.db", "no such file"), (tmp_path, "found a folder")):
        with pytest.raises(StateError, match=result):
            Store.open(missing)
    assert names(tmp_path) == []


def test_a_reader_cannot_write(path):
    """A store opened for reading refuses every effect that writes."""
    new_store(path, [fact("a")]).close()
    with Store.open(path, writable=False) as store:
        for effect in (StoreFacts(facts=(fact("b"),)), EraseFacts(("a",), RECEIPT)):
            with pytest.raises(StateError, match="reading only"):
                store.apply(effect)
        store.apply(Publish(Rejected("x", "published")))


def test_a_failed_effect_changes_nothing(path):
    """A batch whose last fact cannot be written stores nothing."""
    new_store(path, [fact("a")]).close()
    forbid(path, "INSERT ON facts WHEN NEW.id = 'c'")
    with Store.open(path) as store:
        before = store.digest()
        with pytest.raises(StateError, match="no room"):
            store.apply(StoreFacts(facts=(fact("b"), fact("c")), evicted=("a",)))
        assert store.digest() == before == store.written_digest()
        store.apply(StoreFacts(facts=(fact("b"),)))
        assert store.check() == ()


@pytest.mark.parametrize("width", [8, 64, 1280, 5000])
def test_forgotten_facts_are_not_in_the_file(path, width):
    """No id and no features of erased facts are left in database or log, at any width: not even
    where SQLite split pages."""
    facts = distinct_facts(300, width)
    with Store.create(path, wide_card(width)) as store:
        for at in range(0, 300, 50):
            store.apply(StoreFacts(facts=tuple(reversed(facts[at : at + 50]))))
        gone = facts[::3]
        assert all(one.id.encode() in raw_bytes(path) for one in gone)
        store.apply(EraseFacts(tuple(one.id for one in gone), RECEIPT))
        raw = raw_bytes(path)
        assert [one.id for one in gone if one.id.encode() in raw] == []
        assert [one.id for one in gone if one.features[:24] in raw] == []
        assert all(one.id.encode() in raw for one in facts[1::3])
        assert all(store.was_forgotten(one.id) for one in gone)
        assert store.check() == ()
        assert not store.unscrubbed


def test_forgetting_reaches_copies_next_to_the_file(path):
    """Copies of migrations and restores are deleted by the next erasure; other files stay."""
    store = new_store(path, [fact("a")])
    for name in ("knowledge.db.v1", "knowledge.db.before-restore-2", "knowledge.db.mine", "x.v1"):
        (path.parent / name).write_text("x", "utf-8")
    store.apply(EraseFacts(("a",), RECEIPT))
    store.close()
    kept = ["knowledge.db", "knowledge.db.key", "knowledge.db.lock", "knowledge.db.mine", "x.v1"]
    assert names(path.parent) == kept


def test_an_erasure_cut_short_is_finished_later(path, monkeypatch):
    """If the file cannot be rebuilt, the facts are gone all the same, the error names the
    remaining step, and the next opening does it."""
    facts = distinct_facts(50)
    gone = [one.id for one in facts[:25]]
    with new_store(path, facts) as store, monkeypatch.context() as full:

        def fail(_path: Path) -> None:
            raise OSError(28, "No space left on device")

        full.setattr("edge.storage.store.remove_copies", fail)
        with pytest.raises(StateError, match="No space") as caught:
            store.apply(EraseFacts(tuple(gone), RECEIPT))
        assert "out of the ledger" in caught.value.hint
        assert store.select(Selector(ids=frozenset(gone))) == ()
        assert store.unscrubbed
    with Store.open(path) as again:
        assert not again.unscrubbed
        assert not any(one.encode() in raw_bytes(path) for one in gone)
        assert len(again.receipts()) == 1


def test_a_reader_delays_the_end_of_an_erasure(path, monkeypatch):
    """While another process reads, an erasure reports that the log is not truncated yet."""
    monkeypatch.setattr("edge.storage.database.BUSY_TIMEOUT_S", 0.05)
    with new_store(path, distinct_facts(9)) as store:
        with (
            Store.open(path, writable=False),
            pytest.raises(StateError, match=r"is reading it|locked"),
        ):
            store.apply(EraseFacts((distinct_facts(1)[0].id,), RECEIPT))
        assert store.unscrubbed
    Store.open(path).close()
    assert distinct_facts(1)[0].id.encode() not in raw_bytes(path)


def test_receipts_are_kept_without_names(path):
    """A stored receipt contains no id and no subject, and neither does the file."""
    with new_store(path, [fact("observation-77", subject="a-person")]) as store:
        selector = Selector(ids=frozenset({"observation-77"}), subject="a-person")
        store.apply(
            EraseFacts(
                ("observation-77",),
                Receipt(
                    request_id="r",
                    requested_at_ns=5,
                    selector=selector,
                    facts_forgotten=1,
                    concepts_touched=(),
                    digest_before="",
                    digest_after="",
                    rebuilt=(),
                    evicted_before=0,
                    not_covered=(),
                ),
            )
        )
        (receipt,) = store.receipts()
        assert receipt["request_id"] == "r"
        raw = raw_bytes(path)
        assert b"observation-77" not in raw
        assert b"a-person" not in raw


def test_a_contribution_keeps_the_version_of_its_geometry(path):
    """What another device sent is read as it was stored, so it is summed under its geometry."""
    one = Contribution(
        device="b", card="c", geometry="d", geometry_version=2, seed=1, revision=3, columns=("x",)
    )
    with new_store(path) as store:
        store.apply(StoreContribution(one))
    with Store.open(path) as store:
        found = store.contributions()["b"]
    assert (found.geometry, found.geometry_version, found.columns) == ("d", 2, ("x",))


def test_burials_are_adopted(path, tmp_path):
    """Adopted tombstones bury an id in the other store, under both keys."""
    other = new_store(tmp_path / "other.db", [fact("a")])
    other.apply(EraseFacts(("a", "b"), RECEIPT))
    with other, new_store(path) as store:
        store.adopt_tombstones(other)
        store.adopt_tombstones(other)
        assert store.was_forgotten("a")
        assert store.was_forgotten("b")
        assert not store.was_forgotten("c")
    with Store.open(path) as again:
        assert again.was_forgotten("a")


def test_a_stamp_is_of_the_facts_held_now(path):
    """The stamp holds all digests and is stale after the next fact."""
    with new_store(path, [fact("a")]) as store:
        assert store.stamped({}) == {}
        store.stamp("k")
        held = {"facts": store.digest(), "beside": store.inputs_digest(), "knowledge": "k"}
        assert store.stamped(held) == held
        store.apply(StoreFacts(facts=(fact("b"),)))
        assert store.stamped(held | {"facts": store.digest()}) == held | {"facts": "another"}


@pytest.mark.parametrize("writable", [True, False])
def test_a_backup_is_a_store(path, tmp_path, writable):
    """A backup holds the same facts, tombstones and receipts, and can be opened like the file."""
    with new_store(path, distinct_facts(9)) as store:
        store.apply(EraseFacts((distinct_facts(1)[0].id,), RECEIPT))
        store.apply(StoreAdaptor(a_record()))
    with Store.open(path, writable=writable) as store:
        store.backup(tmp_path / "copy.db")
        store.backup(tmp_path / "second.db")
        with Store.open(tmp_path / "copy.db", CARD) as copy:
            assert copy.digest() == store.digest()
            assert copy.receipts() == store.receipts()
            assert copy.was_forgotten(distinct_facts(1)[0].id)
            assert copy.adaptors()["home"][0].digest == a_record().digest
        with pytest.raises(StateError, match="exists already"):
            store.backup(tmp_path / "copy.db")


def test_a_failed_backup_leaves_nothing(path, tmp_path):
    """A backup into a missing folder creates nothing and damages nothing."""
    with new_store(path, [fact("a")]) as store:
        with pytest.raises(StateError, match="backing up"):
            store.backup(tmp_path / "no" / "copy.db")
        assert store.check() == ()


SCRIPT = textwrap.dedent("""
    import sys
    from pathlib import Path
    from edge import Store
    from edge.core import StoreFacts
    from tests.homes import distinct_facts
    store = Store.open(sys.argv[1])
    print("open", flush=True)
    facts = distinct_facts(4000)
    for at in range(0, 4000, 20):
        store.apply(StoreFacts(facts=tuple(facts[at : at + 20])))
        print(at + 20, flush=True)
""")


def writer(path: Path, **options: object) -> subprocess.Popen[str]:
    """A process that writes facts and prints their number after each commit."""
    root = str(Path(encoder.__file__).parent.parent)
    tests = str(Path(__file__).parents[3])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([root, tests])}
    command = [sys.executable, "-c", SCRIPT, str(path)]
    process: subprocess.Popen[str] = subprocess.Popen(
        command,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,  # type: ignore[call-overload]
    )
    return process


def last_acknowledged(process: subprocess.Popen[str]) -> int:
    """The last number that a writer printed."""
    assert process.stdout is not None
    lines = [line for line in process.stdout.read().splitlines() if line.isdigit()]
    return int(lines[-1]) if lines else 0


@pytest.mark.parametrize("count", [1, 17])
def test_a_killed_writer_keeps_acknowledged_facts(path, count):
    """After kill -9 at any moment every fact that was acknowledged is there, and whole batches
    only."""
    new_store(path).close()
    process = writer(path)
    assert process.stdout is not None
    last = [process.stdout.readline() for _ in range(1 + count)][-1]
    process.send_signal(signal.SIGKILL)
    result = max(int(last), last_acknowledged(process))
    process.wait()
    with Store.open(path, CARD) as store:
        held = sum(store.concepts().values())
        assert held >= result >= 20
        assert held % 20 == 0
        assert store.check() == ()


def test_a_full_disk_loses_nothing(path):
    """If the file cannot grow, the writer fails with a hint, and reported facts are stored."""
    new_store(path).close()

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))

    process = writer(path, preexec_fn=limit)
    _, errors = process.communicate()
    assert process.returncode == 1
    assert "StateError" in errors
    assert "hint" in errors
    with Store.open(path, CARD) as store:
        assert store.check() == ()
        held = sum(store.concepts().values())
        assert 0 < held < 4000
        store.apply(StoreFacts(facts=tuple(distinct_facts(4000))))
        assert sum(store.concepts().values()) == 4000


def test_an_erasure_that_cannot_be_written_changes_nothing(path):
    """If receipt or tombstone cannot be written, every fact stays and the error says so."""
    new_store(path, distinct_facts(9)).close()
    forbid(path, "INSERT ON receipts")
    with Store.open(path) as store:
        before = store.digest()
        with pytest.raises(StateError, match="no room"):
            store.apply(EraseFacts((distinct_facts(1)[0].id,), RECEIPT))
        assert store.digest() == before == store.written_digest()
        assert not store.was_forgotten(distinct_facts(1)[0].id)
        assert not store.unscrubbed


def test_closing_twice_is_fine(path):
    """A store may be closed again, by `with` too."""
    with new_store(path) as store:
        store.close()
    store.close()


def pragma(store: Store, name: str) -> object:
    """A setting of the store's own connection; another one would have its own."""
    return store._db.execute(f"PRAGMA {name}").fetchone()[0]  # noqa: SLF001


def test_the_file_asks_for_full_durability(path):
    """Each commit is synced, deleted data is overwritten, and the log is a write-ahead log."""
    with new_store(path) as store:
        wanted = {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}
        found = {n: pragma(store, n) for n in wanted}
    assert found == wanted
    assert sqlite3.sqlite_version_info >= (3, 27), "VACUUM INTO came with it"


def test_only_the_owner_can_read_the_knowledge(tmp_path):
    """Only the owner can read the file and its copies, whatever the umask."""
    before = os.umask(0o022)
    try:
        with new_store(tmp_path / "k.db", [fact("a")]) as store:
            store.backup(tmp_path / "copy.db")
            names = ("k.db", "k.db-wal", "copy.db")
            modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in names}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(modes, 0o600)
