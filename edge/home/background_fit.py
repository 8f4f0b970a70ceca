"""Adaptors solved in a background thread: a kernel over thousands of facts takes a second, a head a
tenth."""

import os
import sys
import threading
from contextlib import suppress
from typing import Final

from ..core import Adaptor, GrowthResult, Knowledge
from ..core.knowledge import HeadFit
from ..logs import log
from .process_memory import return_free_memory

NICENESS: Final = 10
"""As a worker's (`worker.NICENESS`); on Linux it applies to the thread alone."""


class BackgroundFitter:
    """Solves one adaptor at a time in a thread of low priority.

    Decisions never wait for it: an adaptor that is needed earlier is solved on the spot, bit for
    bit the same.
    """

    def __init__(self) -> None:
        self._fitting: HeadFit | None = None
        self._made: Adaptor | None = None
        self._thread: threading.Thread | None = None

    def delays(self, result: GrowthResult | None, known: Knowledge) -> bool:
        """Return whether a result has to wait until the head on top of its adaptor is solved."""
        if self._busy:
            return True
        record = result.record if result is not None else None
        if record is None or (self._fitting is not None and self._fitting.record is record):
            return False
        self._install(known)
        fit = known.head_for(record)
        if fit is not None:
            self._start(fit)
        return fit is not None

    def advance(self, known: Knowledge) -> None:
        """Install solved adaptors, and start solving one that new facts have made stale."""
        if self._busy:
            return
        self._install(known)
        stale = known.next_stale_head()
        if stale is not None:
            self._start(stale)

    def join(self) -> None:
        """Wait for the thread."""
        if self._thread is not None:
            self._thread.join()

    @property
    def _busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _start(self, fitting: HeadFit) -> None:
        self._fitting = fitting
        self._thread = threading.Thread(target=self._solve, args=(fitting,), name="refit")
        self._thread.start()

    def _install(self, known: Knowledge) -> None:
        if self._fitting is not None:
            known.accept_head(self._fitting, self._made)
            self._fitting = self._made = self._thread = None
            return_free_memory()

    def _solve(self, fitting: HeadFit) -> None:
        if sys.platform == "linux":
            with suppress(OSError):  # A sandbox may forbid both; then the thread competes more.
                os.nice(NICENESS)
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        try:
            self._made = fitting.solve()
        except Exception:
            # The next use solves it again, and raises the same error there.
            log.exception("refit_failed", domain=fitting.domain)
