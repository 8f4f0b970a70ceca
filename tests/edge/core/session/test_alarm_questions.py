"""Questions about lasting alarms, their late answers, and what a forget request drops of them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from edge.core import limits
from edge.core.events import (
    Acknowledgement,
    AlarmQuestion,
    ConfirmAlarm,
    Decision,
    ForgetRequest,
    Observation,
    Rejected,
)
from edge.core.facts import Selector
from edge.core.receipt import Receipt
from edge.home.home import Home
from edge.storage import tables
from tests.drifts import SECOND_NS, SHIFT, samples, timed_home

WINDOW = 16


class Watch:
    """A home in time order, which observes samples of a stream."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(timed_home(folder))
        self._at = 0

    def see(
        self, count: int, shift: int, seed: int, stream: str = "cam", subject: str = "ann"
    ) -> list[Any]:
        """Observe samples and return all messages."""
        found: list[Any] = []
        for row in samples(count, shift, seed):
            self._at += 1
            event = Observation(
                stream=stream,
                sequence=self._at,
                captured_at_ns=self._at * SECOND_NS,
                payload=row,
                subject=subject,
                recording=f"{stream} today",
            )
            found += self.home.feed(event)
        return found

    @property
    def asked(self) -> AlarmQuestion:
        """The one open question."""
        (found,) = self.home.runtime.alarm_questions()
        return found


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    """A home whose stream cam has raised a lasting alarm."""
    made = Watch(tmp_path / "home")
    made.see(2 * WINDOW, 0, 1)
    made.see(3 * WINDOW, SHIFT, 2)
    return made


def test_an_answer_may_come_after_the_observations_have_expired(watch):
    """The newest observations stand for those of the question, and the alarm ends."""
    asked = watch.asked
    watch.home.runtime._session.label_buffer.drop(asked.observation_ids)  # noqa: SLF001 - expiry
    ack, ended = watch.home.feed(ConfirmAlarm(asked.alarm_id, "cam", harmless=True, at_ns=9))
    assert (ended.stream, ended.raised) == ("cam", False)
    assert isinstance(ack, Acknowledgement)
    record = watch.home.store.recalibrations()["cam"].confirmed[0]
    assert record.alarm_id == asked.alarm_id
    assert not set(record.observation_ids) & set(asked.observation_ids)
    later = [one for one in watch.see(WINDOW, SHIFT, 3) if isinstance(one, Decision)]
    assert not any(one.alarm for one in later[1:])


def test_a_forget_request_drops_the_window_and_its_question(watch):
    """A request that covers only observations of the open alarm drops them; the alarm is asked
    about again after a window of new ones, and names none of the old."""
    old = set(watch.asked.observation_ids)
    (receipt,) = watch.home.feed(
        ForgetRequest(request_id="r", selector=Selector(subject="ann"), requested_at_ns=5)
    )
    assert isinstance(receipt, Receipt)
    assert watch.home.runtime.alarm_questions() == ()
    watch.see(4 * WINDOW, SHIFT, 3, subject="ben")
    assert not old & set(watch.asked.observation_ids)


def test_counts_are_forgotten_with_any_of_their_observations(watch):
    """The counts of the observed rate name every subject that was counted, also one whose
    observations never moved the level."""
    watch.see(2 * WINDOW, SHIFT, 3, subject="carl")
    assert watch.home.runtime.observed_rates()
    watch.home.feed(
        ForgetRequest(request_id="r", selector=Selector(subject="carl"), requested_at_ns=5)
    )
    assert watch.home.runtime.observed_rates() == {}
    assert watch.home.store.recalibrations() == {}


@pytest.mark.parametrize(
    ("selector", "kept"),
    [
        (Selector(recording="cam today"), False),
        (Selector(stream="cam"), False),
        (Selector(until_ns=10**6 * SECOND_NS, from_ns=SECOND_NS), False),
        (Selector(recording="door today"), True),
    ],
)
def test_a_confirmation_is_forgotten_by_each_of_its_keys(watch, selector, kept):
    """A confirmed alarm goes with its recording, stream or time, and stays with those of others."""
    watch.home.feed(ConfirmAlarm(watch.asked.alarm_id, "cam", harmless=True, at_ns=9))
    watch.see(WINDOW, 0, 4, stream="door", subject="dan")
    watch.home.feed(ForgetRequest(request_id="r", selector=selector, requested_at_ns=5))
    found = watch.home.store.recalibrations().get("cam")
    assert (found is not None and len(found.confirmed) == 1) is kept


def test_a_restart_keeps_the_confirmation(watch, tmp_path):
    """After a restart the same drifted samples raise no alarm; an answer to the question of before
    is refused with what to do."""
    asked = watch.asked
    watch.home.feed(ConfirmAlarm(asked.alarm_id, "cam", harmless=True, at_ns=9))
    watch.home.close()
    watch.home = Home(tmp_path / "home")
    later = [one for one in watch.see(2 * WINDOW, SHIFT, 5) if isinstance(one, Decision)]
    assert not any(one.alarm for one in later)
    (refused,) = watch.home.feed(ConfirmAlarm(asked.alarm_id, "cam", harmless=False, at_ns=9))
    assert isinstance(refused, Rejected)
    assert refused.hint


def test_the_confirmations_of_a_stream_are_bounded(watch, monkeypatch):
    """Beyond the limit the oldest confirmed alarm is dropped."""
    monkeypatch.setattr(limits, "CONFIRMED_ALARMS_MAX", 1)
    first = watch.asked.alarm_id
    watch.home.feed(ConfirmAlarm(first, "cam", harmless=True, at_ns=9))
    watch.see(4 * WINDOW, 3 * SHIFT, 6)
    watch.home.feed(ConfirmAlarm(watch.asked.alarm_id, "cam", harmless=True, at_ns=10))
    (kept,) = watch.home.store.recalibrations()["cam"].confirmed
    assert kept.alarm_id != first


def test_decisions_need_no_disk(watch, tmp_path, monkeypatch):
    """A home that is open for reading only, and one whose disk is full, decide as before; the
    problem is reported, and gone once the record could be stored."""
    watch.home.close()
    watch.home = Home(tmp_path / "home", writable=False)
    messages = watch.see(400, 0, 7)
    assert sum(isinstance(one, Decision) for one in messages) == 400
    assert "reading only" in watch.home.problem
    watch.home.close()
    watch.home = Home(tmp_path / "home")

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as full:
        full.setattr(tables, "store_recalibration", fail)
        messages = watch.see(400, 0, 8)
        assert sum(isinstance(one, Decision) for one in messages) == 400
        assert "full" in watch.home.problem
    watch.see(400, 0, 9)
    assert watch.home.problem == ""
