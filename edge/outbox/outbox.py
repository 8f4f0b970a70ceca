"""Store and forward: what is told waits here until the broker has it.

Every message has a number of its device, never used twice: numbers are reserved on the disk in
blocks before they are given out.  Each number ends in one of three ways: it arrives, it waits, or a
gap message tells that it never will.  Live entries (decisions) are sent at once and reach the disk
with a later group, where the broker has not confirmed them by then; kept ones (answers, receipts,
gaps) are on the disk before they are sent.  Where the disk fails, all goes on in memory, within its
bound.
"""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ..config import OutboxSettings
from ..core import StateError
from .boot_clock import boot_clock_ns
from .entry import OutboxEntry, OutboxLoss
from .entry_store import NUMBER_MAX, EntryStore
from .retrying_storage import S

PAGE: Final = 64
AGE_CHECK_S: Final = 10.0
LATE_COMMITS: Final = 3
"""Commit intervals after which an entry that found no room is sent as a late one."""

LATELY_S: Final = 2.0
LATELY_BYTES_MAX: Final = 1 << 20
"""What the broker has confirmed just now is remembered for so long, within so many bytes: a broker
that dies may have confirmed what it had not saved."""

UNNUMBERED_MAX: Final = 1_000
"""Entries that wait when further ones without a number are dropped."""

HINT: Final = "let the broker take what waits, make room on the disk, or raise outbox.bytes_max"


class Outbox:
    """The outbox of one device.  Use it in one thread alone.

    first: number that a new file begins with.  Opening raises StateVersionError for a newer file,
    StateCorruptError for one that is damaged or another program's.  A disk that fails raises
    nothing: `failing` says so, and it is tried again.  Cost: opening reads all that waits.
    """

    def __init__(
        self,
        path: Path,
        settings: OutboxSettings,
        clock_ns: Callable[[], int] = boot_clock_ns,
        *,
        first: int = 1,
    ) -> None:
        self.path, self._settings, self._clock_ns = path, settings, clock_ns
        self._unsent: deque[OutboxEntry] = deque()
        self._page: deque[OutboxEntry] = deque()
        self._cursor = 0
        self._flying: dict[int, OutboxEntry] = {}
        self._lately: deque[tuple[int, OutboxEntry]] = deque()
        self._lately_bytes = 0
        self._committed_ns = self._aged_ns = self._credited_ns = clock_ns()
        self._credit = 0.0
        self._shelf = EntryStore(
            path, settings, clock_ns, self._unsent.extend, self._dropped, first=first
        )
        self.take = self._shelf.take

    @property
    def failing(self) -> str:
        """Why the disk cannot be written, or nothing."""
        return self._shelf.keeper.failing

    @property
    def refusing(self) -> str:
        """Why no new command can be taken, or nothing."""
        if self.failing:
            return f"the outbox cannot be written: {self.failing}"
        if self._shelf.kept_bytes > self._settings.bytes_max:
            return f"the outbox is full of answers that the broker has not taken: {HINT}"
        return ""

    @property
    def run(self) -> int:
        """How often this outbox was opened; 0 where the disk could not tell yet."""
        return self._shelf.run

    @property
    def counts(self) -> Counter[str]:
        """How many were acked, and lost by reason, in this run."""
        return self._shelf.counts

    @property
    def nbytes(self) -> int:
        """Bytes that wait, on disk and in memory."""
        return self._shelf.nbytes

    @property
    def entries(self) -> int:
        """Entries that wait, on disk and in memory, those on their way included."""
        return self._shelf.entries

    @property
    def flying(self) -> int:
        """How many are on their way, unconfirmed."""
        return len(self._flying)

    @property
    def sure_ns(self) -> int:
        """The last moment, in nanoseconds since 1970, that an earlier run wrote down; 0 where its
        clock was not set."""
        return self._shelf.sure_ns

    @property
    def sequence(self) -> int:
        """The last number that was given out."""
        return self._shelf.last

    @property
    def oldest_s(self) -> float:
        """Seconds that the oldest entry has waited."""
        return self._shelf.oldest_ns() / S

    @property
    def losses(self) -> tuple[OutboxLoss, ...]:
        """What was lost and has not been told."""
        return tuple(self._shelf.losses)

    # --- sending ---------------------------------------------------------------------------------

    def put(self, entry: OutboxEntry) -> None:
        """Take an entry with the number that `take` gave for it.  One without (0) waits in memory
        alone, is not followed, and is dropped and counted where many wait."""
        if not entry.sequence and len(self._unsent) >= UNNUMBERED_MAX:
            self.counts["unnumbered dropped"] += 1
            return
        if not entry.kept or not entry.sequence:
            self._unsent.append(entry)
        if entry.sequence:
            self._shelf.put(entry)

    def due(self, room: int) -> Iterator[OutboxEntry]:
        """Yield what is to be sent now, at most `room`: live entries, then late ones at their pace.
        Call `sent` for each that was; call `unsent` for the first that was not, and stop."""
        unsent = self._unsent
        while room > 0 and unsent:
            room -= 1
            yield unsent.popleft()
        # Half of the broker's room stays free for what comes next.
        late = min((room + 1) // 2, self._allowance()) if room > 0 else 0
        while late > 0 and (self._page or self._turn_page()):
            late -= 1
            self._credit -= 1
            yield self._page.popleft()

    def sent(self, entry: OutboxEntry, message_id: int) -> None:
        """An entry is on its way, under a number of the connection's."""
        if entry.sequence:
            self._flying[message_id] = entry

    def unsent(self, entry: OutboxEntry) -> None:
        """An entry found no room after all: it is due again."""
        late = entry.historical and self._shelf.stored(entry)
        (self._page if late else self._unsent).appendleft(entry)

    def acked(self, message_id: int) -> None:
        """The broker has a message."""
        entry = self._flying.pop(message_id, None)
        if entry is not None:
            self._shelf.counts["acked"] += 1
            self._shelf.settle(entry)
            self._remember(entry)

    def doubted(self) -> None:
        """The broker was lost without a word: what it confirmed last is sent again, as late.
        Receivers know the numbers."""
        back = [entry for _, entry in self._lately]
        self._lately.clear()
        self._lately_bytes = 0
        self.counts["doubted"] += len(back)
        for entry in back:
            entry.historical = True
        self._shelf.restore(back)
        unsent = [*self._unsent, *(entry for entry in back if not entry.kept)]
        self._unsent.clear()
        self._unsent.extend(sorted(unsent, key=_sequence))

    def refused(self, message_id: int, reason: str) -> OutboxEntry | None:
        """The broker will never take a message: its number is lost.  Returns what it was."""
        entry = self._flying.pop(message_id, None)
        if entry is not None:
            self._shelf.lose(entry.sequence, reason)
            self._shelf.settle(entry)
        return entry

    def lost_again(self, loss: OutboxLoss) -> None:
        """A loss that was told and not heard waits to be told again."""
        self._shelf.lose_again(loss)

    def returned(self, message_ids: Iterable[int] | None = None) -> None:
        """Messages on their way (all of them where none are named) have to be sent again."""
        ids = list(self._flying) if message_ids is None else list(message_ids)
        back = [self._flying.pop(one) for one in ids if one in self._flying]
        for entry in sorted(back, key=_sequence, reverse=True):
            if self._shelf.stored(entry):
                self._rewind(entry.sequence)
            else:
                self._unsent.appendleft(entry)

    # --- writing ---------------------------------------------------------------------------------

    def tend(self, *, online: bool) -> None:
        """Do what is due: the group commit, a retry, what has grown too old.  Call it each turn.
        online: whether the broker is there; if not, what waits is sent as late once it is."""
        now, settings = self._clock_ns(), self._settings
        interval_ns = int(settings.commit_interval_s * S)
        if self.failing:
            if not self._shelf.keeper.resting:
                self._shelf.commit()
        elif self._shelf.fresh - len(self._flying) >= settings.commit_count:
            self._shelf.commit(durable=False)
        elif now - self._committed_ns >= interval_ns:
            self._committed_ns = now
            self._shelf.commit_older(interval_ns)
        if now - self._aged_ns >= AGE_CHECK_S * S:
            self._aged_ns = now
            self._shelf.drop_expired()
        if self._unsent:
            self._spill(0 if not online else LATE_COMMITS * interval_ns)

    def commit(self) -> bool:
        """Write all, and wait for the disk: entries that are kept are due from then on.  False
        where the disk fails; nothing kept is due then."""
        return self._shelf.commit()

    def announce(self, word: Callable[[int, OutboxLoss], OutboxEntry], count: int = 16) -> int:
        """Turn losses into gap messages, durably; returns how many.  word: makes the message with
        a number."""
        if self.failing or not len(self._shelf.losses):
            return 0
        told = self._shelf.pop_losses(count)
        for loss in told:
            number = self.take()
            if number:
                self.counts["gaps"] += 1
                self.put(word(number, loss))
            else:
                self._shelf.losses.put(loss)
        self._shelf.commit()
        return len(told)

    def forget(self, keys: Collection[str]) -> int:
        """Erase entries that tell of observations, from memory and disk; returns how many.  Raises
        StateError where the disk fails: the rest follows when it works again."""
        wanted = set(keys)
        found = [entry for entry in self._shelf.waiting() if wanted.intersection(entry.keys)]
        self._keep_unsent(lambda entry: not wanted.intersection(entry.keys))
        self._keep_lately(lambda entry: not wanted.intersection(entry.keys))
        if not self._shelf.erase(found):
            raise StateError(f"erasing from the outbox {self.path}: {self.failing}", HINT)
        return len(found)

    def waiting(self) -> Iterator[OutboxEntry]:
        """Yield all that waits, those on their way included; nothing may change meanwhile."""
        return self._shelf.waiting()

    def adjust(self, settings: OutboxSettings) -> None:
        """Go by other limits from now on."""
        self._settings = settings
        self._shelf.adjust(settings)

    def close(self) -> None:
        """Write all that waits, give back numbers that were not used, close the file."""
        self._shelf.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- late entries ----------------------------------------------------------------------------

    def _allowance(self) -> int:
        """Return how many late entries may be sent now, at their pace: a second's worth at most."""
        now = self._clock_ns()
        pace = self._settings.replay_per_s
        earned = (now - self._credited_ns) / S * pace
        self._credited_ns = now
        self._credit = min(max(pace, 1.0), self._credit + earned)
        return int(self._credit)

    def _turn_page(self) -> bool:
        """Read the next late entries; those that are on their way, or wait as live ones, are not
        late."""
        busy = {entry.sequence for entry in self._flying.values()}
        before = min((one.sequence for one in self._unsent if one.sequence), default=NUMBER_MAX)
        while not self._page:
            found = self._shelf.page(self._cursor, before, PAGE)
            if not found:
                return False
            self._cursor = found[-1].sequence
            self._page.extend(entry for entry in found if entry.sequence not in busy)
        return True

    def _rewind(self, sequence: int) -> None:
        """Read again from a number on."""
        self._cursor = min(self._cursor, sequence - 1)
        if self._page:
            self._cursor = min(self._cursor, self._page[0].sequence - 1)
            self._page.clear()

    def _spill(self, age_ns: int) -> None:
        """Let stored entries that have found no room for so long wait on the disk alone."""
        before = self._shelf.age_ns() - age_ns
        unsent = self._unsent
        while unsent and unsent[0].age_ns <= before and self._shelf.stored(unsent[0]):
            self._rewind(unsent.popleft().sequence)

    def _dropped(self, sequences: Collection[int]) -> None:
        """Let go of entries that are no more."""
        self._flying = {k: one for k, one in self._flying.items() if one.sequence not in sequences}
        self._keep_unsent(lambda entry: entry.sequence not in sequences)
        if any(entry.sequence in sequences for entry in self._page):
            self._rewind(self._page[0].sequence)

    def _remember(self, entry: OutboxEntry) -> None:
        """Remember what was confirmed, as long as what comes after it is not much younger."""
        lately, now = self._lately, self._clock_ns()
        lately.append((now, entry))
        self._lately_bytes += entry.nbytes
        before = now - int(LATELY_S * S)
        while lately[0][0] < before or self._lately_bytes > LATELY_BYTES_MAX:
            self._lately_bytes -= lately.popleft()[1].nbytes
            if not lately:
                return

    def _keep_lately(self, wanted: Callable[[OutboxEntry], bool]) -> None:
        kept = [one for one in self._lately if wanted(one[1])]
        self._lately = deque(kept)
        self._lately_bytes = sum(entry.nbytes for _, entry in kept)

    def _keep_unsent(self, wanted: Callable[[OutboxEntry], bool]) -> None:
        kept = list(filter(wanted, self._unsent))
        self._unsent.clear()
        self._unsent.extend(kept)


def _sequence(entry: OutboxEntry) -> int:
    return entry.sequence
