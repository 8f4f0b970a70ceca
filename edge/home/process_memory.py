"""Memory of the process: garbage collection, and returning free memory to the system."""

import ctypes
import gc
import sys
from typing import Final

GARBAGE_COUNTS: Final = (10_000, 20, 50)
"""Thresholds of the three generations (see `gc.set_threshold`).  A message allocates dozens of
objects and no reference cycle, so frequent collections would cost more than the allocations."""

OWN_PAGES_BYTES: Final = 1 << 20
"""Allocations from this size on get their own pages, which go back to the system when freed.  Left
alone, glibc raises the threshold with each large block that is freed, up to 32 MiB, and keeps them
all: 16 MiB more resident with 10,000 facts of images.  At 128 KiB encoding took 28 % longer."""

ARENAS: Final = 1
"""Arenas of the allocator: the interpreter lock lets one thread allocate at a time, and each arena
keeps free memory of its own."""

M_MMAP_THRESHOLD: Final = -3
"""The parameter of mallopt(3) for that size, from glibc's malloc.h."""

M_ARENA_MAX: Final = -8
"""The parameter of mallopt(3) for that number, from glibc's malloc.h."""


def tune_garbage_collector() -> None:
    """Run the garbage collector less often, and exclude the objects that exist now.

    The command line disables it until this call, because loading modules creates no garbage.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_COUNTS)
    gc.enable()


def keep_memory_small() -> None:
    """Let the C library return large blocks to the system as they are freed.  Call it before other
    threads start.  Only glibc has such a call (mallopt(3)); elsewhere nothing happens."""
    if sys.platform != "linux":
        return
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    # musl has no mallopt; other libraries may refuse a parameter, which is harmless.
    if adjust is not None:
        adjust(M_MMAP_THRESHOLD, OWN_PAGES_BYTES)
        adjust(M_ARENA_MAX, ARENAS)


def return_free_memory() -> None:
    """Return free memory to the system.  Cost: some milliseconds.

    Deriving thresholds and heads briefly takes tens of megabytes, which the C library keeps for
    reuse; on a small device other processes need them.  Only glibc has such a call
    (malloc_trim(3)); elsewhere nothing happens.
    """
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
