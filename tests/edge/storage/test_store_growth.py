from __future__ import annotations

from pathlib import Path

import pytest

from edge import Store
from edge.core.errors import StateError
from edge.core.events import (
    EraseFacts,
    RemoveAdaptor,
    StoreAdaptor,
    StoreFacts,
    StoreGrowthAttempt,
    StoreLabelCandidates,
)
from edge.core.facts import LabelCandidate, Selector
from edge.core.receipt import Receipt
from tests.homes import CARD, distinct_facts, new_store, raw_bytes
from tests.workers import a_record
from tests.worlds import fact

RECEIPT = Receipt(
    request_id="r",
    requested_at_ns=5,
    selector=Selector(label="a"),
    facts_forgotten=1,
    concepts_touched=("home/a",),
    digest_before="x",
    digest_after="y",
    rebuilt=(),
    evicted_before=0,
    not_covered=(),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A path for a knowledge file."""
    return tmp_path / "knowledge.db"


def limit_pages(store: Store, more: int) -> None:
    """Limit the growth of a store's file to some pages, as on a nearly full disk."""
    db = store._db  # noqa: SLF001  the limit is that of one connection
    held = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {held + more}")


def a_candidate(name: str) -> LabelCandidate:
    """A candidate whose id, subject and features occur nowhere by chance."""
    marked = f"features-{name}".encode().ljust(8, b".")
    return LabelCandidate(
        observation_id=f"candidate-{name}",
        stream="cam",
        subject=f"person-{name}",
        domain="home",
        captured_at_ns=5,
        score=1.5,
        features=marked,
    )


def test_a_forgotten_fact_leaves_no_trace_in_adaptors(path):
    """An erased fact's id is in no table and nowhere in the bytes; the adaptors it shaped, the
    candidates that were erased and all attempts are gone, in the same step; others stay."""
    facts = distinct_facts(40)
    ids = [one.id for one in facts]
    with new_store(path, facts) as store:
        store.apply(StoreAdaptor(a_record("home", 1, tuple(ids[:20]))))
        store.apply(StoreAdaptor(a_record("home", 2, tuple(ids[10:30]))))
        store.apply(StoreAdaptor(a_record("attic", 1, tuple(ids[30:]))))
        store.apply(StoreGrowthAttempt("home", "hash-of-facts-and-labels"))
        store.apply(StoreLabelCandidates((a_candidate("gone"), a_candidate("kept"))))
        raw = raw_bytes(path)
        assert b"hash-of-facts-and-labels" in raw
        assert all(word in raw for word in (b"candidate-gone", b"person-gone", b"features-gone"))
        store.apply(EraseFacts((ids[15], "candidate-gone"), RECEIPT))
        raw = raw_bytes(path)
        gone = (ids[15].encode(), b"candidate-gone", b"person-gone", b"features-gone", b"hash-of-")
        assert [word for word in gone if word in raw] == []
        assert list(store.adaptors()) == ["attic"]
        assert store.attempts() == {}
        assert list(store.candidates()) == ["candidate-kept"]
        assert store.check() == ()


def test_a_label_or_an_eviction_ends_a_candidacy(path):
    """A candidate that is learned or evicted is deleted."""
    names = ("learned", "evicted", "waiting")
    with new_store(path, [fact("x")]) as store:
        store.apply(StoreLabelCandidates(tuple(map(a_candidate, names))))
        store.apply(StoreFacts(facts=(fact("candidate-learned"),), evicted=("candidate-evicted",)))
        assert list(store.candidates()) == ["candidate-waiting"]


def test_adaptors_survive_opening_and_closing(path):
    """Stored adaptors, removals and attempts persist when the file is opened again."""
    with new_store(path, [fact("a")]) as store:
        for version in (1, 2):
            store.apply(StoreAdaptor(a_record("home", version, seed=version)))
        store.apply(StoreGrowthAttempt("home", "h1"))
        store.apply(StoreGrowthAttempt("home", "h2"))
        store.apply(StoreLabelCandidates((a_candidate("x"),)))
        kept = store.adaptors()
    with Store.open(path, CARD) as again:
        assert [one.version for one in again.adaptors()["home"]] == [2, 1]
        assert [one.digest for one in again.adaptors()["home"]] == [
            a_record("home", version, seed=version).digest for version in (2, 1)
        ]
        assert again.attempts() == {"home": "h2"}
        assert again.candidates() == {"candidate-x": a_candidate("x")}
        again.apply(RemoveAdaptor("home", 2))
        assert [one.version for one in again.adaptors()["home"]] == [1]
    assert [one.version for one in kept["home"]] == [2, 1]


def test_a_full_disk_keeps_the_adaptor_that_serves(path):
    """Where a new adaptor does not fit on the disk, the error says so, the old versions serve on,
    and every fact is there; with room, it is stored."""
    with new_store(path, distinct_facts(9)) as store:
        store.apply(StoreAdaptor(a_record("home", 1)))
        before = store.digest()
        limit_pages(store, 0)
        many = tuple(f"{number:090}" for number in range(2000))
        with pytest.raises(StateError, match="full") as caught:
            store.apply(StoreAdaptor(a_record("home", 2, many)))
        assert "free space" in caught.value.hint
        assert [one.version for one in store.adaptors()["home"]] == [1]
        assert store.digest() == before
        assert store.check() == ()
        limit_pages(store, 10_000)
        store.apply(StoreAdaptor(a_record("home", 2, many)))
        assert [one.version for one in store.adaptors()["home"]] == [2, 1]
