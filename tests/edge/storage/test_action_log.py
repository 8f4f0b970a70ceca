"""Records of actions in the knowledge file: durable, bounded, all or nothing, and erased with the
facts that they hold."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

import encoder
from edge import Store
from edge.core import limits
from edge.core.actions import Action, FactBefore
from edge.core.errors import StateError
from edge.core.events import (
    EraseFacts,
    ReleaseActions,
    RemoveAdaptor,
    StoreAdaptor,
    StoreFacts,
    StoreLabelCandidates,
    Together,
    Undo,
)
from edge.core.facts import Selector
from edge.core.learning import waiting_again
from edge.home.home import Home
from edge.storage import tables
from tests.edge.storage.test_erasure import gaps, traces
from tests.homes import RECEIPT, distinct_facts, new_home, raw_bytes, wide_card
from tests.workers import a_record

WIDTH = 300
NOW = time.time_ns()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A path for a knowledge file."""
    return tmp_path / "knowledge.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """A store with forty facts."""
    with Store.create(path, wide_card(WIDTH)) as made:
        made.apply(StoreFacts(facts=tuple(distinct_facts(40, WIDTH))))
        yield made


FACTS = distinct_facts(60, WIDTH)
NEW, OLD = FACTS[40:50], FACTS[:10]


@pytest.fixture(autouse=True)
def at_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long run of all tests may reach these more than ten minutes after `NOW`."""
    monkeypatch.setattr(time, "time_ns", lambda: NOW + 1)


def labelling(name: str = "a", at_ns: int = NOW) -> Together:
    """An action that labels ten observations and evicts ten facts for them."""
    rows = [FactBefore(fact=replace(one, label=""), after=one.hash()) for one in NEW]
    rows += [FactBefore(fact=one, after=b"") for one in OLD]
    stored = StoreFacts(facts=tuple(NEW), evicted=tuple(one.id for one in OLD), before=tuple(OLD))
    action = Action(id=name, verb="label-many", at_ns=at_ns, facts=tuple(rows), labels=("x",))
    return Together((stored,), action)


def test_a_record_survives_a_restart_and_ten_minutes_end_it(store: Store, path: Path) -> None:
    """The record is read again as it was written; at the first opening after ten minutes it is
    gone, and nothing of the evicted facts is left in the file."""
    store.apply(labelling())
    kept = store.actions()
    assert [len(one.facts) for one in kept] == [20]
    assert [row.fact.features for row in kept[0].facts if row.after] == [b""] * 10
    store.close()
    with Store.open(path) as again:
        assert repr(again.actions()) == repr(kept)
        assert [(head.id, count) for head, count in again.action_records.heads()] == [("a", 20)]
        assert again.check() == ()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: NOW + limits.UNDO_NS)
        with Store.open(path) as again:
            assert again.actions() == ()
    assert traces(path, OLD) == []
    assert gaps(path) == []


def test_a_clock_that_is_not_set_ends_nothing(store: Store, path: Path) -> None:
    """At the first opening in 1970 a record stays; the daemon, whose clock goes on from the last
    known moment, ends records that a wrong clock has dated into the future."""
    store.apply(labelling())
    store.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: 10**9)
        with Store.open(path) as again:
            assert len(again.actions()) == 1
            again.action_records.expire(NOW + 1)
            assert len(again.actions()) == 1
            again.action_records.expire(NOW - limits.UNDO_NS - 1)
            assert again.actions() == ()


def test_the_newest_actions_are_kept_within_both_limits(store: Store) -> None:
    """Beyond the number of actions, and beyond that of facts in their records, the oldest go; the
    newest stays, however many facts it holds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "ACTIONS_MAX", 3)
        for name in "abcde":
            store.apply(Together((), Action(id=name, verb="rollback", at_ns=NOW)))
        assert [one.id for one in store.actions()] == ["e", "d", "c"]
        patch.setattr(limits, "ACTION_FACTS_MAX", 25)
        store.apply(labelling("f"))
        store.apply(labelling("g"))
        assert [(one.id, len(one.facts)) for one in store.actions()][:1] == [("g", 20)]
        assert "f" not in {one.id for one in store.actions()}
        patch.setattr(limits, "ACTION_FACTS_MAX", 5)
        store.apply(labelling("h"))
        assert ("h", 20) in [(one.id, len(one.facts)) for one in store.actions()]


def test_a_change_that_fails_half_way_leaves_nothing(store: Store) -> None:
    """Facts, totals, digest, candidates and record are those before; the same change succeeds
    later."""
    before = (store.digest(), dict(store.contents()), store.evictions())
    change = labelling()
    candidates = StoreLabelCandidates(tuple(waiting_again(one) for one in OLD))
    whole = Together((*change.effects, candidates), change.action)
    with pytest.MonkeyPatch.context() as patch:

        def fail(*_: object) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        patch.setattr(tables, "store_candidates", fail)
        with pytest.raises(StateError):
            store.apply(whole)
    assert (store.digest(), dict(store.contents()), store.evictions()) == before
    assert store.actions() == ()
    assert store.check() == ()
    store.apply(whole)
    assert store.check() == ()
    assert [len(one.facts) for one in store.actions()] == [20]


def test_an_erasure_leaves_no_trace_in_records(store: Store, path: Path) -> None:
    """Erased facts, labelled or evicted by an action, leave file and log; the others stay in the
    record.  A record without facts ends."""
    store.apply(labelling())
    gone = [*NEW[:3], *OLD[:3]]
    assert traces(path, OLD[:3]) != []
    store.apply(EraseFacts(tuple(one.id for one in gone), RECEIPT))
    assert traces(path, gone) == []
    (action,) = store.actions()
    assert {row.fact.id for row in action.facts} == {one.id for one in (*NEW[3:], *OLD[3:])}
    store.apply(EraseFacts(tuple(one.id for one in (*NEW, *OLD)), RECEIPT))
    assert traces(path, [*NEW, *OLD]) == []
    assert store.actions() == ()


def test_facts_are_selected_as_they_were(store: Store) -> None:
    """Evicted and corrected facts are found by each field of a selector, and leave a record when
    they are released."""
    store.apply(labelling())
    one = OLD[2]
    for selector in (
        Selector(ids=frozenset({one.id, "nothing"})),
        Selector(domain=one.domain, from_ns=one.captured_at_ns, until_ns=one.captured_at_ns + 1),
        Selector(stream=one.stream, ids=frozenset({one.id})),
    ):
        assert one.id in store.kept_facts(selector)
    assert store.kept_facts(Selector(subject="nobody")) == ()
    store.apply(ReleaseActions((one.id,)))
    assert store.kept_facts(Selector(ids=frozenset({one.id}))) == ()


def test_versions_kept_aside_end_with_their_action(store: Store, path: Path) -> None:
    """A version that an action removed serves again when it is undone, is not listed before, and
    is deleted with the record, with the ids of its facts."""
    store.apply(StoreAdaptor(a_record("home", 1, ("shaped-by-this",))))
    for name, undone in (("a", True), ("b", False)):
        action = Action(id=name, verb="rollback", at_ns=NOW, domain="home", version=1)
        store.apply(Together((RemoveAdaptor("home", 1),), action))
        assert store.adaptors() == {}
        assert store.actions()[0].adaptors == (("home", 1),)
        if undone:
            store.apply(Together((), undoes=name))
            assert [one.version for one in store.adaptors()["home"]] == [1]
    store.action_records.expire(NOW + limits.UNDO_NS)
    store.apply(EraseFacts((FACTS[0].id,), RECEIPT))
    assert b"shaped-by-this" not in raw_bytes(path)


def test_raw_inputs_stay_with_labelled_facts(store: Store, path: Path) -> None:
    """A candidate's raw input stays when it is labelled or its label is taken back, goes when the
    fact is evicted, and is erased with it."""
    chosen = NEW[:3]
    store.apply(StoreLabelCandidates(tuple(waiting_again(one) for one in chosen)))
    store.store_raw_inputs({one.id: f"picture of {one.id}".encode() for one in chosen})
    store.apply(StoreFacts(facts=tuple(chosen)))
    assert all(store.raw(one.id) for one in chosen)
    store.store_raw_inputs({"of nothing": b"x"})
    assert store.raw("of nothing") is None
    withdrawn = StoreFacts(facts=(), withdrawn=(chosen[0].id,))
    again = StoreLabelCandidates((waiting_again(chosen[0]),))
    store.apply(Together((withdrawn, again), Action(id="u", verb="unlabel", at_ns=NOW)))
    assert store.raw(chosen[0].id)
    store.apply(StoreFacts(facts=(), evicted=(chosen[1].id,)))
    assert store.raw(chosen[1].id) is None
    store.apply(EraseFacts((chosen[2].id,), RECEIPT))
    assert f"picture of {chosen[2].id}".encode() not in raw_bytes(path)


def test_raw_inputs_of_new_facts_are_stored_with_them(store: Store) -> None:
    """Raw inputs in memory are written in the transaction of the facts, within the limit of bytes;
    the newest stay."""
    pictures = {one.id: bytes([at]) * 100 for at, one in enumerate(NEW)}
    store.raw_inputs = lambda keys: {key: pictures[key] for key in keys if key in pictures}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "RAW_BYTES_MAX", 450)
        store.apply(StoreFacts(facts=tuple(NEW)))
    assert [one.id for one in NEW if store.raw(one.id)] == [one.id for one in NEW[-4:]]


WORK = textwrap.dedent("""
    import sys, time
    from pathlib import Path
    from edge.core.events import Label, LabelMany, Undo, Undoable
    from edge.home.home import Home
    print("begun", flush=True)
    with Home(Path(sys.argv[1])) as home:
        for turn in range(10**6):
            name = f"{time.time_ns()}"
            labels = tuple(Label(f"c{n}", "ab"[turn % 2], "home") for n in range(30))
            home.feed(Undoable(LabelMany(labels), name, time.time_ns()))
            print("labelled", flush=True)
            home.feed(Undo(name, time.time_ns()))
            print("undone", flush=True)
""")


def test_kill_9_at_any_step_keeps_all_or_nothing(tmp_path: Path) -> None:
    """Killed at any moment of labelling and undoing, again and again, either all observations are
    labelled, with a record of all, or all wait; the knowledge is that of the facts."""
    folder = new_home(tmp_path / "home")
    rows = [replace(one, features=one.features[:8]) for one in FACTS]
    with Home(folder) as home:
        home.store.apply(StoreFacts(facts=tuple(rows)))
        waiting = (replace(one, id=f"c{n}") for n, one in enumerate(rows[:30]))
        home.store.apply(StoreLabelCandidates(tuple(map(waiting_again, waiting))))
        before = home.store.digest()
    roots = (Path(encoder.__file__).parents[1], Path(__file__).parents[3])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, roots))}
    draw = random.Random(5)
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", WORK, str(folder)], env=env, text=True, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        for _ in range(draw.randrange(2, 30)):
            process.stdout.readline()
        time.sleep(draw.random() / 50)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with Home(folder) as home:
            labelled = sum(home.store.get(f"c{n}") is not None for n in range(30))
            assert (labelled, len(home.store.candidate_index())) in {(30, 0), (0, 30)}
            records = [one for one in home.store.actions() if not one.undone]
            assert [len(one.facts) for one in records] == [30] * (labelled == 30)
            assert home.store.check() == ()
            for one in records:
                home.feed(Undo(one.id, time.time_ns()))
            assert len(home.store.candidate_index()) == 30
            assert home.store.digest() == before
