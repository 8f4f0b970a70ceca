"""The memory that a process holds but does not use."""

import ctypes
import gc
import sys
from typing import Final

GARBAGE_COUNTS: Final = (10_000, 20, 50)
"""Objects made before the collector looks for circles among them, and how often among older ones.
A message makes dozens of objects and no circle; looking would take longer than making them."""


def tune_garbage_collector() -> None:
    """Let the garbage collector look less often, and never again at what is loaded by now.
    `cli_entry` has it rest until then: what is being loaded is no garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_COUNTS)
    gc.enable()


def return_free_memory() -> None:
    """Return free memory to the system.  Costs some milliseconds.

    Deriving thresholds and heads takes tens of megabytes for a moment; the C library keeps them
    for later, and a device that serves for weeks needs them for something else.  Other C libraries
    than that of GNU/Linux have no such call, and nothing happens there.
    """
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
