"""The journal of commands: each id once, through crashes, and nothing forgotten in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from edge import Store
from edge.core.config import Config
from edge.core.events import Enrol, ForgetRequest, Label, Observation, Publish, Rejected
from edge.core.facts import Selector
from edge.core.receipt import Receipt
from edge.core.runtime import Runtime
from edge.storage import command_journal as journal
from edge.storage.command_journal import AnsweredCommand, JournalEntry
from tests.homes import CARD, new_store, raw_bytes
from tests.worlds import fact, vector, whole_number_model

COMMAND = JournalEntry("c1", "label", b'{"label":"a"}', 100, 0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with new_store(tmp_path / "k.db") as made:
        yield made


def test_an_answer_is_found_by_the_same_command(store: Store):
    """A repeated command gets its answer; a different one with the same id is recognised."""
    assert store.journal.find(COMMAND) is None
    store.journal.record(COMMAND, b"fine", done=True)
    assert store.journal.find(COMMAND) == AnsweredCommand(same=True, done=True, answer=b"fine")
    found = store.journal.find(replace(COMMAND, payload=b"{}"))
    assert found == AnsweredCommand(same=False, done=True, answer=b"fine")


def test_a_command_and_its_change_are_stored_in_one_step(tmp_path: Path):
    """A crash before the answer keeps both mark and change, or neither."""
    path = tmp_path / "k.db"
    with new_store(path) as store:
        runtime = Runtime(Config(), whole_number_model(), store)
        effects = runtime.handle(
            Observation(stream="s", sequence=1, captured_at_ns=1, payload=vector(1))
        )
        effects = runtime.handle(Label("s:1", "a"))
        assert store.journal.find(COMMAND) is None
        with store.journal.marking(COMMAND):
            store.apply(effects[0])
    with Store.open(path, CARD) as again:
        assert again.get("s:1") is not None
        assert again.journal.find(COMMAND) == AnsweredCommand(same=True, done=True, answer=None)


def test_the_journal_is_bounded_and_keeps_unexpired_commands(store: Store, monkeypatch):
    """Expired commands are deleted, oldest first; without expired ones there is no room."""
    monkeypatch.setattr(journal, "ENTRIES_MAX", 3)
    for number, expires in enumerate((50, 0, 500), start=1):
        one = JournalEntry(f"c{number}", "pause", b"", number, expires)
        assert store.journal.make_room(100)
        store.journal.record(one, b"", done=True)
    assert store.journal.make_room(100)
    assert [store.journal.find(JournalEntry(f"c{n}", "", b"")) is None for n in (1, 2, 3)] == [
        True,
        False,
        False,
    ]
    for number in (4, 5):
        store.journal.make_room(100)
        store.journal.record(JournalEntry(f"c{number}", "pause", b"", 9, 500), b"", done=True)
    assert not store.journal.make_room(100)
    assert store.journal.make_room(501)


def test_old_commands_without_expiry_go_after_a_month(store: Store):
    """Old entries are deleted with the next answer."""
    store.journal.record(COMMAND, b"", done=True)
    later = 101 + journal.KEPT_DAYS * journal.DAY_NS
    store.journal.record(JournalEntry("c2", "pause", b"", later), b"", done=True)
    assert store.journal.find(COMMAND) is None
    assert store.journal.newest_ns() == later


def test_an_erasure_leaves_neither_ids_nor_answers(tmp_path: Path):
    """An erasure deletes answers, which may name forgotten facts, and keeps the marks."""
    path = tmp_path / "k.db"
    entry = JournalEntry(
        "label observation-123", "label", b'{"observation_id":"observation-123"}', 1
    )
    with new_store(path, [fact("observation-123")]) as store:
        store.journal.record(entry, b"observation-123 is taken", done=True)
        runtime = Runtime(Config(), whole_number_model(), store)
        request = ForgetRequest(
            request_id="r", selector=Selector(ids=frozenset({"observation-123"}))
        )
        for effect in runtime.handle(request):
            store.apply(effect)
        assert store.journal.find(entry) == AnsweredCommand(same=True, done=True, answer=None)
    assert b"observation-123" not in raw_bytes(path)


@pytest.mark.parametrize(
    "selector",
    [Selector(ids=frozenset({"f1", "f2"})), Selector(subject="ann"), Selector(label="a")],
)
def test_a_repeated_forget_request_gets_the_stored_receipt(tmp_path: Path, selector: Selector):
    """The same answer as the first time, without the names that the ledger no longer holds, after a
    restart too; another request under its id is refused, whatever came meanwhile."""
    path = tmp_path / "k.db"
    facts = [fact(f"f{n}", "ab"[n % 2], subject="ann", at=n) for n in range(6)]
    request = ForgetRequest(request_id="r", selector=selector, requested_at_ns=7)
    with new_store(path, facts) as store:
        (first,) = forget(store, request)
        assert isinstance(first, Receipt)
        first = replace(store.veiled(first), selector=selector)
        assert forget(store, request) == [first]
    with Store.open(path, CARD) as store:
        runtime = Runtime(Config(), whole_number_model(), store)
        for effect in runtime.handle(Enrol((fact("f9", "a", subject="ann"),))):
            store.apply(effect)
        assert forget(store, replace(request, requested_at_ns=9)) == [first]
        (other,) = forget(store, replace(request, selector=Selector(domain="home")))
        assert isinstance(other, Rejected)
        assert "for another selection" in other.reason
        assert store.get("f9") is not None


def forget(store: Store, request: ForgetRequest) -> list[object]:
    """Execute a request and return the published messages."""
    runtime = Runtime(Config(), whole_number_model(), store)
    messages: list[object] = []
    for effect in runtime.handle(request):
        store.apply(effect)
        messages += [effect.message] if isinstance(effect, Publish) else []
    return messages
