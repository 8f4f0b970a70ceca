"""Adaptors solved beside serving: a kernel of thousands of facts takes a second, a head a tenth."""

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
"""More than that of the process, as a worker's: to Linux each thread has its own."""


class BackgroundFitter:
    """Solves one adaptor at a time in a thread of its own, which gives way to whoever decides.

    Nobody waits for it: what is asked for before it is done is solved on the spot, bit for bit the
    same.
    """

    def __init__(self) -> None:
        self._fitting: HeadFit | None = None
        self._made: Adaptor | None = None
        self._thread: threading.Thread | None = None

    def holds(self, coming: GrowthResult | None, known: Knowledge) -> bool:
        """Say whether a result, if any, has to wait: until what answers on top of it is solved."""
        if self._busy:
            return True
        record = coming.record if coming is not None else None
        if record is None or (self._fitting is not None and self._fitting.record is record):
            return False
        self._settle(known)
        fit = known.head_for(record)
        if fit is not None:
            self._start(fit)
        return fit is not None

    def turn(self, known: Knowledge) -> None:
        """Hand over what is solved, and go on with what facts have changed."""
        if self._busy:
            return
        self._settle(known)
        stale = known.next_stale_head()
        if stale is not None:
            self._start(stale)

    def join(self) -> None:
        """Wait for what is being solved."""
        if self._thread is not None:
            self._thread.join()

    @property
    def _busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _start(self, fitting: HeadFit) -> None:
        self._fitting = fitting
        self._thread = threading.Thread(target=self._solve, args=(fitting,), name="refit")
        self._thread.start()

    def _settle(self, known: Knowledge) -> None:
        if self._fitting is not None:
            known.accept_head(self._fitting, self._made)
            self._fitting = self._made = self._thread = None
            return_free_memory()

    def _solve(self, fitting: HeadFit) -> None:
        if sys.platform == "linux":
            with suppress(OSError):  # A sandbox may forbid both; then it gives way less.
                os.nice(NICENESS)
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        try:
            self._made = fitting.solve()
        except Exception:
            # Whoever asks for it next solves it again, and meets the same error in its own place.
            log.exception("refit_failed", domain=fitting.domain)
