"""The memory that a process holds but does not use."""

import ctypes
import sys


def give_back() -> None:
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
