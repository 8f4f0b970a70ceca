"""What goes wrong, seeded: lost messages, jumping clocks, crashes and full disks."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from ..core import Effect
from ..storage import Store
from .scenarios import FaultSpec
from .world import START_NS, Action, ShowSample, WorldNote

CLOCK_JUMPS_NS: Final = {
    "an hour forwards": 3_600_000_000_000,
    "a day backwards": -86_400_000_000_000,
    "to 1970": -START_NS,
}
REORDERED_BY_MAX: Final = 4
"""Observations that may overtake a late one.  Chosen by hand."""

Strike = Callable[[], bool]


def no_faults() -> bool:
    """Do not strike."""
    return False


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Decides about the device's faults: `crash()` is asked at each boundary between effects,
    `disk_full()` before each write, `killed()` and `late()` about the worker for each job."""

    crash: Strike
    disk_full: Strike
    killed: Strike = no_faults
    late: Strike = no_faults


def seeded_faults(faults: FaultSpec, seed: int) -> FaultPlan:
    """Chaos that strikes with a scenario's probabilities, the same for the same seed."""
    random, worker = (np.random.default_rng([seed, stream]) for stream in (2, 5))
    return FaultPlan(
        lambda: bool(random.random() < faults.crash),
        lambda: bool(random.random() < faults.disk_full),
        lambda: bool(worker.random() < faults.worker_killed),
        lambda: bool(worker.random() < faults.worker_late),
    )


def disturb_events(actions: Iterable[Action], faults: FaultSpec, seed: int) -> Iterator[Action]:
    """Lose, double and reorder observations, and let clocks jump; the same for the same seed."""
    random = np.random.default_rng([seed, 3])
    yield from _jump_clocks(
        _reorder(_mishandle(actions, faults, random), faults, random), faults, random
    )


def _mishandle(
    actions: Iterable[Action], faults: FaultSpec, random: np.random.Generator
) -> Iterator[Action]:
    for action in actions:
        if not isinstance(action, ShowSample):
            yield action
        elif random.random() < faults.lost:
            yield WorldNote("lost", f"{action.id} was lost")
        else:
            yield action
            if random.random() < faults.doubled:
                yield WorldNote("doubled", f"{action.id} came twice")
                yield action


def _reorder(
    actions: Iterable[Action], faults: FaultSpec, random: np.random.Generator
) -> Iterator[Action]:
    """Hold some observations back behind up to REORDERED_BY_MAX later ones, not past a label."""
    held: list[tuple[int, ShowSample]] = []
    for action in actions:
        if not isinstance(action, ShowSample):
            yield from (show for _, show in held)
            held = []
            yield action
            continue
        if random.random() < faults.reordered:
            yield WorldNote("reordered", f"{action.id} came late")
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
        if not isinstance(action, ShowSample):
            yield action
            continue
        if random.random() < faults.clock_jump:
            name = list(CLOCK_JUMPS_NS)[int(random.integers(len(CLOCK_JUMPS_NS)))]
            shift_ns = CLOCK_JUMPS_NS[name]
            yield WorldNote("clock_jump", f"the clock jumps {name}")
        yield replace(action, captured_at_ns=max(0, action.captured_at_ns + shift_ns))


class FragileStore(Store):
    """The production store on a disk that may be full: SQLite's own error at COMMIT, once armed."""

    disk_full: Strike = staticmethod(no_faults)

    def apply(self, effect: Effect) -> None:
        """Apply as `Store` does, on a full disk where chaos strikes; raises its StateError then."""
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
    """A connection whose COMMIT finds no room; everything else goes through."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            raise sqlite3.OperationalError("database or disk is full")
        return self._db.execute(sql, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


def copy_crash_image(source: Path, target: Path) -> None:
    """Copy a knowledge file as a killed process leaves it: the database and its log as they lie.

    The shared-memory index is not copied: SQLite makes it again from the log, as after a reboot.
    """
    for suffix in ("", "-wal"):
        part = source.with_name(source.name + suffix)
        if part.exists():
            target.with_name(target.name + suffix).write_bytes(part.read_bytes())
