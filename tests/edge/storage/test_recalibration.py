"""The recalibration of streams in the knowledge file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import replace

from edge import Store
from edge.core import limits
from edge.core.errors import StateCorruptError, StateError
from edge.core.events import EraseFacts, StoreRecalibration
from edge.core.facts import Selector
from edge.core.recalibration import RECALIBRATION_VERSION, ConfirmedAlarm, Recalibration
from edge.core.receipt import Receipt
from edge.storage import schema
from tests.homes import CARD, new_store, raw_bytes
from tests.worlds import WIDTH, fact

ALARM = ConfirmedAlarm(
    alarm_id="observation-9",
    stream="cam",
    domain="hall",
    subjects=("ann",),
    recordings=("run 1",),
    from_ns=5,
    until_ns=9,
    confirmed_at_ns=11,
    observation_ids=("observation-8", "observation-9"),
    features=bytes(range(WIDTH)) * 2,
    level=700,
)
RECORD = Recalibration(
    stream="cam",
    geometry="g",
    offset=512,
    subjects=("ann", "ben"),
    recordings=("run 1",),
    from_ns=1,
    until_ns=9,
    samples=400,
    alarms=3,
    changes=4,
    confirmed=(ALARM,),
)


def erasure(*ids: str) -> EraseFacts:
    """The erasure of facts by id."""
    receipt = Receipt(
        request_id="r",
        requested_at_ns=1,
        selector=Selector(ids=frozenset(ids)),
        facts_forgotten=len(ids),
        concepts_touched=(),
        digest_before="x",
        digest_after="y",
        rebuilt=(),
        evicted_before=0,
        not_covered=(),
    )
    return EraseFacts(ids, receipt)


def test_a_record_is_kept_as_it_is(tmp_path: Path):
    """A record is read again after the file was closed, and a new one replaces it; facts, digests
    and contributions do not change."""
    with new_store(tmp_path / "k.db", [fact("a")]) as store:
        before = store.digest(), store.inputs_digest()
        store.apply(StoreRecalibration("cam", RECORD))
    with Store.open(tmp_path / "k.db", CARD) as store:
        assert store.recalibrations() == {"cam": RECORD}
        assert (store.digest(), store.inputs_digest()) == before
        store.apply(StoreRecalibration("cam", replace(RECORD, confirmed=())))
        assert store.recalibrations()["cam"].confirmed == ()
        store.apply(StoreRecalibration("cam", None))
        assert store.recalibrations() == {}
        assert store.check() == ()


def test_the_number_of_records_is_bounded(tmp_path: Path, monkeypatch):
    """Beyond the limit of streams the record written longest ago is dropped."""
    monkeypatch.setattr(limits, "STREAMS_MAX", 2)
    with new_store(tmp_path / "k.db") as store:
        for name in ("a", "b", "a", "c"):
            store.apply(StoreRecalibration(name, replace(RECORD, stream=name)))
        assert list(store.recalibrations()) == ["a", "c"]
        assert list(store.recalibrations("c")) == ["c"]
        assert store.recalibrations("b") == {}


def test_a_record_of_another_version_is_not_read_and_goes_with_an_erasure(tmp_path: Path):
    """A record that this program cannot interpret is left out; since no selector can be compared
    with it, the next erasure deletes it."""
    other = replace(RECORD, version=RECALIBRATION_VERSION + 1)
    with new_store(tmp_path / "k.db", [fact("a")]) as store:
        store.apply(StoreRecalibration("cam", other))
        assert store.recalibrations() == {}
        assert store.check() == ()
        store.apply(erasure("a"))
    assert b"observation-9" not in raw_bytes(tmp_path / "k.db")


def test_an_erased_observation_in_a_record_is_reported(tmp_path: Path):
    """An erasure that leaves an id in a confirmed alarm says so instead of claiming success."""
    with new_store(tmp_path / "k.db", [fact("observation-9")]) as store:
        store.apply(StoreRecalibration("cam", RECORD))
        with pytest.raises(StateError, match="1 ids are still in the file"):
            store.apply(erasure("observation-9"))


def test_a_dropped_record_leaves_no_trace(tmp_path: Path):
    """All records are deleted and overwritten at once."""
    with new_store(tmp_path / "k.db") as store:
        store.apply(StoreRecalibration("cam", RECORD))
        store.drop_recalibrations()
        assert store.recalibrations() == {}
        assert not store.unscrubbed
    assert b"observation-9" not in raw_bytes(tmp_path / "k.db")


def test_a_damaged_record_is_found(tmp_path: Path):
    """A changed byte is found by the check of the file, and by reading."""
    with new_store(tmp_path / "k.db") as store:
        store.apply(StoreRecalibration("cam", RECORD))
    db = sqlite3.connect(tmp_path / "k.db")
    db.execute("UPDATE recalibrations SET body = zeroblob(40)")
    db.commit()
    db.close()
    with Store.open(tmp_path / "k.db", CARD) as store:
        assert any("recalibration" in one for one in store.check())
        with pytest.raises(StateCorruptError, match="recalibration of streams"):
            store.recalibrations()


def test_a_file_of_the_layout_before_gets_the_table(tmp_path: Path, monkeypatch):
    """A file without the table is migrated with a copy aside, and stores records then."""
    with monkeypatch.context() as earlier:
        earlier.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:7])
        Store.create(tmp_path / "k.db", CARD).close()
    with Store.open(tmp_path / "k.db", CARD) as store:
        assert store.recalibrations() == {}
        store.apply(StoreRecalibration("cam", RECORD))
        assert store.recalibrations() == {"cam": RECORD}
    assert (tmp_path / "k.db.v7").exists()
