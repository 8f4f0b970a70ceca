"""Store and forward: messages wait here until the broker has confirmed them.

Each message has a number of its device that is never reused: numbers are reserved on the disk in
blocks before they are given out.  Each number ends in one of three ways: it arrives, it waits, or a
gap message reports it as lost.  Live entries (decisions) are sent at once and reach the disk with a
later group commit, unless the broker has confirmed them by then; kept ones (answers, receipts,
gaps) are on the disk before they are sent.  If the disk fails, everything continues in memory,
within its limit.
"""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ..config import OutboxSettings
from ..core import StateError
from ..storage import guard_errors
from .boot_clock import AGE_NS_MAX, PLAUSIBLE_NS, BootMark, boot_clock_ns, resumed_age_ns
from .damaged_copies import remove_damaged
from .entry import OutboxEntry, OutboxLoss, OutboxLosses, missing_ranges
from .storage import NS_PER_S, OutboxStorage, OutboxWrite, StoredOutbox

BLOCK: Final = 1 << 16
"""Numbers reserved at a time; with less than half left, the next commit reserves again.  So a
failing disk leaves at least half a block: 32,768 messages."""

PAGE: Final = 256
"""Stored entries read at a time.  Chosen by hand; effect not measured."""

LATE_PAGE: Final = 64
"""Late entries read at a time: a third of a second's worth at the default `replay_per_s`."""

OFF_SHARE: Final = 2
"""A reboot ages entries by at most half of `age_s_max`, whatever the wall clock shows."""

FREED_SHARE: Final = 16
"""At a limit, a sixteenth of it is freed at once, so that not every message causes a drop."""

NUMBER_MAX: Final = (1 << 53) - 1
"""The largest integer that every JSON reader keeps exact (RFC 8259, section 6)."""

AGE_CHECK_S: Final = 10.0
"""Period of the search for expired entries; `age_s_max` is hours.  Chosen by hand; effect not
measured."""

LATE_COMMITS: Final = 3
"""Commit intervals after which a live entry that found no room is sent as a late one.  Chosen by
hand; effect not measured."""

RECENT_S: Final = 2.0
"""Seconds that confirmed messages are kept, to be sent again: a broker that dies may have confirmed
messages that it had not saved.  Chosen by hand; effect not measured."""

RECENT_BYTES_MAX: Final = 1 << 20
"""Bytes of those messages.  Chosen by hand; effect not measured."""

UNNUMBERED_MAX: Final = 1_000
"""Waiting entries beyond which entries without a number are dropped.  Chosen by hand; effect not
measured."""

HINT: Final = "let the broker take what waits, make room on the disk, or raise outbox.bytes_max"


class Outbox:
    """The outbox of one device.  Use it in one thread alone.

    first: first number of a new file.  Opening raises StateVersionError for a newer file,
    StateCorruptError for a damaged or foreign one.  A failing disk raises nothing: `failing` has
    the reason, and writing is retried.  Cost: opening reads all that waits.

    counts: acked messages, and lost ones by reason, in this run.  run: number of this opening; 0
    until the disk could be read.  sure_ns: the last time, in nanoseconds since 1970, that an
    earlier run stored; 0 if its clock was not set.  losses: not yet published.
    """

    def __init__(
        self,
        path: Path,
        settings: OutboxSettings,
        clock_ns: Callable[[], int] = boot_clock_ns,
        *,
        first: int = 1,
    ) -> None:
        self.path, self._settings, self._clock_ns, self._first = path, settings, clock_ns, first
        self.counts: Counter[str] = Counter()
        self.losses = OutboxLosses()
        self.run = self.sure_ns = self._known_ns = self._known_at_ns = 0
        self._next = self._reserved = 0
        # Entries wait in memory alone, on the disk, or on the disk with a row to be removed: the
        # row of a settled entry, or of a failed commit that may have been written all the same.
        self._unwritten: dict[int, OutboxEntry] = {}
        self._unwritten_bytes = 0
        self._stored = StoredOutbox()
        self._settled: dict[int, OutboxEntry] = {}
        self._uncertain: set[int] = set()
        self._losses_changed = self._scrub_due = False
        # The entries to send: live ones, a page of late ones, and those sent but not confirmed.
        self._unsent: deque[OutboxEntry] = deque()
        self._late: deque[OutboxEntry] = deque()
        self._cursor = 0
        self._in_flight: dict[int, OutboxEntry] = {}
        self._recent: deque[tuple[int, OutboxEntry]] = deque()
        self._recent_bytes = 0
        self._committed_ns = self._aged_ns = self._credited_ns = self._age_zero_ns = clock_ns()
        self._credit = 0.0
        self._storage = OutboxStorage(path, clock_ns, self._load)

    @property
    def failing(self) -> str:
        """The reason why the disk cannot be written, or ''."""
        return self._storage.failing

    @property
    def refusing(self) -> str:
        """The reason why no new command can be accepted, or ''."""
        if self.failing:
            return f"the outbox cannot be written: {self.failing}"
        if self._stored.kept_bytes > self._settings.bytes_max:
            return f"the outbox is full of answers that the broker has not taken: {HINT}"
        return ""

    @property
    def nbytes(self) -> int:
        """Bytes that wait, on disk and in memory."""
        return self._stored.nbytes + self._unwritten_bytes

    @property
    def entries(self) -> int:
        """Entries that wait, on disk and in memory, including those in flight."""
        return self._stored.entries + len(self._unwritten)

    @property
    def in_flight(self) -> int:
        """Entries that are sent and not confirmed."""
        return len(self._in_flight)

    @property
    def sequence(self) -> int:
        """The last number that was given out."""
        return self._next - 1

    @property
    def oldest_s(self) -> float:
        """Seconds that the oldest entry has waited."""
        stored = self._read_page(0, NUMBER_MAX, 1) if self._stored.entries else []
        oldest = stored[0] if stored else next(iter(self._unwritten.values()), None)
        return (self._age_ns() - oldest.age_ns) / NS_PER_S if oldest else 0.0

    # --- entries ---------------------------------------------------------------------------------

    def next_number(self) -> int:
        """Return a new number; 0 if the disk fails and no reserved one is left."""
        if self._next >= self._reserved:
            if not self._storage.resting:
                self.commit()
            if self._next >= self._reserved:
                self.counts["unnumbered"] += 1
                return 0
        self._next += 1
        return self._next - 1

    def put(self, entry: OutboxEntry) -> None:
        """Add an entry with its `next_number`; at a limit, the oldest droppable ones are dropped.

        One without a number (0) waits in memory alone, is not tracked, and is dropped and counted
        if many wait.
        """
        if not entry.sequence and len(self._unsent) >= UNNUMBERED_MAX:
            self.counts["unnumbered dropped"] += 1
            return
        if not entry.kept or not entry.sequence:
            self._unsent.append(entry)
        if not entry.sequence:
            return
        entry.age_ns = self._age_ns()
        self._unwritten[entry.sequence] = entry
        self._unwritten_bytes += entry.nbytes
        if self._unwritten_bytes > self._settings.memory_bytes_max:
            if not self._storage.resting:
                self._commit_rows()
            self._trim_memory()
        if self.nbytes > self._settings.bytes_max:
            self._drop_oldest()

    def waiting(self) -> Iterator[OutboxEntry]:
        """Yield all entries that wait, including those in flight; nothing may change meanwhile."""
        yield from tuple(self._unwritten.values())
        after = 0
        while page := self._storage.page(after, NUMBER_MAX, PAGE):
            yield from filter(self._waits, page)
            after = page[-1].sequence

    def forget(
        self, keys: Collection[str], reaches: Callable[[OutboxEntry], bool] | None = None
    ) -> int:
        """Erase entries from memory and disk; returns how many.  Raises StateError if the disk
        fails: the erasure completes when it works again.

        keys: of observations and series; each entry with one goes.  reaches: tells of others.
        """
        wanted = set(keys)

        def held(entry: OutboxEntry) -> bool:
            reached = reaches is not None and reaches(entry)
            return not (reached or wanted.intersection(entry.keys))

        found = [entry for entry in self.waiting() if not held(entry)]
        self._filter_unsent(held)
        self._recent = deque(one for one in self._recent if held(one[1]))
        self._recent_bytes = sum(entry.nbytes for _, entry in self._recent)
        self._drop(found, "forgotten")
        self._scrub_due = True
        with guard_errors(self.path, "removing damaged copies of the outbox"):
            remove_damaged(self.path)
        if not self.commit():
            raise StateError(f"erasing from the outbox {self.path}: {self.failing}", HINT)
        return len(found)

    def add_loss(self, loss: OutboxLoss) -> None:
        """Add a range to report as lost."""
        self.losses.add(loss)
        self._losses_changed = True

    def publish_losses(
        self, encode: Callable[[int, OutboxLoss], OutboxEntry], count: int = 16
    ) -> int:
        """Turn losses into durable gap messages; returns how many.  encode: makes the message of a
        number and a loss."""
        if self.failing or not len(self.losses):
            return 0
        self._losses_changed = True
        losses = self.losses.pop(count)
        for loss in losses:
            number = self.next_number()
            if number:
                self.counts["gaps"] += 1
                self.put(encode(number, loss))
            else:
                self.losses.add(loss)
        self.commit()
        return len(losses)

    # --- sending ---------------------------------------------------------------------------------

    def due(self, room: int) -> Iterator[OutboxEntry]:
        """Yield the entries to send now, at most `room`: live ones, then late ones at their rate.
        Call `sent` for each that was; call `unsent` for the first that was not, and stop."""
        unsent = self._unsent
        while room > 0 and unsent:
            room -= 1
            yield unsent.popleft()
        # Half of the broker's room stays free for new entries.
        late = min((room + 1) // 2, self._late_allowance()) if room > 0 else 0
        while late > 0 and (self._late or self._read_late()):
            late -= 1
            self._credit -= 1
            yield self._late.popleft()

    def sent(self, entry: OutboxEntry, message_id: int) -> None:
        """Record that an entry was sent under a message id of the connection."""
        if entry.sequence:
            self._in_flight[message_id] = entry

    def unsent(self, entry: OutboxEntry) -> None:
        """Record that an entry found no room: it is due again."""
        late = entry.historical and entry.sequence not in self._unwritten
        (self._late if late else self._unsent).appendleft(entry)

    def acked(self, message_id: int) -> None:
        """Record that the broker has a message."""
        entry = self._in_flight.pop(message_id, None)
        if entry is None:
            return
        self.counts["acked"] += 1
        self._settle(entry)
        recent, now = self._recent, self._clock_ns()
        recent.append((now, entry))
        self._recent_bytes += entry.nbytes
        before = now - int(RECENT_S * NS_PER_S)
        while recent and (recent[0][0] < before or self._recent_bytes > RECENT_BYTES_MAX):
            self._recent_bytes -= recent.popleft()[1].nbytes

    def refused(self, message_id: int, reason: str) -> OutboxEntry | None:
        """Record that the broker will never accept a message: its number is lost.  Returns its
        entry."""
        entry = self._in_flight.pop(message_id, None)
        if entry is not None:
            self._lose(entry.sequence, reason)
            self._settle(entry)
        return entry

    def returned(self, message_ids: Iterable[int] | None = None) -> None:
        """Send messages in flight again; None: all of them."""
        ids = list(self._in_flight) if message_ids is None else list(message_ids)
        back = [self._in_flight.pop(one) for one in ids if one in self._in_flight]
        for entry in sorted(back, key=attrgetter("sequence"), reverse=True):
            if entry.sequence not in self._unwritten:
                self._rewind(entry.sequence)
            else:
                self._unsent.appendleft(entry)

    def resend_recent(self) -> None:
        """Send the messages confirmed last again, as late: the connection broke, and the broker may
        have lost them.  Receivers recognise their numbers."""
        back = [entry for _, entry in self._recent]
        self._recent.clear()
        self._recent_bytes = 0
        self.counts["resent"] += len(back)
        for entry in back:
            entry.historical = True
        added = {one.sequence: one for one in back if one.sequence not in self._unwritten}
        # Sorted by number: a commit writes the first of them.
        self._unwritten = dict(sorted((self._unwritten | added).items()))
        self._unwritten_bytes += sum(entry.nbytes for entry in added.values())
        unsent = [*self._unsent, *(entry for entry in back if not entry.kept)]
        self._unsent = deque(sorted(unsent, key=attrgetter("sequence")))

    # --- writing ---------------------------------------------------------------------------------

    def maintain(self, *, online: bool) -> None:
        """Do due work: the group commit, a retry, expiry.  Call it each turn of the loop.

        online: whether the broker is connected; if not, waiting entries are later sent as late.
        """
        now, settings = self._clock_ns(), self._settings
        interval_ns = int(settings.commit_interval_s * NS_PER_S)
        if self.failing:
            if not self._storage.resting:
                self.commit()
        elif len(self._unwritten) - len(self._in_flight) >= settings.commit_count:
            self._commit_rows()
        elif now - self._committed_ns >= interval_ns:
            self._committed_ns = now
            self._commit_older(interval_ns)
        if now - self._aged_ns >= AGE_CHECK_S * NS_PER_S:
            self._aged_ns = now
            self._drop_expired()
        if not self._unsent:
            return
        # Stored entries that found no room for so long wait on the disk alone.
        before = self._age_ns() - (LATE_COMMITS * interval_ns if online else 0)
        unsent, unstored = self._unsent, list[OutboxEntry]()
        while unsent and unsent[0].age_ns <= before and unsent[0].sequence not in self._unwritten:
            unstored.append(unsent.popleft())
            if unstored[-1].sequence:
                self._rewind(unstored.pop().sequence)
        unsent.extendleft(reversed(unstored))

    def commit(self) -> bool:
        """Write all, and wait for the disk: kept entries are due from then on.  False if the disk
        fails; no kept entry is due then."""
        return self._write(list(self._unwritten.values()), durable=True)

    def adjust(self, settings: OutboxSettings) -> None:
        """Apply other limits."""
        self._settings = settings
        if self.nbytes > settings.bytes_max:
            self._drop_oldest()

    def close(self) -> None:
        """Write all that waits, give back unused numbers, close the file."""
        self._write(list(self._unwritten.values()), durable=True, clean=True)
        self._storage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _commit_rows(self) -> bool:
        """Write all without waiting for the disk; False if the disk fails."""
        return self._write(list(self._unwritten.values()), durable=False)

    def _commit_older(self, age_ns: int) -> None:
        """Write the unwritten entries of at least an age, if that changes anything."""
        before = self._age_ns() - age_ns
        added: list[OutboxEntry] = []
        for entry in self._unwritten.values():
            if entry.age_ns > before:
                break
            added.append(entry)
        removed = self._settled or self._uncertain
        if added or removed or self._losses_changed or self._numbers_low:
            self._write(added, durable=False)

    @property
    def _numbers_low(self) -> bool:
        return self._reserved - self._next < BLOCK // 2 and self._next < NUMBER_MAX - BLOCK

    def _write(self, added: list[OutboxEntry], *, durable: bool, clean: bool = False) -> bool:
        """Write entries, which are the first of the unwritten ones, and all other changes.

        clean: give back unused numbers.
        """
        reserved = self._next if clean else self._reserved
        if self._numbers_low and not clean:
            reserved = self._next + BLOCK
        kept = [entry for entry in added if entry.kept]
        left = next((n for n in self._unwritten if not added or n > added[-1].sequence), self._next)
        change = OutboxWrite(
            added,
            [*self._settled, *self._uncertain],
            list(self.losses) if self._losses_changed else None,
            self._marks(left, reserved),
        )
        durable = durable or reserved != self._reserved or bool(kept) or self._scrub_due
        if not self._storage.write(change, durable=durable):
            # A failed commit may prove written when the file is opened again.
            self._uncertain.update(entry.sequence for entry in added)
            return False
        for entry in added:
            self._count_stored(entry, +1)
            self._unwritten_bytes -= self._unwritten.pop(entry.sequence).nbytes
        self._settled.clear()
        self._uncertain.clear()
        self._reserved, self._losses_changed = reserved, False
        self._unsent.extend(kept)
        if self._scrub_due:
            self._scrub_due = not self._storage.scrub()
        return not self._scrub_due

    def _marks(self, left: int, reserved: int) -> dict[str, str]:
        now = BootMark.now(self._age_ns())
        return {
            "next": str(left),
            "reserved": str(reserved),
            "run": str(self.run),
            "boot": now.boot,
            "boot_ns": str(now.boot_ns),
            "wall_ns": str(now.wall_ns),
            "sure_ns": str(self._sure_wall_ns(now.wall_ns)),
            "age_ns": str(now.age_ns),
            "unscrubbed": str(int(self._scrub_due)),
        }

    def _sure_wall_ns(self, wall_ns: int) -> int:
        """Return a lower bound of the time since 1970: a plausible wall clock, else its last
        plausible value and the time since; 0 without one."""
        if wall_ns >= PLAUSIBLE_NS:
            self._known_ns, self._known_at_ns = wall_ns, self._clock_ns()
        return self._known_ns and self._known_ns + self._clock_ns() - self._known_at_ns

    def _load(self, storage: OutboxStorage) -> None:
        """Continue from the file; entries that the last run had not written are lost.  Raises
        ValueError or TypeError for values that no run writes."""
        marks = storage.marks()
        self._next = int(marks.get("next", self._first))
        reserved = int(marks.get("reserved", self._next))
        self._stored, before = storage.totals(), BootMark.stored(marks)
        new = "next" not in marks and not self._stored.entries
        if not (new or (0 < self._next <= NUMBER_MAX >= reserved > 0 and "next" in marks)):
            raise ValueError(f"its next number is {marks.get('next')}, reserved are {reserved}")
        self.run = int(marks.get("run", 0)) + 1
        self.losses = OutboxLosses(storage.losses())
        if "reserved" not in marks and self._first > 1:
            self.losses.add(OutboxLoss(1, self._first - 1, 0, "damaged"))
        for loss in missing_ranges(self._next, reserved, storage.numbers(self._next)):
            self.losses.add(loss)
        self._scrub_due = marks.get("unscrubbed") == "1"
        off_ns_max = int(self._settings.age_s_max * NS_PER_S) // OFF_SHARE
        self.sure_ns = int(marks.get("sure_ns", 0))
        if not 0 <= self.sure_ns <= AGE_NS_MAX:
            raise ValueError(f"its last sure time is {self.sure_ns}")
        if not self._known_ns:
            self._known_ns, self._known_at_ns = self.sure_ns, self._clock_ns()
        age_ns = resumed_age_ns(before, BootMark.now(), off_ns_max)
        self._age_zero_ns = self._clock_ns() - age_ns
        self._next = max(self._next, reserved)
        new_marks = self._marks(self._next, self._next + BLOCK)
        storage.commit(OutboxWrite([], [], list(self.losses), new_marks), durable=True)
        self._reserved = self._next + BLOCK

    # --- dropping --------------------------------------------------------------------------------

    def _settle(self, entry: OutboxEntry) -> None:
        """Remove an entry that was delivered or lost; its row goes with the next commit."""
        if self._unwritten.pop(entry.sequence, None) is not None:
            self._unwritten_bytes -= entry.nbytes
        elif entry.sequence not in self._settled:
            self._settled[entry.sequence] = entry
            self._count_stored(entry, -1)

    def _lose(self, number: int, reason: str) -> None:
        self.add_loss(OutboxLoss(number, number, 1, reason))
        self.counts[reason] += 1

    def _drop(self, entries: Collection[OutboxEntry], reason: str) -> None:
        for entry in entries:
            self._lose(entry.sequence, reason)
            self._settle(entry)
        gone = {entry.sequence for entry in entries}
        flying = self._in_flight.items()
        self._in_flight = {key: entry for key, entry in flying if entry.sequence not in gone}
        self._filter_unsent(lambda entry: entry.sequence not in gone)
        if any(entry.sequence in gone for entry in self._late):
            self._rewind(self._late[0].sequence)

    def _drop_expired(self) -> None:
        before = self._age_ns() - int(self._settings.age_s_max * NS_PER_S)
        old = list(filter(self._waits, self._storage.expired(before, PAGE)))
        if old:
            self._drop(old, "age")

    def _trim_memory(self) -> None:
        """While the disk fails, memory is the limit."""
        most = self._settings.memory_bytes_max
        if self._unwritten_bytes > most:
            excess = self._unwritten_bytes - most + most // FREED_SHARE
            self._drop(self._oldest_unwritten(excess), "disk")

    def _drop_oldest(self) -> None:
        most = self._settings.bytes_max
        excess = self.nbytes - most + most // FREED_SHARE
        while excess > 0:
            if self._settled and not (self._storage.resting or self._commit_rows()):
                return
            stored = list(filter(self._waits, self._storage.droppable(PAGE)))
            oldest = list(_first_bytes(stored, excess)) or self._oldest_unwritten(excess)
            if not oldest:
                return
            self._drop(oldest, "full")
            excess -= sum(entry.nbytes for entry in oldest)

    def _oldest_unwritten(self, nbytes: int) -> list[OutboxEntry]:
        return list(_first_bytes((e for e in self._unwritten.values() if not e.kept), nbytes))

    # --- late entries ----------------------------------------------------------------------------

    def _late_allowance(self) -> int:
        """Return how many late entries may be sent now (a token bucket of one second)."""
        now = self._clock_ns()
        rate = self._settings.replay_per_s
        earned = (now - self._credited_ns) / NS_PER_S * rate
        self._credited_ns = now
        self._credit = min(max(rate, 1.0), self._credit + earned)
        return int(self._credit)

    def _read_late(self) -> bool:
        """Read the next late entries; those in flight or waiting as live ones are not late."""
        busy = {entry.sequence for entry in self._in_flight.values()}
        before = min((one.sequence for one in self._unsent if one.sequence), default=NUMBER_MAX)
        while not self._late:
            found = self._read_page(self._cursor, before, LATE_PAGE)
            if not found:
                return False
            self._cursor = found[-1].sequence
            self._late.extend(entry for entry in found if entry.sequence not in busy)
        return True

    def _rewind(self, sequence: int) -> None:
        """Read late entries from a number on again."""
        self._cursor = min(self._cursor, sequence - 1)
        if self._late:
            self._cursor = min(self._cursor, self._late[0].sequence - 1)
            self._late.clear()

    def _read_page(self, after: int, before: int, count: int) -> list[OutboxEntry]:
        """Return the oldest stored entries that wait; damaged ones are dropped."""
        page = [entry for entry in self._storage.page(after, before, count) if self._waits(entry)]
        damaged = [entry for entry in page if not entry.topic]
        if damaged:
            self._drop(damaged, "damaged")
        return [entry for entry in page if entry.topic]

    # --- accounting ------------------------------------------------------------------------------

    def _age_ns(self) -> int:
        """Return nanoseconds on the outbox's own clock."""
        return self._clock_ns() - self._age_zero_ns

    def _waits(self, row: OutboxEntry) -> bool:
        """Return whether a stored row is an entry that waits on the disk."""
        return not (row.sequence in self._settled or row.sequence in self._uncertain)

    def _count_stored(self, entry: OutboxEntry, sign: int) -> None:
        stored, nbytes = self._stored, sign * entry.nbytes
        stored.entries += sign
        stored.nbytes += nbytes
        stored.kept_bytes += nbytes * entry.kept

    def _filter_unsent(self, keep: Callable[[OutboxEntry], bool]) -> None:
        self._unsent = deque(filter(keep, self._unsent))


def _first_bytes(entries: Iterable[OutboxEntry], nbytes: int) -> Iterator[OutboxEntry]:
    """Yield the first entries that make up so many bytes together."""
    for entry in entries:
        if nbytes <= 0:
            return
        nbytes -= entry.nbytes
        yield entry
