"""How long entries have waited, by a clock that cannot be set.

Within a boot the kernel's boot clock counts; it includes suspend.  Across a reboot only the wall
clock measures how long the device was off, and it may be wrong (1970 without a battery, a jump of
years).  So its difference counts only if both ends are plausible, and up to a limit: no clock error
can make all entries old at once.
"""

import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final, Self

import msgspec

PLAUSIBLE_NS: Final = 1_700_000_000 * 10**9
"""November 2023: this program is younger, so every correct clock shows more."""

AGE_NS_MAX: Final = 1 << 62
"""More nanoseconds than any clock shows; the file's columns hold twice as much."""

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class BootMark(msgspec.Struct, frozen=True):
    """A moment.  boot: id of the boot.  boot_ns: since it.  wall_ns: since 1970.  age_ns: since the
    outbox was created, on its own clock."""

    boot: str
    boot_ns: int
    wall_ns: int
    age_ns: int = 0

    @classmethod
    def now(cls, age_ns: int = 0) -> Self:
        """Return this moment.  age_ns: the outbox's clock."""
        return cls(_boot_id(), boot_clock_ns(), time.time_ns(), age_ns)

    @classmethod
    def stored(cls, marks: Mapping[str, str]) -> Self | None:
        """Return the moment in the named values of a file, None without one; raises ValueError for
        damaged values."""
        if "boot" not in marks:
            return None
        numbers = [int(marks.get(name, "")) for name in ("boot_ns", "wall_ns", "age_ns")]
        if not 0 <= max(numbers) < AGE_NS_MAX:
            raise ValueError(f"its last moment is {numbers}")
        return cls(marks["boot"], *numbers)


CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""The clock that includes suspend, where the system has it (Linux)."""


def boot_clock_ns() -> int:
    """Nanoseconds since the machine started, including suspend."""
    return time.clock_gettime_ns(CLOCK)


def resumed_age_ns(before: BootMark | None, now: BootMark, off_ns_max: int) -> int:
    """Return the outbox's clock of now.  before: the last stored moment.  off_ns_max: most that the
    wall clock alone may add."""
    if before is None:
        return 0
    if before.boot == now.boot and now.boot_ns >= before.boot_ns:
        return before.age_ns + now.boot_ns - before.boot_ns
    if min(before.wall_ns, now.wall_ns) < PLAUSIBLE_NS:
        return before.age_ns
    return before.age_ns + max(0, min(now.wall_ns - before.wall_ns, off_ns_max))


@cache
def _boot_id() -> str:
    try:
        return BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""
