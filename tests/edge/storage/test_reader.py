from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from edge import Store
from edge.core import limits
from edge.core.errors import StateCorruptError, StateError
from edge.core.events import StoreAdaptor, StoreGeometry
from edge.core.facts import Selector, digest_facts
from edge.storage import fact_reads, reader
from tests.homes import distinct_facts, new_store, whole_rows
from tests.workers import a_record


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A knowledge file with more facts than a page holds, closed."""
    file = tmp_path / "knowledge.db"
    with new_store(file, distinct_facts(limits.BATCH_FACTS + 9)) as store:
        store.apply(StoreGeometry({"numbers": whole_rows([[1, 2], [3, 4]])}))
    return file


def change(path: Path, sql: str) -> None:
    """Change a closed file without the store."""
    db = sqlite3.connect(path)
    db.execute(sql)
    db.commit()
    db.close()


def test_pages_hold_every_fact_once(path):
    """Pages are bounded, in order, and complete."""
    with Store.open(path, writable=False) as store:
        pages = list(store.pages())
        assert [len(page) for page in pages] == [limits.BATCH_FACTS, 9]
        facts = [fact for page in pages for fact in page]
        assert facts == distinct_facts(limits.BATCH_FACTS + 9)
        assert store.digest() == digest_facts(facts) == store.written_digest()


@pytest.mark.parametrize("largest", [0, fact_reads.SCANNED_BYTES_MAX])
def test_features_of_concepts_are_those_of_their_batches(path, monkeypatch, largest):
    """All facts of the concepts, in parts of a bounded size, read by concept or in one pass."""
    monkeypatch.setattr(reader, "SCANNED_BYTES_MAX", largest)
    monkeypatch.setattr(fact_reads, "SCANNED_ROWS", 100)
    with Store.open(path, writable=False) as store:
        every = list(store.concepts())
        found = [(one, rows.tolist()) for one, rows in store.concept_features(every)]
        for domain, label in every:
            batches = list(store.batches(domain, label=label))
            expected = sorted(row for batch in batches for row in batch.features.tolist())
            parts = [rows for one, rows in found if one == (domain, label)]
            assert sorted(row for rows in parts for row in rows) == expected
            assert max(map(len, parts)) <= limits.BATCH_FACTS
            gone = frozenset(batches[0].ids[:1])
            rest = store.concept_features([(domain, label)], gone)
            assert sum(len(rows) for _, rows in rest) == len(expected) - 1


def test_a_damaged_row_is_named(path):
    """Features of another width are damage, also where rows are read in their own order."""
    change(path, "UPDATE facts SET features = x'00' WHERE rowid = 3")
    with (
        Store.open(path, writable=False) as store,
        pytest.raises(StateCorruptError, match="the features of row 3"),
    ):
        list(store.concept_features(list(store.concepts())))


def test_many_ids_are_selected(path):
    """A selection may have more ids than SQLite's limit of parameters."""
    ids = frozenset(fact.id for fact in distinct_facts(40_000))
    with Store.open(path, writable=False) as store:
        found = store.select(Selector(ids=ids))
    assert len(found) == limits.BATCH_FACTS + 9
    assert list(found) == sorted(found)


def test_the_geometry_comes_back(path):
    """A frozen geometry has the same arrays after reopening."""
    with Store.open(path, writable=False) as store:
        held = store.geometry()
    assert held is not None
    assert held["numbers"].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE meta SET value = 'x' WHERE name = 'geometry'", "geometry"),
        ("UPDATE facts SET features = 'text'", "features"),
        ("UPDATE facts SET features = substr(features, 2)", "features"),
    ],
)
def test_a_value_of_the_wrong_type_is_damage(path, sql, words):
    """A value of the wrong type or length raises StateCorruptError."""
    change(path, sql.replace("'x'", "CAST('x' AS BLOB)"))
    with Store.open(path, writable=False) as store, pytest.raises(StateCorruptError, match=words):
        store.geometry(), list(store.batches())


@pytest.mark.parametrize(
    "sql", ["DELETE FROM burial_keys", "DELETE FROM meta WHERE name = 'width'"]
)
def test_an_unfinished_file_is_refused(path, sql):
    """A file without tombstone key or card is refused."""
    change(path, sql)
    with pytest.raises(StateCorruptError, match="is missing"):
        Store.open(path)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE facts SET label = 'b' WHERE label = 'a'",
        "UPDATE facts SET captured_at_ns = captured_at_ns + 1 WHERE rowid = 1",
        "DELETE FROM facts WHERE rowid = 3",
        "UPDATE facts SET features = zeroblob(8) WHERE rowid = 2",
    ],
)
def test_a_change_behind_the_store_s_back_is_found(path, sql):
    """The check finds any changed fact, which SQLite's own check does not."""
    with Store.open(path, writable=False) as store:
        assert store.check() == ()
    change(path, sql)
    with Store.open(path, writable=False) as store:
        assert any("differ from those that were written" in line for line in store.check())


def test_a_damaged_page_is_found(path):
    """Pages overwritten with garbage are reported as damage by the first read of them."""
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xa5" * (len(content) - 8192)
    path.write_bytes(bytes(content))
    with pytest.raises(StateCorruptError), Store.open(path, writable=False) as store:  # noqa: PT012
        assert store.check() == ()
        store.digest()


def test_reading_a_closed_store_is_an_error(path):
    """A closed store raises StateError."""
    store = Store.open(path, writable=False)
    store.close()
    with pytest.raises(StateError):
        store.concepts()


def test_the_arrays_of_an_adaptor_are_read_when_they_are_looked_at(path):
    """Listing adaptors reads no arrays; accessing one reads its own."""
    with Store.open(path) as store:
        store.apply(StoreAdaptor(a_record("home", 1)))
        store.apply(StoreAdaptor(a_record("home", 2, seed=8)))
    change(path, "UPDATE adaptors SET arrays = x'00' WHERE version = 1")
    with Store.open(path, writable=False) as store:
        newest, oldest = store.adaptors()["home"]
        assert newest.digest == a_record("home", 2, seed=8).digest
        assert (oldest.version, oldest.own, oldest.facts) == (1, 2, ("a", "b"))
        with pytest.raises(StateCorruptError, match="version 1 of the adaptor of home"):
            len(oldest.arrays)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE adaptors SET arrays = x'00'",
        "UPDATE adaptors SET seed = 99",
        "UPDATE adaptors SET blueprint = replace(blueprint, '4', '5')",
        "UPDATE adaptors SET blueprint = 'x'",
        "DELETE FROM adaptor_facts WHERE id = 'a'",
        "UPDATE adaptor_facts SET id = 'c' WHERE id = 'b'",
    ],
)
def test_a_damaged_adaptor_is_found(path, sql):
    """Arrays, blueprint, seed or the facts behind an adaptor that are not as they were written are
    found by the check, which says whose they are."""
    with Store.open(path) as store:
        store.apply(StoreAdaptor(a_record("home", 1)))
        assert store.check() == ()
    change(path, sql)
    with Store.open(path, writable=False) as store:
        (complaint,) = store.check()
        assert "adaptor of home" in complaint
