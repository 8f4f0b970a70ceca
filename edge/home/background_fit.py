"""Thresholds, router and adaptors fitted in a background thread: over thousands of facts they take
a second, and decisions do not wait for them."""

import threading
from pathlib import Path
from typing import Final

import encoder

from ..core import EdgeError, GrowthResult, Runtime
from ..core.knowledge import DigestRefit, HeadRefit, Refit
from ..logs import log
from ..storage import Store
from ..worker import lower_priority
from .process_memory import return_free_memory

WAIT_S: Final = 30.0
"""Longest that an erasure waits for the thread to close the file; reading a sample takes a tenth of
a second, so this only bounds a failure."""


class BackgroundFitter:
    """Fits one part of the knowledge at a time in a thread of low priority.

    path, card: of the knowledge file, which the thread reads through a connection of its own.
    Decisions never wait for it: they use the last fit, or, where that may not serve, one is
    computed on the spot, bit for bit the same.
    """

    def __init__(self, path: Path, card: encoder.Card) -> None:
        self._path, self._card = path, card
        self._fitting: _Fit | None = None
        self._thread: threading.Thread | None = None

    @property
    def active(self) -> bool:
        """True while a part is being fitted, or waits to be installed."""
        return self._fitting is not None

    def delays(self, result: GrowthResult | None, runtime: Runtime) -> bool:
        """Return whether a result has to wait until the head on top of its adaptor is solved."""
        if self._advance_fit(runtime):
            return True
        record = result.record if result is not None else None
        if record is None:
            return False
        refit = self._fitting.refit if self._fitting is not None else None
        if isinstance(refit, HeadRefit) and refit.record is record:
            return False
        self._install(runtime)
        head = runtime.knowledge.head_for(record)
        if head is not None:
            self._start(_Fit(head))
        return head is not None

    def advance(self, runtime: Runtime) -> None:
        """Install a fitted part, and start to fit one that new facts have outdated."""
        if self._advance_fit(runtime):
            return
        self._install(runtime)
        refit = runtime.next_refit()
        if refit is not None:
            self._start(_Fit(refit))

    @property
    def reading(self) -> bool:
        """True while the thread may read the file."""
        return self._fitting is not None and not self._fitting.closed.is_set()

    def stop_reading(self) -> None:
        """Wait until the thread has closed the file: while it is read, its write-ahead log cannot
        be truncated, and erased facts would stay there."""
        if self._fitting is not None:
            self._fitting.closed.wait(WAIT_S)

    def join(self) -> None:
        """Wait for the thread."""
        if self._thread is not None:
            self._thread.join()

    def _advance_fit(self, runtime: Runtime) -> bool:
        """Return whether the thread is still at work; start its second step once its facts are
        read."""
        if self._thread is not None and self._thread.is_alive():
            return True
        fit = self._fitting
        if fit is None or fit.solving or fit.failed:
            return False
        if not runtime.prepare(fit.refit):
            self._fitting = None
            return False
        fit.solving = True
        self._run(fit)
        return True

    def _start(self, fit: "_Fit") -> None:
        self._fitting = fit
        if isinstance(fit.refit, DigestRefit):
            # It needs no facts.
            fit.solving = True
            fit.closed.set()
        self._run(fit)

    def _run(self, fit: "_Fit") -> None:
        self._thread = threading.Thread(target=self._work, args=(fit,), name="refit")
        self._thread.start()

    def _install(self, runtime: Runtime) -> None:
        if self._fitting is not None:
            runtime.accept(self._fitting.refit, solved=not self._fitting.failed)
            self._fitting = self._thread = None
            return_free_memory()

    def _work(self, fit: "_Fit") -> None:
        lower_priority()
        try:
            if fit.solving:
                fit.refit.solve()
            else:
                with Store.open(self._path, self._card, writable=False) as reader:
                    fit.refit.gather(reader)
        except EdgeError as error:
            fit.failed = True
            log.warning("refit_failed", part=fit.refit.name, reason=error.message)
        except Exception:
            # The next use computes it again, and raises the same error there.
            fit.failed = True
            log.exception("refit_failed", part=fit.refit.name)
        finally:
            fit.closed.set()


class _Fit:
    """A part at work.  closed: set once the file is not read any more.  solving: its facts are
    read."""

    def __init__(self, refit: Refit) -> None:
        self.refit = refit
        self.closed = threading.Event()
        self.solving = self.failed = False
