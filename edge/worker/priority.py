"""The priority of what runs beside serving."""

import os
import sys
from contextlib import suppress
from typing import Final

NICENESS: Final = 10
"""On a busy core a job gets about a tenth of the time: serving keeps its speed, and the job still
ends."""


def lower_priority() -> None:
    """Lower the priority of the calling thread, so that it takes no time from decisions."""
    if sys.platform == "linux":
        with suppress(OSError):  # A sandbox may forbid both; then the thread competes more.
            os.nice(NICENESS)
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
