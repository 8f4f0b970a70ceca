"""Erased facts leave no trace in the file, its log or its index, whatever came before and after."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import encoder
from edge import Store
from edge.core.events import EraseFacts, StoreFacts
from edge.core.facts import Derived, Fact
from edge.core.pending_forgets import ExcludeFacts
from edge.storage.checkpoints import HELD_LOGS_MAX
from edge.storage.page_cleaner import PageCleaner
from tests.homes import RECEIPT, distinct_facts, raw_bytes, wide_card


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A path for a knowledge file."""
    return tmp_path / "knowledge.db"


def traces(path: Path, gone: list[Fact]) -> list[str]:
    """The ids of facts of which the file, its log or its index still holds anything."""
    raw = raw_bytes(path)
    return [
        one.id
        for one in gone
        if one.id.encode() in raw or one.features[:8] in raw or one.features[-8:] in raw
    ]


def gaps(path: Path) -> list[int]:
    """The numbers of pages of a closed file whose unallocated parts are not empty."""
    before = path.read_bytes()
    cleaner = PageCleaner(path)
    cleaner.clean()
    cleaner.close()
    after = path.read_bytes()
    path.write_bytes(before)
    size = 8192
    places = range(0, len(before), size)
    return [at // size + 1 for at in places if before[at : at + size] != after[at : at + size]]


def churn(store: Store, facts: list[Fact], seed: int) -> Iterator[list[Fact]]:
    """Store, replace, evict and erase facts in a random order; yield all that are erased."""
    draw = random.Random(seed)
    waiting, held, gone = list(facts), list[Fact](), list[Fact]()
    draw.shuffle(waiting)
    while waiting:
        some = [waiting.pop() for _ in range(min(len(waiting), draw.randrange(1, 30)))]
        again = draw.sample(held, min(len(held), draw.randrange(0, 5)))
        store.apply(StoreFacts(facts=(*some, *again)))
        held += some
        if draw.random() < 0.5:
            out = draw.sample(held, min(len(held), draw.randrange(1, 20)))
            store.apply(EraseFacts(tuple(one.id for one in out), RECEIPT))
            held = [one for one in held if one not in out]
            gone += out
        yield gone


@settings(max_examples=8, deadline=None)
@given(
    st.sampled_from([24, 300, 1500, 2064, 9000]),
    st.integers(0, 2**32),
    st.sampled_from(["rarely", "often", "in the background"]),
)
def test_no_trace_is_left_at_any_time(
    tmp_path_factory: pytest.TempPathFactory, width: int, seed: int, checkpoints: str
) -> None:
    """After every change, nothing of any erased fact is in the file, its log or its index, with
    short logs and with long ones; the gaps of the closed file are empty."""
    path = tmp_path_factory.mktemp("churn") / "k.db"
    facts = distinct_facts(60 if width > 1000 else 300, width)
    with pytest.MonkeyPatch.context() as patch:
        if checkpoints != "rarely":
            patch.setattr("edge.storage.checkpoints.LOG_BYTES_MAX", 30_000)
        with Store.create(path, wide_card(width)) as store:
            if checkpoints == "in the background":
                store.checkpoint_in_background()
            for gone in churn(store, facts, seed):
                assert traces(path, gone) == []
            assert store.check() == ()
    assert gaps(path) == []


def test_a_due_checkpoint_is_prepared_in_another_thread(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where transactions may not wait, the one that makes a checkpoint due cleans no page; one that
    follows cuts the log."""
    monkeypatch.setattr("edge.storage.checkpoints.LOG_BYTES_MAX", 100_000)
    cleans, done = PageCleaner.clean, list[str]()

    def clean(self: PageCleaner, pages: set[int] | None = None) -> None:
        done.append(threading.current_thread().name)
        cleans(self, pages)

    log = path.with_name(path.name + "-wal")
    facts = distinct_facts(301, 300)
    with Store.create(path, wide_card(300)) as store:
        store.checkpoint_in_background()
        monkeypatch.setattr(PageCleaner, "clean", clean)
        store.apply(StoreFacts(facts=tuple(facts[:300])))
        assert log.stat().st_size > 100_000
        (beside,) = (one for one in threading.enumerate() if one.name == "checkpoint")
        beside.join()
        assert done == ["checkpoint"]
        store.apply(StoreFacts(facts=tuple(facts[300:])))
        assert done == ["checkpoint", "MainThread"]
        assert log.stat().st_size == 0


def test_the_rest_of_a_checkpoint_is_a_step_of_its_own(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Erasing a slice of facts does not finish a checkpoint that was prepared, unless the log gets
    too long; the step that does cleans the pages written since alone."""
    monkeypatch.setattr("edge.storage.checkpoints.LOG_BYTES_MAX", 250_000)
    cleans, done = PageCleaner.clean, list[int]()

    def clean(self: PageCleaner, pages: frozenset[int] | None = None) -> None:
        done.append(len(pages or ()))
        cleans(self, pages)

    log = path.with_name(path.name + "-wal")
    facts = distinct_facts(900, 300)
    with Store.create(path, wide_card(300)) as store:
        store.checkpoint_in_background()
        assert not store.finish_checkpoint()
        monkeypatch.setattr(PageCleaner, "clean", clean)
        store.apply(StoreFacts(facts=tuple(facts)))
        (beside,) = (one for one in threading.enumerate() if one.name == "checkpoint")
        beside.join()
        store.apply(ExcludeFacts((facts[0].id,)))
        assert len(done) == 1
        assert log.stat().st_size > 250_000
        assert store.finish_checkpoint()
        assert log.stat().st_size == 0
        assert 0 < done[1] < done[0] / 2
        assert not store.finish_checkpoint()
        assert store.check() == ()
        store.overwrite_remains()
        assert traces(path, facts[:1]) == []
    assert gaps(path) == []


def test_a_log_that_gets_too_long_is_not_held_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If nothing finishes a checkpoint, a slice does."""
    monkeypatch.setattr("edge.storage.checkpoints.LOG_BYTES_MAX", 40_000)
    log = path.with_name(path.name + "-wal")
    facts = distinct_facts(300, 300)
    with Store.create(path, wide_card(300)) as store:
        store.checkpoint_in_background()
        store.apply(StoreFacts(facts=tuple(facts)))
        (beside,) = (one for one in threading.enumerate() if one.name == "checkpoint")
        beside.join()
        assert log.stat().st_size > HELD_LOGS_MAX * 40_000
        store.apply(ExcludeFacts((facts[0].id,)))
        assert log.stat().st_size == 0


def test_kept_state_is_deleted_in_steps(path: Path) -> None:
    """Each step deletes some entries, until none is left."""
    with Store.create(path, wide_card(24)) as store:
        store.save_derived(
            Derived(name="sums", key="k", domain=f"d{n}", arrays={"a": np.arange(4)})
            for n in range(70)
        )
        found = list[bool]()
        while not found or found[-1]:
            found.append(store.drop_some_derived())
    assert found == [True, True, False]


def test_sqlite_alone_leaves_traces(tmp_path: Path) -> None:
    """Without the cleaning of pages, rows that SQLite moved stay behind: the test can fail."""
    path = tmp_path / "k.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PageCleaner, "clean", lambda *_: None)
        with Store.create(path, wide_card(24)) as store:
            *_, gone = churn(store, distinct_facts(400, 24), 1)
            assert traces(path, gone) != []
    assert gaps(path) != []


def test_an_erasure_writes_little_of_a_large_file(path: Path) -> None:
    """Erasing one fact of many rewrites a few pages, not the file."""
    facts = distinct_facts(3000, 2064)
    with Store.create(path, wide_card(2064)) as store:
        store.apply(StoreFacts(facts=tuple(facts)))
    before = path.read_bytes()
    with Store.open(path) as store:
        store.apply(EraseFacts((facts[1234].id,), RECEIPT))
        assert traces(path, [facts[1234]]) == []
    after = path.read_bytes()
    changed = sum(
        before[at : at + 8192] != after[at : at + 8192] for at in range(0, len(after), 8192)
    )
    assert len(after) > 6_000_000
    assert changed < 30


def test_a_file_that_is_mostly_free_is_rebuilt(path: Path) -> None:
    """After most facts were erased, the file is about as large as the remaining facts need."""
    facts = distinct_facts(1000, 2064)
    with Store.create(path, wide_card(2064)) as store:
        store.apply(StoreFacts(facts=tuple(facts)))
    full = path.stat().st_size
    with Store.open(path) as store:
        store.apply(EraseFacts(tuple(one.id for one in facts[:900]), RECEIPT))
        assert traces(path, facts[:900]) == []
        assert store.check() == ()
    assert path.stat().st_size < full / 4


def test_kept_state_goes_with_the_fact(path: Path) -> None:
    """Nothing of kept state that may hold traces of a fact is in the file once it is erased."""
    facts = distinct_facts(40, 24)
    secret = np.frombuffer(b"derived from facts" * 2000, np.uint8)
    with Store.create(path, wide_card(24)) as store:
        store.apply(StoreFacts(facts=tuple(facts)))
        store.save_derived([Derived(name="sums", key="k", domain="home", arrays={"a": secret})])
        assert b"derived from facts" in raw_bytes(path)
        store.apply(EraseFacts((facts[0].id,), RECEIPT))
        assert b"derived from facts" not in raw_bytes(path)


CHURN = textwrap.dedent("""
    import sys
    from pathlib import Path
    from edge import Store
    from edge.core import EraseFacts, StoreFacts
    from edge.storage import checkpoints
    from tests.homes import RECEIPT, distinct_facts
    checkpoints.LOG_BYTES_MAX = 100_000
    facts = distinct_facts(2000, 300)
    with Store.open(sys.argv[1]) as store:
        start = next(n for n in range(0, 2000, 20) if not any(
            store.get(one.id) or store.was_forgotten(one.id) for one in facts[n : n + 20]))
        for at in range(start, 2000, 20):
            store.apply(StoreFacts(facts=tuple(facts[at : at + 20])))
            print("stored", at, flush=True)
            store.apply(EraseFacts(tuple(one.id for one in facts[at : at + 20 : 3]), RECEIPT))
            print("erased", at, flush=True)
""")


BESIDE = (
    CHURN.replace(
        "store.apply(EraseFacts(tuple(one.id for one in facts[at : at + 20 : 3]), RECEIPT))",
        """store.apply(ExcludeFacts(tuple(one.id for one in facts[at : at + 20 : 3])))
        print("erased", at, flush=True)
        beside = threading.Thread(target=store.prepare_overwriting)
        beside.start()
        for n in range(at, at + 3):
            store.store_raw_inputs({facts[at + 1].id: bytes([n % 256]) * 5_000})
        beside.join()
        store.overwrite_remains(waits=False)""",
    )
    .replace("EraseFacts", "ExcludeFacts")
    .replace("import sys", "import sys, threading")
)


CHECKPOINTS_BESIDE = CHURN.replace(
    "start = next(", "store.checkpoint_in_background()\n    start = next(", 1
)


@pytest.mark.parametrize(
    "churn",
    [CHURN, BESIDE, CHECKPOINTS_BESIDE],
    ids=["erasing", "overwriting in a thread", "checkpoints in a thread"],
)
def test_kill_9_at_any_step_loses_nothing(path: Path, churn: str) -> None:
    """Killed at any moment, again and again, the store keeps every acknowledged fact, holds none
    that was acknowledged as erased, and the next opening removes all their traces."""
    facts = distinct_facts(2000, 300)
    Store.create(path, wide_card(300)).close()
    roots = (Path(encoder.__file__).parents[1], Path(__file__).parents[3])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, roots))}
    draw = random.Random(3)
    reported: dict[str, set[int]] = {"stored": set(), "erased": set()}
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", churn, str(path)], env=env, text=True, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        for _ in range(draw.randrange(1, 40)):
            note(process.stdout.readline(), reported)
        process.send_signal(signal.SIGKILL)
        for line in process.stdout:
            note(line, reported)
        process.wait()
        with Store.open(path) as store:
            assert store.check() == ()
            assert not store.unscrubbed
            gone = [one for one in facts if store.was_forgotten(one.id)]
            asked = {one.id for at in reported["erased"] for one in facts[at : at + 20 : 3]}
            assert asked <= {one.id for one in gone}
            stored = [one for at in reported["stored"] for one in facts[at : at + 20]]
            left = [one for one in stored if not store.was_forgotten(one.id)]
            assert all(store.get(one.id) == one for one in left)
            assert traces(path, gone) == []
        assert traces(path, gone) == []
        assert gaps(path) == []
    assert len(reported["erased"]) > 5


def test_pages_are_cleaned_beside_transactions(path: Path) -> None:
    """What one thread commits while another one cleans pages stays whole, and after the cut nothing
    of the erased facts is left."""
    facts = distinct_facts(600, 300)
    with Store.create(path, wide_card(300)) as store:
        store.apply(StoreFacts(facts=tuple(facts[:300])))
        for at in range(0, 300, 30):
            store.apply(ExcludeFacts(tuple(one.id for one in facts[at : at + 10])))
            beside = threading.Thread(target=store.prepare_overwriting)
            beside.start()
            for n in range(300 + at, 330 + at, 3):
                store.apply(StoreFacts(facts=tuple(facts[n : n + 3])))
            beside.join()
            store.overwrite_remains(waits=False)
            assert not store.unscrubbed
            assert traces(path, facts[at : at + 10]) == []
        assert store.check() == ()
        assert all(store.get(one.id) == one for one in facts[300:])
    assert gaps(path) == []


def test_preparing_leaves_only_the_cut(path: Path) -> None:
    """After the thread's part the erased features are in the log alone, and cutting it writes no
    page of the file."""
    facts = distinct_facts(100, 300)
    with Store.create(path, wide_card(300)) as store:
        store.apply(StoreFacts(facts=tuple(facts)))
        store.overwrite_remains()
        store.apply(ExcludeFacts(tuple(one.id for one in facts[::4])))
        store.prepare_overwriting()
        assert not [one for one in facts[::4] if one.features in path.read_bytes()]
        before = path.read_bytes()
        store.overwrite_remains(waits=False)
        assert path.read_bytes()[8192:] == before[8192:]


def note(line: str, reported: dict[str, set[int]]) -> None:
    """Note what a process reported."""
    what, _, number = line.strip().partition(" ")
    if what in reported and number.isdigit():
        reported[what].add(int(number))


def test_a_reader_at_the_end_does_not_leave_gaps(path: Path) -> None:
    """Where a reader prevents the last checkpoint, the next opening cleans the file."""
    facts = distinct_facts(400, 24)
    with Store.create(path, wide_card(24)) as store:
        for at in range(0, 200, 20):
            store.apply(StoreFacts(facts=tuple(facts[at : at + 20])))
        reader = Store.open(path, writable=False)
        for at in range(200, 400, 20):
            store.apply(StoreFacts(facts=tuple(facts[at : at + 20])))
    reader.close()
    # As any other program would: its last connection writes the log into the file.
    with sqlite3.connect(path) as other:
        other.execute("SELECT COUNT(*) FROM facts").fetchone()
    other.close()
    with Store.open(path) as store:
        gone = facts[::3]
        store.apply(EraseFacts(tuple(one.id for one in gone), RECEIPT))
        assert traces(path, gone) == []
    assert gaps(path) == []
