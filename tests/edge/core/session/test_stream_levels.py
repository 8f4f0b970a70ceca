"""More streams than fit in memory: a level that has left it is read, changed and forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.core import limits
from edge.core.events import Acknowledgement, ConfirmAlarm, ForgetRequest, Undo, Undoable
from edge.core.facts import Selector
from edge.core.receipt import Receipt
from tests.drifts import SHIFT
from tests.edge.core.session.test_alarm_questions import WINDOW, Watch
from tests.edge.core.session.test_recalibration import Stream, answer, rows, shifted, taught
from tests.worlds import World

STREAMS = 3
"""Levels that fit in memory in these tests; as many records fit in the ledger."""


@pytest.fixture(autouse=True)
def few_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound that a few streams reach."""
    monkeypatch.setattr(limits, "STREAMS_MAX", STREAMS)


def confirmed(world: World) -> Stream:
    """A stream whose shift was called harmless, and which has left memory since."""
    stream = shifted(world)
    answer(world, stream.questions[0], harmless=True)
    stream.watch(rows(40, 4, 2.0), subject="after")
    for number in range(STREAMS):
        Stream(world, f"other{number}").watch(rows(3, 50 + number))
    assert "live" not in world.runtime.observed_rates()
    assert world.ledger.recalibrations()["live"].confirmed
    return stream


def test_a_stream_that_returns_keeps_what_was_confirmed():
    """Its level is read again: the same shift raises no question."""
    world = taught()
    stream = confirmed(world)
    stream.watch(rows(100, 6, 2.0), subject="after")
    assert stream.outside(80) <= 0.05
    assert len(stream.questions) == 1


def test_a_forget_request_drops_a_level_that_has_left_memory():
    """What stems from the subject goes, and the shift is asked about again."""
    world = taught()
    stream = confirmed(world)
    selector = Selector(subject="after")
    assert world.runtime.holds_traces(selector)
    (receipt,) = world.feed(ForgetRequest(request_id="f", selector=selector))
    assert isinstance(receipt, Receipt)
    assert "recalibration" in receipt.rebuilt
    assert "live" not in world.ledger.recalibrations()
    assert not world.runtime.holds_traces(selector)
    stream.watch(rows(60, 7, 2.0), subject="later")
    assert len(stream.questions) == 2


def test_another_forget_request_keeps_it():
    """A request about another stream leaves the confirmation as it was."""
    world = taught()
    stream = confirmed(world)
    Stream(world, "other2").watch(rows(2, 60), subject="someone")
    world.feed(ForgetRequest(request_id="f", selector=Selector(subject="someone")))
    assert world.ledger.recalibrations()["live"].confirmed
    stream.watch(rows(60, 8, 2.0), subject="after")
    assert len(stream.questions) == 1


def test_an_answer_can_be_taken_back_after_its_level_has_left_memory(tmp_path: Path):
    """Undo reads the level, and the confirmation goes."""
    watch = Watch(tmp_path / "home")
    watch.see(2 * WINDOW, 0, 1)
    watch.see(3 * WINDOW, SHIFT, 2)
    event = ConfirmAlarm(watch.asked.alarm_id, "cam", harmless=True, at_ns=9)
    watch.home.feed(Undoable(event, "a", 9))
    for number in range(STREAMS):
        watch.see(2, 0, 10 + number, stream=f"other{number}")
    assert watch.home.store.recalibrations("cam")["cam"].confirmed
    assert any(isinstance(one, Acknowledgement) for one in watch.home.feed(Undo("a", 10)))
    assert not watch.home.store.recalibrations("cam")["cam"].confirmed
    watch.home.close()


def test_nothing_of_a_subject_stays_in_the_file(tmp_path: Path):
    """Ids and features of a confirmed alarm leave SQLite with the request, or the request would be
    refused."""
    watch = Watch(tmp_path / "home")
    watch.see(2 * WINDOW, 0, 1)
    watch.see(3 * WINDOW, SHIFT, 2)
    watch.home.feed(ConfirmAlarm(watch.asked.alarm_id, "cam", harmless=True, at_ns=9))
    for number in range(STREAMS):
        watch.see(2, 0, 10 + number, stream=f"other{number}", subject="bob")
    assert watch.home.store.recalibrations("cam")
    (receipt,) = watch.home.feed(
        ForgetRequest(request_id="r", selector=Selector(subject="ann"), requested_at_ns=5)
    )
    assert isinstance(receipt, Receipt)
    assert not watch.home.store.recalibrations("cam")
    assert watch.home.store.check() == ()
    watch.home.close()
