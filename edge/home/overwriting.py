"""Overwrites the remains of erased facts between decisions: a thread writes the log into the file
and cleans its pages, then the serving thread cuts the log."""

import threading
import time
from typing import Final

from ..logs import log
from ..storage import LogInUseError, Store

PATIENCE_S: Final = 5.0
"""How long another process may read the file, so that its log cannot be cut, until that is logged:
as long as SQLite waits for a lock."""

AGAIN_S: Final = 0.1
"""Time until the cut is tried again: a try takes milliseconds.  Fits go on meanwhile."""


class RemainsOverwriter:
    """Overwrites remains in a store's file, a step at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread: threading.Thread | None = None
        self._since: float | None = None
        self._again_at = 0.0

    @property
    def busy(self) -> bool:
        """True while the thread is at work, or another reader was just met: a step would do
        nothing."""
        waits = time.monotonic() < self._again_at
        return waits or (self._thread is not None and self._thread.is_alive())

    @property
    def active(self) -> bool:
        """True from the first step to the last."""
        return self._thread is not None

    def advance(self) -> bool:
        """Do a step without waiting; True once no remains are left.  Raises StateError, but not for
        another reader of the file: it is tried again."""
        if self.busy:
            return False
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._store.prepare_overwriting, name="overwriting"
            )
            self._thread.start()
            return False
        self._thread = None
        try:
            self._store.overwrite_remains(waits=False)
        except LogInUseError as error:
            now = time.monotonic()
            self._since, self._again_at = self._since or now, now + AGAIN_S
            if now - self._since > PATIENCE_S:
                self._since = now
                log.warning("forget_waits", reason=error.message, hint=error.hint)
            return False
        self._since = None
        return True

    def join(self) -> None:
        """Wait for the thread."""
        if self._thread is not None:
            self._thread.join()
