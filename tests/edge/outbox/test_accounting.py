"""Every number of an outbox is accounted for under failures, kills and forgetting."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from edge.config.device import OutboxSettings
from edge.core.errors import StateError
from edge.outbox import storage as module
from edge.outbox.entry import OutboxEntry, OutboxLoss
from edge.outbox.outbox import Outbox

S = 10**9
LIMITS = OutboxSettings(
    bytes_max=4_000, memory_bytes_max=2_000, age_s_max=50.0, commit_count=5, replay_per_s=1_000.0
)
storage: Any = module
KEYS = st.sampled_from(["", "a", "b", "c"])


class Accounting(RuleBasedStateMachine):
    """An outbox and a model of the messages that the broker received. Numbers given out are
    received, waiting, in flight or lost; committed kept entries are never lost, even by a kill."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.copies = 0
        self.now = 100 * S
        self.real = storage.transaction
        self.broken = ""
        self.heard_now: set[int] = set()
        self.gone: set[int] = set()
        storage.transaction = self._transaction
        self.heard: set[int] = set()
        self.lost: set[int] = set()
        self.given: set[int] = set()
        self.promised: set[int] = set()
        self.forgotten: dict[int, str] = {}
        self.keys: dict[int, str] = {}
        self.flying: dict[int, OutboxEntry] = {}
        self.mid = 0
        self.box = self._open(self.folder / "outbox.db")

    @contextmanager
    def _transaction(self, db, path, doing):
        """Fail before the write, or after it: then the next opening finds the whole write."""
        if self.broken == "before":
            raise StateError(f"{doing}: disk I/O error", "")
        with self.real(db, path, doing) as held:
            yield held
        if self.broken == "after":
            raise StateError(f"{doing}: disk I/O error", "")

    def _open(self, path: Path) -> Outbox:
        return Outbox(path, LIMITS, lambda: self.now)

    def teardown(self) -> None:
        """Remove the folder."""
        storage.transaction = self.real
        shutil.rmtree(self.folder)

    @rule(kept=st.booleans(), size=st.integers(10, 400), key=KEYS)
    def put(self, kept: bool, size: int, key: str) -> None:
        """A message is published."""
        number = self.box.next_number()
        if number:
            assert number not in self.given
            self.given.add(number)
            self.keys[number] = key
        self.box.put(
            OutboxEntry(
                sequence=number,
                topic="t",
                body=b"x" * size,
                kept=kept,
                keys=(key,) if key else (),
            )
        )

    @rule()
    def commit(self) -> None:
        """Kept entries are durable from now on."""
        self.box.commit()

    @rule(room=st.integers(1, 20))
    def send(self, room: int) -> None:
        """Due entries are sent."""
        for entry in self.box.due(room):
            self.mid += 1
            if entry.kept and entry.sequence:
                self.promised.add(entry.sequence)
            assert entry.sequence not in self.forgotten
            assert entry.sequence not in self.heard_now | self.gone
            self.box.sent(entry, self.mid)
            if entry.sequence:
                self.flying[self.mid] = entry

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def ack(self, data) -> None:
        """The broker confirms one."""
        mid = data.draw(st.sampled_from(sorted(self.flying)))
        entry = self.flying.pop(mid)
        self.heard.add(entry.sequence)
        self.heard_now.add(entry.sequence)
        self.box.acked(mid)

    @rule()
    def disconnect(self) -> None:
        """The connection ends."""
        self.box.returned(list(self.flying))
        self.flying.clear()

    @rule()
    def doubt(self) -> None:
        """The connection breaks: confirmed messages may be sent again."""
        self.disconnect()
        self.box.resend_recent()
        self.heard_now.clear()

    @rule(seconds=st.floats(0.1, 40.0), online=st.booleans())
    def wait(self, seconds: float, online: bool) -> None:
        """Time passes, and the outbox is maintained."""
        self.now += int(seconds * S)
        self.box.maintain(online=online)

    @rule()
    def announce(self) -> None:
        """Losses are published."""

        def word(number: int, loss: OutboxLoss) -> OutboxEntry:
            assert number not in self.given
            self.given.add(number)
            self.keys[number] = ""
            self.lost |= set(range(loss.first, loss.last + 1)) & self.given
            return OutboxEntry(sequence=number, topic="gap", body=b"gap", kept=True)

        self.box.publish_losses(word)

    @rule(key=st.sampled_from(["a", "b"]))
    def forget(self, key: str) -> None:
        """An observation is forgotten."""
        try:
            self.box.forget({key})
        except StateError:
            assert self.broken
        gone = {number: key for number, one in self.keys.items() if one == key}
        self.gone |= gone.keys()
        self.forgotten |= {n: k for n, k in gone.items() if n not in self.heard}

    @rule(how=st.sampled_from(["before", "after"]))
    def breaks(self, how: str) -> None:
        """The disk fails."""
        self.broken = how

    @rule()
    def mends(self) -> None:
        """The disk works again; a minute later the outbox has noticed."""
        self.broken = ""
        self.now += 60 * S
        self.box.maintain(online=True)
        assert self.box.failing == ""

    @rule(clean=st.booleans())
    def restart(self, clean: bool) -> None:
        """The process closes or is killed: the next one opens the files as they are."""
        if clean and not self.broken:
            self.box.close()
        self.broken = ""
        self.copies += 1
        to = self.folder / str(self.copies)
        to.mkdir()
        for part in self.box.path.parent.glob("outbox.db*"):
            if not part.name.endswith("-shm"):
                shutil.copy(part, to / part.name)
        self.flying.clear()
        self.heard_now.clear()
        self.gone.clear()
        self.box = self._open(to / "outbox.db")
        waiting = self._waiting()
        kept = {n for n in self.promised if n not in self.heard and n not in self.forgotten}
        assert kept <= waiting | self._lost_to_forgetting()

    def _lost_to_forgetting(self) -> set[int]:
        return {n for n in self.promised if self.keys.get(n) in {"a", "b"}}

    def _waiting(self) -> set[int]:
        return {entry.sequence for entry in self.box.waiting()}

    @invariant()
    def every_number_is_accounted_for(self) -> None:
        """Each number is received, waiting, or lost; while the disk fails, the stored ones are
        unknown."""
        if self.box.failing:
            return
        lost_numbers = {
            n for one in self.box.losses for n in self.given if one.first <= n <= one.last
        }
        missing = self.given - self.heard - self.lost - lost_numbers - self._waiting()
        assert not missing

    @invariant()
    def it_is_bounded(self) -> None:
        """Only kept entries exceed the limit."""
        kept = sum(entry.nbytes for entry in self.box.waiting() if entry.kept)
        assert self.box.nbytes <= max(LIMITS.bytes_max, kept + 500)
        if not self.box.failing:
            assert self.box.entries == len(list(self.box.waiting()))


def test_every_number_is_accounted_for():
    """The invariants hold over many histories of failures, kills and forgetting."""
    limits = settings(max_examples=30, stateful_step_count=40, deadline=None)
    run_state_machine_as_test(Accounting, settings=limits)
