"""A simulated device: the production Runtime on the production Store, which may crash any time."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter_ns
from typing import Final

from ..core import (
    Acknowledgement,
    CancelGrowth,
    Config,
    Effect,
    EraseFacts,
    Event,
    Fact,
    Label,
    MemoryLedger,
    Publish,
    Receipt,
    Runtime,
    StartGrowth,
    StateError,
    StoreFacts,
)
from .checkers import BrokenPromiseError
from .faults import FaultPlan, FragileStore, copy_crash_image
from .replay import ReplayModel
from .simulated_worker import SimulatedWorker

REDELIVERIES_MAX: Final = 50
"""Even at a fault rate of one in two, 50 failures in a row do not happen by chance."""

Message = object


@dataclass(slots=True)
class DeviceJournal:
    """What the outside knows for certain, kept apart from the device, to hold it to its promises.

    `mirror`: a second ledger, given every effect that the store has confirmed.  `acknowledged`:
    label by observation id, as acknowledged.  `erased`: ids, with the features they had.
    """

    mirror: MemoryLedger = field(default_factory=MemoryLedger)
    acknowledged: dict[str, str] = field(default_factory=dict)
    erased: dict[str, bytes] = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def confirm(self, effect: Effect) -> None:
        """Note an effect that the store has made durable."""
        if isinstance(effect, EraseFacts):
            for fact_id in effect.ids:
                fact = self.mirror.get(fact_id)
                self.erased[fact_id] = fact.features if fact else b""
                self.acknowledged.pop(fact_id, None)
            self.receipts.append(effect.receipt)
        elif isinstance(effect, StoreFacts):
            for fact_id in effect.evicted:
                self.acknowledged.pop(fact_id, None)
        self.mirror.apply(effect)
        self.counts["confirmed"] += 1

    def acknowledge(self, event: Event, ack: Acknowledgement) -> None:
        """Note an acknowledgement that reached its sender."""
        if not isinstance(event, Label):
            return
        if ack.count or self.mirror.get(event.observation_id) is not None:
            self.acknowledged[event.observation_id] = event.label
            self.counts["labels_taken"] += 1


class SimulatedDevice:
    """Runtime and Store in a folder.  Events are delivered at least once: after a crash or a full
    disk the device starts again from its file, and the sender repeats what was not answered.  Its
    worker ends with it.

    `on_restart` is called after each restart with its reason ("crash" or "disk_full").
    """

    def __init__(
        self,
        folder: Path,
        model: ReplayModel,
        config: Config,
        chaos: FaultPlan,
        workshop: SimulatedWorker,
        on_restart: Callable[[str], None],
    ) -> None:
        self.journal = DeviceJournal()
        self.model = model
        self.store_us: list[float] = []
        self.handle_us: list[float] = []
        self.bytes_written: int | None = written_bytes()
        if self.bytes_written is not None:
            self.bytes_written = 0
        self._folder = folder
        self._config = config
        self._chaos = chaos
        self._workshop = workshop
        self._on_restart = on_restart
        self._life = 0
        self.store = FragileStore.create(self._file, model.card)
        self.store.disk_full = chaos.disk_full
        self.runtime = Runtime(config, model, self.store)

    @property
    def _file(self) -> Path:
        return self._folder / f"knowledge-{self._life}.db"

    def feed(self, event: Event) -> tuple[Message, ...]:
        """Deliver an event until it is answered; the messages of the answer that got through."""
        for _ in range(REDELIVERIES_MAX):
            messages: list[Message] = []
            trouble, done = self._attempt(event, messages)
            if trouble:
                self._restart(trouble)
            if done:
                return tuple(messages)
        raise BrokenPromiseError(
            f"simulating: the device failed {REDELIVERIES_MAX} times on {type(event).__name__}",
            "make faults rarer: the device never gets to answer",
        )

    def close(self) -> None:
        """Shut the store."""
        self.store.close()

    def _attempt(self, event: Event, messages: list[Message]) -> tuple[str, bool]:
        """Handle an event and carry out its effects; what stopped that, and whether it is done."""
        began, spent = perf_counter_ns(), self.model.spent_ns
        effects = self.runtime.handle(event)
        self.handle_us.append((perf_counter_ns() - began - self.model.spent_ns + spent) / 1000)
        for effect in effects:
            if self._chaos.crash():
                return "crash", False
            if isinstance(effect, Publish):
                messages.append(effect.message)
                if isinstance(effect.message, Acknowledgement):
                    self.journal.acknowledge(event, effect.message)
            elif isinstance(effect, StartGrowth):
                self._workshop.take(effect.job)
            elif isinstance(effect, CancelGrowth):
                self._workshop.stop("facts of it were forgotten", effect.job_id)
            elif not self._apply(effect):
                return "disk_full", False
        return ("crash", True) if self._chaos.crash() else ("", True)

    def _apply(self, effect: Effect) -> bool:
        before, began = written_bytes(), perf_counter_ns()
        try:
            self.store.apply(effect)
        except StateError as error:
            if "full" not in error.message:
                raise
            return False
        finally:
            self.store_us.append((perf_counter_ns() - began) / 1000)
            after = written_bytes()
            if before is not None and after is not None and self.bytes_written is not None:
                self.bytes_written += after - before
        self.journal.confirm(effect)
        return True

    def _restart(self, reason: str) -> None:
        """Throw the runtime away and start from the file, as it lies at this moment."""
        self.journal.counts[reason] += 1
        self._workshop.stop(f"the device started again: {reason.replace('_', ' ')}")
        before = self._file
        self._life += 1
        copy_crash_image(before, self._file)
        self.store.close()
        self.store = FragileStore.open(self._file, self.model.card)
        self.store.disk_full = self._chaos.disk_full
        self.runtime = Runtime(self._config, self.model, self.store)
        for suffix in ("", "-wal", "-shm", ".lock"):
            before.with_name(before.name + suffix).unlink(missing_ok=True)
        self._on_restart(reason)


def written_bytes() -> int | None:
    """Bytes that this process has handed to the operating system so far; None where it does not
    say (it does on Linux)."""
    try:
        return int(Path("/proc/self/io").read_bytes().split(b"wchar:")[1].split()[0])
    except (OSError, IndexError):
        return None


def resident_bytes() -> int | None:
    """Memory of this process that is resident now; None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return None


def facts_of(
    domain: str, rows: list[tuple[str, str, bytes]], captured_at_ns: int
) -> tuple[Fact, ...]:
    """Make facts to enrol from (id, label, features), captured one a microsecond."""
    return tuple(
        Fact(
            id=fact_id,
            stream="enrolment",
            domain=domain,
            label=label,
            captured_at_ns=captured_at_ns + at * 1000,
            features=features,
        )
        for at, (fact_id, label, features) in enumerate(rows)
    )
