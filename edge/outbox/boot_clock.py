"""How long entries have waited, by a clock that nobody can set.

Within a boot the kernel's boot clock counts, which runs on during suspend.  Across a reboot only
the wall clock can tell how long the device was off, and it may be wrong (no battery: 1970; a jump
of years): what it says counts only where both ends are plausible, and never for more than a bound,
so that no clock can make everything old at once.
"""

import time
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

PLAUSIBLE_NS: Final = 1_700_000_000 * 10**9
"""November 2023: before this program existed, so no clock that is right shows less."""

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class BootMark(msgspec.Struct, frozen=True):
    """A moment: which boot, nanoseconds since it, nanoseconds since 1970, and since the outbox
    began, by its own clock."""

    boot: str
    boot_ns: int
    wall_ns: int
    age_ns: int = 0


def read_mark(age_ns: int = 0) -> BootMark:
    """Return this moment.  age_ns: what the outbox's clock shows."""
    return BootMark(_boot_id(), boot_clock_ns(), time.time_ns(), age_ns)


def boot_clock_ns() -> int:
    """Nanoseconds since the machine started, suspend included."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return time.monotonic_ns()


def resumed_age_ns(before: BootMark | None, now: BootMark, off_ns_max: int) -> int:
    """Return what the outbox's clock shows now.  before: the last moment that was written.
    off_ns_max: most that the wall clock alone may add."""
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
