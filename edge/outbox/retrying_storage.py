"""The disk behind an outbox, which may fail and come back."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from ..core import StateCorruptError, StateError, StateVersionError
from .entry import OutboxEntry
from .storage import OutboxStorage, OutboxWrite

RETRY_S: Final = (1.0, 30.0)
"""Seconds to the next try where the disk fails: at first, and at most."""

SET_ASIDE: Final = "it is damaged; stop the daemon and put the file aside"
S: Final = 10**9
T = TypeVar("T")


class RetryingStorage:
    """Writes and reads where it can; where it cannot, `failing` says why and nothing is raised.

    opened: called with the storage when it is first open.
    """

    def __init__(
        self, path: Path, clock_ns: Callable[[], int], opened: Callable[[OutboxStorage], None]
    ) -> None:
        self.path = path
        self.failing = ""
        self._clock_ns, self._opened = clock_ns, opened
        self._storage: OutboxStorage | None = None
        self._known = False
        self._retry_ns, self._retry_s = 0, RETRY_S[0]
        self._open()

    @property
    def resting(self) -> bool:
        """True where the disk fails and it is too early to try again."""
        return bool(self.failing) and self._clock_ns() < self._retry_ns

    def write(self, change: OutboxWrite, *, durable: bool) -> bool:
        """Write a change as a whole; False where the disk fails."""
        if self._storage is None and not self._open_again():
            return False
        return not isinstance(
            self._tried(lambda storage: storage.commit(change, durable=durable)), _FailedWrite
        )

    def find(self, question: Callable[[OutboxStorage], list[OutboxEntry]]) -> list[OutboxEntry]:
        """Ask the storage for entries; none where the disk fails."""
        if self._storage is None:
            return []
        found = self._tried(question)
        return [] if isinstance(found, _FailedWrite) else found

    def scrub(self) -> bool:
        """Overwrite what was deleted; False where the disk fails."""
        return self._storage is not None and not isinstance(
            self._tried(OutboxStorage.scrub), _FailedWrite
        )

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._storage is not None:
            self._storage.close()
            self._storage = None

    def _tried(self, action: Callable[[OutboxStorage], T]) -> "T | _FailedWrite":
        assert self._storage is not None
        try:
            found = action(self._storage)
        except StateError as error:
            self._fail(error)
            return _FailedWrite()
        self.failing, self._retry_s = "", RETRY_S[0]
        return found

    def _open_again(self) -> bool:
        """Open where an earlier try failed.  A file that is found damaged then is no end of what
        goes on in memory: the next start sets it aside."""
        try:
            return self._open()
        except StateError as error:
            self._fail(error)
            return False

    def _open(self) -> bool:
        try:
            self._storage = OutboxStorage(self.path)
            if not self._known:
                self._opened(self._storage)
                self._known = True
        except (StateVersionError, StateCorruptError):
            self.close()
            raise
        except (ValueError, TypeError, OverflowError) as error:
            self.close()
            raise StateCorruptError(
                f"opening the outbox {self.path}: {error}", SET_ASIDE
            ) from error
        except StateError as error:
            self._fail(error)
            return False
        self.failing = ""
        return True

    def _fail(self, error: StateError) -> None:
        """After a failed fsync nobody knows what the disk holds: the file is opened anew."""
        self.failing = error.message
        self._retry_ns = self._clock_ns() + int(self._retry_s * S)
        self._retry_s = min(2 * self._retry_s, RETRY_S[1])
        try:
            self.close()
        except sqlite3.Error:
            self._storage = None


class _FailedWrite:
    """What a failing disk answers."""
