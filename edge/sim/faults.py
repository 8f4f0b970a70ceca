"""Seeded fault injection: lost messages, clock jumps, crashes and full disks."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from ..core import Effect
from ..storage import Store
from .scenarios import FaultSpec
from .world import START_NS, Action, InjectedFault, ObserveSample

CLOCK_JUMPS_NS: Final = {
    "an hour forwards": 3_600_000_000_000,
    "a day backwards": -86_400_000_000_000,
    "to 1970": -START_NS,
}
REORDERED_BY_MAX: Final = 4
"""Observations that may overtake a late one.  Chosen by hand."""

FaultTrigger = Callable[[], bool]


def no_faults() -> bool:
    """Trigger no fault."""
    return False


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Triggers of the device's faults: `crash()` is called between effects, `disk_full()` before
    each write, `killed()` and `late()` for each job of the worker."""

    crash: FaultTrigger
    disk_full: FaultTrigger
    killed: FaultTrigger = no_faults
    late: FaultTrigger = no_faults


def seeded_faults(faults: FaultSpec, seed: int) -> FaultPlan:
    """Return a plan with a scenario's probabilities; the same seed gives the same faults."""
    random, worker = (np.random.default_rng([seed, stream]) for stream in (2, 5))
    return FaultPlan(
        lambda: bool(random.random() < faults.crash),
        lambda: bool(random.random() < faults.disk_full),
        lambda: bool(worker.random() < faults.worker_killed),
        lambda: bool(worker.random() < faults.worker_late),
    )


def disturb_events(actions: Iterable[Action], faults: FaultSpec, seed: int) -> Iterator[Action]:
    """Lose, duplicate and reorder observations, and make clocks jump; deterministic per seed."""
    random = np.random.default_rng([seed, 3])
    yield from _jump_clocks(
        _reorder(_lose_or_double(actions, faults, random), faults, random), faults, random
    )


def _lose_or_double(
    actions: Iterable[Action], faults: FaultSpec, random: np.random.Generator
) -> Iterator[Action]:
    for action in actions:
        if not isinstance(action, ObserveSample):
            yield action
        elif random.random() < faults.lost:
            yield InjectedFault("lost", f"{action.id} was lost")
        else:
            yield action
            if random.random() < faults.doubled:
                yield InjectedFault("doubled", f"{action.id} arrived twice")
                yield action


def _reorder(
    actions: Iterable[Action], faults: FaultSpec, random: np.random.Generator
) -> Iterator[Action]:
    """Delay some observations behind up to REORDERED_BY_MAX later ones, never past a label."""
    held: list[tuple[int, ObserveSample]] = []
    for action in actions:
        if not isinstance(action, ObserveSample):
            yield from (show for _, show in held)
            held = []
            yield action
            continue
        if random.random() < faults.reordered:
            yield InjectedFault("reordered", f"{action.id} arrived late")
            held.append((int(random.integers(1, REORDERED_BY_MAX + 1)), action))
            continue
        yield action
        held = [(wait - 1, show) for wait, show in held]
        yield from (show for wait, show in held if wait <= 0)
        held = [(wait, show) for wait, show in held if wait > 0]
    yield from (show for _, show in held)


def _jump_clocks(
    actions: Iterable[Action], faults: FaultSpec, random: np.random.Generator
) -> Iterator[Action]:
    shift_ns = 0
    for action in actions:
        if not isinstance(action, ObserveSample):
            yield action
            continue
        if random.random() < faults.clock_jump:
            name = list(CLOCK_JUMPS_NS)[int(random.integers(len(CLOCK_JUMPS_NS)))]
            shift_ns = CLOCK_JUMPS_NS[name]
            yield InjectedFault("clock_jump", f"the clock jumps {name}")
        yield replace(action, captured_at_ns=max(0, action.captured_at_ns + shift_ns))


class FaultyStore(Store):
    """The production store on a disk that may be full: COMMIT then raises SQLite's own error."""

    disk_full: FaultTrigger = staticmethod(no_faults)

    def apply(self, effect: Effect) -> None:
        """Apply as `Store` does; raises its StateError when `disk_full` triggers."""
        if not self.disk_full():
            super().apply(effect)
            return
        whole = self._db
        self._db = cast("sqlite3.Connection", _FullDisk(whole))
        try:
            super().apply(effect)
        finally:
            self._db = whole


class _FullDisk:
    """A connection whose COMMIT fails for lack of space; everything else works."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            raise sqlite3.OperationalError("database or disk is full")
        return self._db.execute(sql, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


def copy_crash_image(source: Path, target: Path) -> None:
    """Copy a knowledge file as a killed process leaves it: the database and its write-ahead log.

    The shared-memory index is not copied: SQLite rebuilds it from the log, as after a reboot.
    """
    for suffix in ("", "-wal"):
        part = source.with_name(source.name + suffix)
        if part.exists():
            target.with_name(target.name + suffix).write_bytes(part.read_bytes())
