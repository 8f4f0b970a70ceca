"""Derives this device's contribution in a background thread: with many facts it takes seconds."""

import threading
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

import encoder
import hdc

from ..core import EdgeError, FactBatch, Publication, Published
from ..core.knowledge import derive_knowledge
from ..storage import Store
from .contribution_message import compress

WAIT_S: Final = 30.0
"""Longest that an erasure waits for the thread to close the file; a page of facts takes
milliseconds, so this only bounds a failure."""


class BackgroundContribution:
    """The derivation of a contribution from one state of a knowledge file.

    path, card, geometry: of the home.  device: the contributor.  Once `done`, `result` holds the
    contribution with its plan, what was published before, and its compressed arrays; None if it
    was cancelled or failed (`problem`).
    """

    def __init__(self, path: Path, card: encoder.Card, geometry: hdc.Geometry, device: str) -> None:
        self.geometry = geometry
        self.result: tuple[Publication, Published, tuple[int, bytes]] | None = None
        self.problem = ""
        self._path, self._card, self._device = path, card, device
        self._cancelled = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="contribution", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """True once the thread has ended."""
        return not self._thread.is_alive()

    def cancel(self) -> None:
        """Cancel, and wait until the file is closed: while it is read, its write-ahead log cannot
        be truncated, and erased facts would stay there."""
        self._cancelled = True
        self._closed.wait(WAIT_S)

    def _run(self) -> None:
        try:
            found, before = self._derive()
            packed = compress(found.contribution)
            self.result = None if self._cancelled else (found, before, packed)
        except _CancelledError:
            return
        except EdgeError as error:
            self.problem = error.message
        finally:
            self._closed.set()

    def _derive(self) -> tuple[Publication, Published]:
        """Derive the contribution from the file as it is now, without those of other devices."""
        with _CancellableStore.open(self._path, self._card, writable=False) as store:
            store.keep_going = lambda: not self._cancelled
            known = derive_knowledge(store, self.geometry)
            before = store.publications.published()
            return known.contribute(self._device, self._card.fingerprint, 0, before), before


class _CancelledError(Exception):
    """The derivation was cancelled."""


class _CancellableStore(Store):
    """A store whose reads stop when `keep_going` returns False."""

    keep_going: Callable[[], bool] = staticmethod(lambda: True)

    def batches(
        self,
        domain: str | None = None,
        without: AbstractSet[str] = frozenset(),
        label: str | None = None,
    ) -> Iterator[FactBatch]:
        """See `facts.Ledger`."""
        for batch in super().batches(domain, without, label):
            if not self.keep_going():
                raise _CancelledError
            yield batch
