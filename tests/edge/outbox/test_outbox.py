from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from edge.config.device import OutboxSettings
from edge.core.errors import StateError, StateVersionError
from edge.outbox.entry import OutboxEntry, OutboxLoss
from edge.outbox.outbox import Outbox

S = 10**9
SMALL = OutboxSettings(bytes_max=10_000, memory_bytes_max=5_000, age_s_max=100.0)


class Clock:
    """A clock that the test advances."""

    def __init__(self) -> None:
        self.now = 1_000 * S

    def __call__(self) -> int:
        """Nanoseconds."""
        return self.now

    def pass_s(self, seconds: float) -> None:
        """Let time pass."""
        self.now += int(seconds * S)


@pytest.fixture
def clock() -> Clock:
    """A stopped clock."""
    return Clock()


@pytest.fixture
def outbox(tmp_path: Path, clock: Clock) -> Outbox:
    """An empty outbox."""
    return Outbox(tmp_path / "outbox.db", SMALL, clock)


def put(outbox: Outbox, *, kept: bool = False, keys: tuple[str, ...] = (), size: int = 20) -> int:
    """Add one entry; returns its number."""
    number = outbox.next_number()
    body = b'{"sequence":%d,"historical":false}' % number
    outbox.put(OutboxEntry(sequence=number, topic="t", body=body.ljust(size), kept=kept, keys=keys))
    return number


def send(outbox: Outbox, room: int = 100) -> list[OutboxEntry]:
    """Send due entries, with message ids equal to the numbers."""
    found = []
    for entry in outbox.due(room):
        outbox.sent(entry, entry.sequence)
        found.append(entry)
    return found


def announce(outbox: Outbox) -> list[OutboxLoss]:
    """Publish the losses; returns them."""
    reported_losses: list[OutboxLoss] = []

    def word(number: int, loss: OutboxLoss) -> OutboxEntry:
        reported_losses.append(loss)
        return OutboxEntry(sequence=number, topic="gap", body=b"{}", kept=True)

    outbox.publish_losses(word)
    return reported_losses


def kill(outbox: Outbox, to: Path, clock: Clock) -> Outbox:
    """Open the files as a process killed now leaves them."""
    to.mkdir(exist_ok=True)
    for suffix in ("", "-wal"):
        part = outbox.path.with_name(outbox.path.name + suffix)
        if part.exists():
            (to / part.name).write_bytes(part.read_bytes())
    return Outbox(to / outbox.path.name, SMALL, clock)


def test_a_live_entry_is_due_at_once_and_one_that_is_kept_when_it_is_durable(outbox: Outbox):
    """Decisions do not wait for the disk, receipts do."""
    live, kept = put(outbox), put(outbox, kept=True)
    assert [e.sequence for e in send(outbox)] == [live]
    assert outbox.commit()
    assert [e.sequence for e in send(outbox)] == [kept]


def test_promptly_confirmed_decisions_are_not_written(outbox: Outbox, clock: Clock):
    """A decision confirmed before its group commit is not written."""
    number = put(outbox)
    send(outbox)
    outbox.acked(number)
    clock.pass_s(5)
    outbox.maintain(online=True)
    rows = sqlite3.connect(outbox.path).execute("SELECT COUNT(*) FROM entries").fetchone()
    assert rows == (0,)
    assert outbox.entries == 0


def test_waiting_entries_survive_a_kill_and_are_historical(
    outbox: Outbox, tmp_path: Path, clock: Clock
):
    """The next run sends written entries as historical, with their numbers; numbers given out and
    not written are a loss."""
    first = put(outbox, keys=("a",))
    clock.pass_s(5)
    outbox.maintain(online=False)
    second = put(outbox)
    after = kill(outbox, tmp_path / "copy", clock)
    clock.pass_s(1)
    found = send(after)
    assert [(e.sequence, e.historical, e.keys) for e in found] == [(first, True, ("a",))]
    (loss,) = announce(after)
    assert loss.first <= second <= loss.last
    assert loss.reason == "crash"
    assert after.next_number() > loss.last
    assert after.run == outbox.run + 1


def test_a_clean_end_loses_nothing(outbox: Outbox, clock: Clock):
    """After closing, the next run continues with the next number and has no loss to report."""
    numbers = [put(outbox), put(outbox, kept=True)]
    outbox.close()
    with Outbox(outbox.path, SMALL, clock) as again:
        assert not list(again.losses)
        assert again.next_number() == numbers[-1] + 1
        clock.pass_s(1)
        assert [e.sequence for e in send(again)] == numbers


def test_messages_confirmed_just_before_a_broker_crash_are_sent_again(outbox: Outbox, clock: Clock):
    """Messages confirmed within the last seconds are sent again as late, in order; older or
    forgotten ones are not.  The length of the silence before the break does not count."""
    put(outbox)
    old = put(outbox)
    kept, secret, young = put(outbox, kept=True), put(outbox, keys=("a",)), put(outbox)
    assert outbox.commit()
    send(outbox)
    outbox.acked(old)
    clock.pass_s(3)
    for number in (kept, secret, young):
        outbox.acked(number)
    outbox.forget({"a"})
    waits = put(outbox)
    clock.pass_s(60)
    outbox.returned()
    outbox.resend_recent()
    outbox.resend_recent()
    assert outbox.commit()
    clock.pass_s(1)
    sent = {entry.sequence: entry.historical for entry in send(outbox)}
    assert sent == {1: True, kept: True, young: True, waits: False}
    for number in sent:
        outbox.acked(number)
    assert outbox.entries == 0


def test_over_the_limit_the_oldest_decisions_are_dropped_and_reported(outbox: Outbox):
    """Beyond bytes_max the oldest decisions are dropped and reported; kept entries stay."""
    kept = put(outbox, kept=True, size=500)
    outbox.commit()
    numbers = [put(outbox, size=500) for _ in range(40)]
    assert outbox.nbytes <= SMALL.bytes_max
    lost = {n for loss in outbox.losses for n in range(loss.first, loss.last + 1)}
    assert lost
    assert lost == set(numbers[: len(lost)])
    outbox.commit()
    assert {e.sequence for e in send(outbox)} == {kept, *numbers} - lost
    assert outbox.counts["full"] == len(lost)


def test_when_only_answers_are_left_commands_are_refused(outbox: Outbox):
    """Answers are never dropped: if they fill the outbox, it refuses commands until they are
    delivered."""
    numbers = [put(outbox, kept=True, size=1_000) for _ in range(12)]
    outbox.commit()
    assert "full of answers" in outbox.refusing
    for entry in send(outbox):
        outbox.acked(entry.sequence)
    assert outbox.refusing == ""
    assert len(numbers) == 12


def test_age_counts_by_the_boot_clock(outbox: Outbox, clock: Clock):
    """A decision older than age_s_max on the boot clock is dropped and reported."""
    number = put(outbox)
    outbox.commit()
    clock.pass_s(SMALL.age_s_max + 20)
    outbox.maintain(online=False)
    assert announce(outbox) == [OutboxLoss(number, number, 1, "age")]


def test_late_entries_come_at_their_pace_and_after_live_ones(tmp_path: Path, clock: Clock):
    """Replay uses at most half of the room and replay_per_s; live entries go first."""
    settings = OutboxSettings(replay_per_s=10.0)
    outbox = Outbox(tmp_path / "outbox.db", settings, clock)
    for _ in range(50):
        put(outbox)
    outbox.commit()
    outbox.maintain(online=False)
    live = put(outbox)
    clock.pass_s(0.5)
    found = send(outbox)
    assert [e.historical for e in found] == [False] + [True] * 5
    assert found[0].sequence == live
    clock.pass_s(1)
    assert len(send(outbox, room=4)) == 2


def test_refused_messages_are_lost_and_unconfirmed_ones_sent_again(outbox: Outbox):
    """A refused message is reported as lost; after a broken connection messages are sent again, in
    order."""
    numbers = [put(outbox) for _ in range(4)]
    send(outbox)
    outbox.refused(numbers[0], "refused")
    outbox.returned()
    assert [e.sequence for e in send(outbox)] == numbers[1:]
    assert [loss.reason for loss in outbox.losses] == ["refused"]


def test_forgetting_reaches_memory_disk_and_log(outbox: Outbox, tmp_path: Path):
    """No file contains a forgotten id afterwards; its numbers are lost with the reason
    forgotten."""
    key = "observation-of-a-person"
    stored = put(outbox, keys=(key,))
    acked = put(outbox, keys=(key, "other"))
    outbox.commit()
    fresh, other = put(outbox, keys=(key,)), put(outbox, keys=("other",))
    send(outbox)
    outbox.acked(acked)
    assert outbox.forget({key}) == 2
    assert {n for one in outbox.losses for n in range(one.first, one.last + 1)} == {stored, fresh}
    assert [entry.keys for entry in outbox.waiting()] == [("other",)]
    assert other
    for path in tmp_path.iterdir():
        assert key.encode() not in path.read_bytes()


def test_a_failing_disk_leaves_the_loop_going(outbox: Outbox, clock: Clock, monkeypatch):
    """While writing fails, entries stay in memory within the limit, drops are counted, answers are
    not due and commands are refused; afterwards all is reported."""
    breaker = Breaker(monkeypatch)
    kept = put(outbox, kept=True)
    assert not outbox.commit()
    numbers = [put(outbox, size=500) for _ in range(20)]
    assert "disk I/O error" in outbox.refusing
    assert kept not in [e.sequence for e in send(outbox, room=1)]
    assert outbox.nbytes <= SMALL.memory_bytes_max
    breaker.mend()
    clock.pass_s(100)
    outbox.maintain(online=True)
    assert outbox.refusing == ""
    assert kept in [e.sequence for e in send(outbox)]
    (loss,) = announce(outbox)
    assert loss.reason == "disk"
    assert loss.first == numbers[0]
    assert outbox.counts["disk"] > 5


class Breaker:
    """Makes every commit fail until it is repaired."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from edge.outbox import storage
        from edge.storage.database import transaction as real

        self._broken = True

        def failing(db: sqlite3.Connection, path: Path, doing: str):
            if self._broken:
                raise StateError(f"{doing} in {path}: disk I/O error", "")
            return real(db, path, doing)

        monkeypatch.setattr(storage, "transaction", failing)

    def mend(self) -> None:
        """Let the disk work again."""
        self._broken = False


def test_without_a_disk_from_the_start_messages_have_no_number(tmp_path: Path, clock: Clock):
    """A number that may have been used is never given out; the number of unnumbered messages is
    limited."""
    outbox = Outbox(tmp_path / "none" / "outbox.db", SMALL, clock)
    assert outbox.failing
    assert [put(outbox) for _ in range(1_200)] == [0] * 1_200
    assert outbox.counts["unnumbered dropped"] == 200
    (tmp_path / "none").mkdir()
    clock.pass_s(60)
    outbox.maintain(online=True)
    assert put(outbox) == 1


def test_a_message_without_a_number_waits_until_it_is_sent(outbox: Outbox, clock: Clock):
    """It has no place on the disk to be read from later, so no turn of the loop drops it."""
    outbox.put(OutboxEntry(sequence=0, topic="answer", body=b"{}", kept=False))
    put(outbox)
    for _ in range(3):
        clock.pass_s(60)
        outbox.maintain(online=False)
    outbox.maintain(online=True)
    assert next(one.topic for one in outbox.due(2)) == "answer"


def test_a_newer_file_is_refused(outbox: Outbox, clock: Clock):
    """The file of a newer program is not changed."""
    outbox.close()
    with sqlite3.connect(outbox.path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StateVersionError, match="version 99"):
        Outbox(outbox.path, SMALL, clock)


def test_the_file_is_its_owners_alone(outbox: Outbox):
    """Other users cannot read the file."""
    put(outbox)
    outbox.commit()
    for path in outbox.path.parent.iterdir():
        assert path.stat().st_mode & 0o077 == 0
