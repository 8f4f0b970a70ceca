"""Memory of the process: garbage collection, and returning free memory to the system."""

import ctypes
import gc
import sys
from typing import Final

GARBAGE_COUNTS: Final = (10_000, 20, 50)
"""Thresholds of the three generations (see `gc.set_threshold`).  A message allocates dozens of
objects and no reference cycle, so frequent collections would cost more than the allocations."""


def tune_garbage_collector() -> None:
    """Run the garbage collector less often, and exclude the objects that exist now.

    The command line disables it until this call, because loading modules creates no garbage.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_COUNTS)
    gc.enable()


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
