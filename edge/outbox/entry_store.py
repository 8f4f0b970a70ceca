"""What waits, in memory and on the disk, with the numbers given out and those that were lost."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Final

from ..config import OutboxSettings
from .boot_clock import PLAUSIBLE_NS, BootMark, read_mark, resumed_age_ns
from .entry import OutboxEntry, OutboxLoss, OutboxLosses
from .retrying_storage import RetryingStorage, S
from .storage import OutboxStorage, OutboxWrite, StoredOutbox

BLOCK: Final = 1 << 16
"""Numbers reserved at a time; with less than half left, the next commit reserves again.  So a
failing disk leaves at least half a block to go on with."""

PAGE: Final = 256
OFF_SHARE: Final = 2
"""A reboot ages entries by a half of what they may reach at most, whatever the wall clock says."""

FREED_SHARE: Final = 16
"""Where a limit is reached, a sixteenth of it is freed at once."""

AGE_NS_MAX: Final = 1 << 62
"""More than any clock shows; the file's columns hold twice as much."""

NUMBER_MAX: Final = (1 << 53) - 1
"""The highest that every reader of JSON can tell from its neighbours."""


class EntryStore:
    """Entries until they are settled.

    due: called with kept entries that have become durable.  dropped: called with the numbers of
    entries that went without having been settled.
    """

    def __init__(
        self,
        path: Path,
        settings: OutboxSettings,
        clock_ns: Callable[[], int],
        due: Callable[[Iterable[OutboxEntry]], None],
        dropped: Callable[[Collection[int]], None],
        *,
        first: int = 1,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.run = self.sure_ns = self._known_ns = self._known_at_ns = 0
        self._settings, self._clock_ns, self._first = settings, clock_ns, first
        self._tell_due, self._tell_dropped = due, dropped
        self._next = self._reserved = 0
        self._fresh: dict[int, OutboxEntry] = {}
        self._fresh_bytes = 0
        self._held = StoredOutbox()
        self._done: dict[int, OutboxEntry] = {}
        self._doubtful: set[int] = set()
        self.losses = OutboxLosses()
        self._losses_changed = self._unscrubbed = False
        self._age_zero_ns = clock_ns()
        self.keeper = RetryingStorage(path, clock_ns, self._load)

    # --- numbers ---------------------------------------------------------------------------------

    def take(self) -> int:
        """Return the next number; 0 where the disk fails and none is left."""
        if self._next >= self._reserved:
            if not self.keeper.resting:
                self.commit()
            if self._next >= self._reserved:
                self.counts["unnumbered"] += 1
                return 0
        number = self._next
        self._next = number + 1
        return number

    def lose(self, number: int, reason: str) -> None:
        """Take note that a number will never arrive."""
        self.losses.add(number, reason)
        self._losses_changed = True
        self.counts[reason] += 1

    def lose_again(self, loss: OutboxLoss) -> None:
        """Take back a range that was to be told."""
        self.losses.put(loss)
        self._losses_changed = True

    def pop_losses(self, count: int) -> list[OutboxLoss]:
        """Take the first ranges away, to be told."""
        self._losses_changed = True
        return self.losses.pop(count)

    # --- entries ---------------------------------------------------------------------------------

    def put(self, entry: OutboxEntry) -> None:
        """Take an entry; limits are kept by dropping the oldest that may be."""
        entry.age_ns = self.age_ns()
        self._fresh[entry.sequence] = entry
        self._fresh_bytes += entry.nbytes
        if self._fresh_bytes > self._settings.memory_bytes_max:
            if not self.keeper.resting:
                self.commit(durable=False)
            self._trim_memory()
        if self.nbytes > self._settings.bytes_max:
            self._drop_oldest()

    def settle(self, entry: OutboxEntry) -> None:
        """An entry is done with: the broker has it, or will never take it."""
        if self._fresh.pop(entry.sequence, None) is not None:
            self._fresh_bytes -= entry.nbytes
        elif entry.sequence not in self._done:
            self._done[entry.sequence] = entry
            self._count(entry, -1)

    def restore(self, entries: Iterable[OutboxEntry]) -> None:
        """Take settled entries back: they wait again, as old as they are."""
        back = {entry.sequence: entry for entry in entries if entry.sequence not in self._fresh}
        # What is in memory alone is in the order of its numbers: a commit writes the first of them.
        self._fresh = dict(sorted((self._fresh | back).items()))
        self._fresh_bytes += sum(entry.nbytes for entry in back.values())

    def stored(self, entry: OutboxEntry) -> bool:
        """Say whether an entry that waits is on the disk."""
        return entry.sequence not in self._fresh

    def page(self, after: int, before: int, count: int) -> list[OutboxEntry]:
        """Return the oldest stored entries with numbers between two others."""
        found = self.keeper.find(lambda storage: storage.page(after, before, count))
        held = [entry for entry in found if self._holds(entry)]
        damaged = [entry for entry in held if not entry.topic]
        if damaged:
            self._drop(damaged, "damaged")
        return [entry for entry in held if entry.topic]

    def waiting(self) -> Iterator[OutboxEntry]:
        """Yield all that waits."""
        yield from tuple(self._fresh.values())
        after = 0
        while page := self._page_after(after):
            yield from filter(self._holds, page)
            after = page[-1].sequence

    def age_ns(self) -> int:
        """Return nanoseconds on the outbox's own clock."""
        return self._clock_ns() - self._age_zero_ns

    def oldest_ns(self) -> int:
        """Return nanoseconds that the oldest entry has waited."""
        stored = self.page(0, NUMBER_MAX, 1) if self._held.entries else []
        oldest = stored[0] if stored else next(iter(self._fresh.values()), None)
        return self.age_ns() - oldest.age_ns if oldest else 0

    def adjust(self, settings: OutboxSettings) -> None:
        """Go by other limits from now on."""
        self._settings = settings
        if self.nbytes > settings.bytes_max:
            self._drop_oldest()

    @property
    def last(self) -> int:
        """The last number that was given out."""
        return self._next - 1

    @property
    def nbytes(self) -> int:
        """Bytes that wait."""
        return self._held.nbytes + self._fresh_bytes

    @property
    def kept_bytes(self) -> int:
        """Bytes on the disk that are never dropped."""
        return self._held.kept_bytes

    @property
    def entries(self) -> int:
        """How many wait."""
        return self._held.entries + len(self._fresh)

    @property
    def fresh(self) -> int:
        """How many are in memory alone."""
        return len(self._fresh)

    # --- writing ---------------------------------------------------------------------------------

    def commit(self, *, durable: bool = True, clean: bool = False) -> bool:
        """Write all that is in memory alone.  clean: give back numbers that are not used."""
        return self._write(list(self._fresh.values()), durable=durable, clean=clean)

    def commit_older(self, age_ns: int) -> bool:
        """Write what is in memory alone and as old as that; nothing where that changes nothing."""
        before = self.age_ns() - age_ns
        coming: list[OutboxEntry] = []
        for entry in self._fresh.values():
            if entry.age_ns > before:
                break
            coming.append(entry)
        if not (coming or self._done or self._doubtful or self._losses_changed or self._short):
            return True
        return self._write(coming, durable=False)

    def drop_expired(self) -> None:
        """Drop what has waited for too long."""
        before = self.age_ns() - int(self._settings.age_s_max * S)
        found = self.keeper.find(lambda storage: storage.expired(before, PAGE))
        old = list(filter(self._holds, found))
        if old:
            self._drop(old, "age")

    def erase(self, entries: Collection[OutboxEntry]) -> bool:
        """Forget entries: gone from memory and disk, with what deleted rows left behind.  False
        where the disk fails; it is done when it works again."""
        self._drop(entries, "forgotten")
        self._unscrubbed = True
        return self.commit()

    def close(self) -> None:
        """Write all, give back what is not used, close the file."""
        self.commit(clean=True)
        self.keeper.close()

    @property
    def _short(self) -> bool:
        return self._reserved - self._next < BLOCK // 2 and self._next < NUMBER_MAX - BLOCK

    def _write(self, coming: list[OutboxEntry], *, durable: bool, clean: bool = False) -> bool:
        reserved = self._next if clean else self._reserved
        if self._short and not clean:
            reserved = self._next + BLOCK
        kept = [entry for entry in coming if entry.kept]
        left = next((n for n in self._fresh if not coming or n > coming[-1].sequence), self._next)
        losses = list(self.losses) if self._losses_changed else None
        going = [*self._done, *self._doubtful]
        change = OutboxWrite(coming, going, losses, self._marks(left, reserved))
        durable = durable or reserved != self._reserved or bool(kept) or self._unscrubbed
        if not self.keeper.write(change, durable=durable):
            # A commit that failed may be found whole when the file is opened again.
            self._doubtful.update(entry.sequence for entry in coming)
            return False
        for entry in coming:
            self._count(entry, +1)
            self._fresh_bytes -= self._fresh.pop(entry.sequence).nbytes
        self._done.clear()
        self._doubtful.clear()
        self._reserved, self._losses_changed = reserved, False
        if kept:
            self._tell_due(kept)
        if self._unscrubbed:
            self._unscrubbed = not self.keeper.scrub()
        return not self._unscrubbed

    def _marks(self, left: int, reserved: int) -> dict[str, str]:
        now = read_mark(self.age_ns())
        return {
            "next": str(left),
            "reserved": str(reserved),
            "run": str(self.run),
            "boot": now.boot,
            "boot_ns": str(now.boot_ns),
            "wall_ns": str(now.wall_ns),
            "sure_ns": str(self._surely(now.wall_ns)),
            "age_ns": str(now.age_ns),
            "unscrubbed": str(int(self._unscrubbed)),
        }

    def _surely(self, wall_ns: int) -> int:
        """Return the latest moment that it is now at least: what the wall clock says where it can
        be right, else what it last said then, and what has passed since; 0 where it never did."""
        if wall_ns >= PLAUSIBLE_NS:
            self._known_ns, self._known_at_ns = wall_ns, self._clock_ns()
        return self._known_ns and self._known_ns + self._clock_ns() - self._known_at_ns

    def _load(self, storage: OutboxStorage) -> None:
        """Take up what an earlier run left; what it had not written is lost, and told.  Raises
        ValueError or TypeError for what no run leaves."""
        marks = storage.marks()
        self._next = int(marks.get("next", self._first))
        reserved = int(marks.get("reserved", self._next))
        self._held, before = storage.held(), _mark_of(marks)
        new = "next" not in marks and not self._held.entries
        if not (new or (0 < self._next <= NUMBER_MAX >= reserved > 0 and "next" in marks)):
            raise ValueError(f"its next number is {marks.get('next')}, reserved are {reserved}")
        self.run = int(marks.get("run", 0)) + 1
        self.losses = OutboxLosses(storage.losses())
        if "reserved" not in marks and self._first > 1:
            self.losses.put(OutboxLoss(1, self._first - 1, 0, "damaged"))
        for first, last in _gaps(self._next, reserved, storage.numbers(self._next)):
            self.losses.put(OutboxLoss(first, last, last - first + 1, "crash"))
        self._unscrubbed = marks.get("unscrubbed") == "1"
        off_ns_max = int(self._settings.age_s_max * S) // OFF_SHARE
        self.sure_ns = int(marks.get("sure_ns", 0))
        if not 0 <= self.sure_ns <= AGE_NS_MAX:
            raise ValueError(f"its last sure moment is {self.sure_ns}")
        if not self._known_ns:
            self._known_ns, self._known_at_ns = self.sure_ns, self._clock_ns()
        age_ns = resumed_age_ns(before, read_mark(), off_ns_max)
        self._age_zero_ns = self._clock_ns() - age_ns
        self._next = max(self._next, reserved)
        change = OutboxWrite([], [], list(self.losses), self._marks(self._next, self._next + BLOCK))
        storage.commit(change, durable=True)
        self._reserved = self._next + BLOCK

    # --- limits ----------------------------------------------------------------------------------

    def _drop(self, entries: Collection[OutboxEntry], reason: str) -> None:
        for entry in entries:
            self.lose(entry.sequence, reason)
            self.settle(entry)
        self._tell_dropped({entry.sequence for entry in entries})

    def _trim_memory(self) -> None:
        """Where the disk fails, memory is the bound."""
        most = self._settings.memory_bytes_max
        if self._fresh_bytes > most:
            self._drop(self._oldest_fresh(self._fresh_bytes - most + most // FREED_SHARE), "disk")

    def _drop_oldest(self) -> None:
        most = self._settings.bytes_max
        excess = self.nbytes - most + most // FREED_SHARE
        while excess > 0:
            if self._done and not (self.keeper.resting or self.commit(durable=False)):
                return
            found = self.keeper.find(lambda storage: storage.droppable(PAGE))
            stored = list(filter(self._holds, found))
            oldest = list(_enough(stored, excess)) or self._oldest_fresh(excess)
            if not oldest:
                return
            self._drop(oldest, "full")
            excess -= sum(entry.nbytes for entry in oldest)

    def _oldest_fresh(self, nbytes: int) -> list[OutboxEntry]:
        return list(_enough((one for one in self._fresh.values() if not one.kept), nbytes))

    def _page_after(self, after: int) -> list[OutboxEntry]:
        return self.keeper.find(lambda storage: storage.page(after, NUMBER_MAX, PAGE))

    def _holds(self, entry: OutboxEntry) -> bool:
        """Say whether a row stands for an entry that waits and is not in memory."""
        return not (entry.sequence in self._done or entry.sequence in self._doubtful)

    def _count(self, entry: OutboxEntry, sign: int) -> None:
        held, nbytes = self._held, sign * entry.nbytes
        held.entries += sign
        held.nbytes += nbytes
        held.kept_bytes += nbytes * entry.kept


def _enough(entries: Iterable[OutboxEntry], nbytes: int) -> Iterator[OutboxEntry]:
    """Yield the first entries that make up so many bytes together."""
    for entry in entries:
        if nbytes <= 0:
            return
        nbytes -= entry.nbytes
        yield entry


def _gaps(first: int, end: int, present: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield the ranges (both ends included) of first to end - 1 that hold none of some numbers."""
    for number in present:
        if number > first:
            yield first, number - 1
        first = number + 1
    if first < end:
        yield first, end - 1


def _mark_of(marks: dict[str, str]) -> BootMark | None:
    if "boot" not in marks:
        return None
    numbers = [int(marks.get(name, "")) for name in ("boot_ns", "wall_ns", "age_ns")]
    if not 0 <= max(numbers) < AGE_NS_MAX:
        raise ValueError(f"its last moment is {numbers}")
    return BootMark(marks["boot"], *numbers)
