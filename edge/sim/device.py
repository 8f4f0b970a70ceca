"""A simulated device: the production Runtime on the production Store, with injected crashes."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter_ns
from typing import Final

from ..core import (
    Acknowledgement,
    AdvanceForget,
    CancelGrowth,
    CompleteForget,
    Config,
    Effect,
    EraseFacts,
    Event,
    ExcludeFacts,
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
from .faults import FaultPlan, FaultyStore, copy_crash_image
from .replay import ReplayModel
from .simulated_worker import SimulatedWorker

REDELIVERIES_MAX: Final = 50
"""Even at a fault rate of one in two, 50 failures in a row do not happen by chance."""

Message = object


@dataclass(slots=True)
class DeviceJournal:
    """An independent record of everything the device confirmed, to check its promises against.

    mirror: a second ledger, with every effect that the store confirmed.  acknowledged: the
    acknowledged label by observation id.  erased: features by forgotten fact id.
    """

    mirror: MemoryLedger = field(default_factory=MemoryLedger)
    acknowledged: dict[str, str] = field(default_factory=dict)
    erased: dict[str, bytes] = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def confirm(self, effect: Effect) -> None:
        """Record an effect that the store has made durable."""
        if isinstance(effect, EraseFacts | ExcludeFacts):
            for fact_id in effect.ids:
                fact = self.mirror.get(fact_id)
                self.erased[fact_id] = fact.features if fact else b""
                self.acknowledged.pop(fact_id, None)
        elif isinstance(effect, StoreFacts):
            for fact_id in effect.evicted:
                self.acknowledged.pop(fact_id, None)
        if isinstance(effect, EraseFacts | CompleteForget):
            self.receipts.append(effect.receipt)
        self.mirror.apply(effect)
        self.counts["confirmed"] += 1

    def acknowledge(self, event: Event, ack: Acknowledgement) -> None:
        """Record an acknowledgement that reached the sender."""
        if not isinstance(event, Label):
            return
        if ack.count or self.mirror.get(event.observation_id) is not None:
            self.acknowledged[event.observation_id] = event.label
            self.counts["labels_taken"] += 1


class SimulatedDevice:
    """Runtime and Store in a folder.  Events are delivered at least once: after a crash or a full
    disk the device restarts from its file, and the sender repeats unanswered events.  A restart
    cancels the worker's job.

    on_restart: called after each restart with its reason ("crash" or "disk_full").
    """

    def __init__(
        self,
        folder: Path,
        model: ReplayModel,
        config: Config,
        fault_plan: FaultPlan,
        worker: SimulatedWorker,
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
        self._faults = fault_plan
        self._worker = worker
        self._on_restart = on_restart
        self._restarts = 0
        self.store = FaultyStore.create(self._file, model.card)
        self.store.disk_full = fault_plan.disk_full
        self.runtime = Runtime(config, model, self.store)

    @property
    def _file(self) -> Path:
        return self._folder / f"knowledge-{self._restarts}.db"

    def feed(self, event: Event) -> tuple[Message, ...]:
        """Deliver an event until it is answered; returns the messages of that answer."""
        for _ in range(REDELIVERIES_MAX):
            messages: list[Message] = []
            fault, done = self._attempt(event, messages)
            if fault:
                self._restart(fault)
            if done and self.runtime.forgetting:
                event = AdvanceForget(1)
            elif done:
                return tuple(messages)
        raise BrokenPromiseError(
            f"simulating: the device failed {REDELIVERIES_MAX} times on {type(event).__name__}",
            "make faults rarer: every attempt failed before an answer",
        )

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def _attempt(self, event: Event, messages: list[Message]) -> tuple[str, bool]:
        """Handle an event and apply its effects; returns the fault, if any, and whether it is
        done."""
        began, spent = perf_counter_ns(), self.model.spent_ns
        effects = self.runtime.handle(event)
        self.handle_us.append((perf_counter_ns() - began - self.model.spent_ns + spent) / 1000)
        for effect in effects:
            if self._faults.crash():
                return "crash", False
            if isinstance(effect, Publish):
                messages.append(effect.message)
                if isinstance(effect.message, Acknowledgement):
                    self.journal.acknowledge(event, effect.message)
            elif isinstance(effect, StartGrowth):
                self._worker.submit(effect.job)
            elif isinstance(effect, CancelGrowth):
                self._worker.cancel("some of its facts were forgotten", effect.job_id)
            elif not self._apply(effect):
                return "disk_full", False
        return ("crash", True) if self._faults.crash() else ("", True)

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
        """Discard the runtime and restart from a copy of the file in its present state."""
        self.journal.counts[reason] += 1
        self._worker.cancel(f"the device restarted: {reason.replace('_', ' ')}")
        before = self._file
        self._restarts += 1
        copy_crash_image(before, self._file)
        self.store.close()
        self.store = FaultyStore.open(self._file, self.model.card)
        self.store.disk_full = self._faults.disk_full
        self.runtime = Runtime(self._config, self.model, self.store)
        for suffix in ("", "-wal", "-shm", ".lock"):
            before.with_name(before.name + suffix).unlink(missing_ok=True)
        self._on_restart(reason)


def written_bytes() -> int | None:
    """Return the bytes that this process has written so far; None where the system does not report
    them (Linux does)."""
    try:
        return int(Path("/proc/self/io").read_bytes().split(b"wchar:")[1].split()[0])
    except (OSError, IndexError):
        return None


def resident_bytes() -> int | None:
    """Return the resident memory of this process in bytes; None where the system does not report it
    (Linux does)."""
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return None


def facts_of(
    domain: str, rows: list[tuple[str, str, bytes]], captured_at_ns: int
) -> tuple[Fact, ...]:
    """Return facts to enrol from (id, label, features), captured a microsecond apart."""
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
