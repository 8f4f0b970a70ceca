"""Overwrites the remains of erased facts between decisions: a thread writes the log into the file
and cleans its pages, then the serving thread cuts the log."""

import threading
import time
from typing import Final

from ..storage import LogInUseError, Store

PATIENCE_S: Final = 5.0
"""How long another process may read the file until its log is cut, as SQLite waits for a lock;
then the request fails and is tried again."""


class RemainsOverwriter:
    """Overwrites remains in a store's file, a step at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread: threading.Thread | None = None
        self._until = 0.0

    @property
    def busy(self) -> bool:
        """True while the thread is at work, so that a step would do nothing."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def active(self) -> bool:
        """True from the first step to the last."""
        return self._thread is not None

    def advance(self) -> bool:
        """Do a step without waiting; True once no remains are left.  Raises StateError."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._store.prepare_overwriting, name="overwriting"
            )
            self._thread.start()
            self._until = time.monotonic() + PATIENCE_S
            return False
        if self.busy:
            return False
        try:
            self._store.overwrite_remains(waits=False)
        except LogInUseError:
            if time.monotonic() < self._until:
                return False
            self._thread = None
            raise
        except BaseException:
            self._thread = None
            raise
        self._thread = None
        return True

    def join(self) -> None:
        """Wait for the thread."""
        if self._thread is not None:
            self._thread.join()
