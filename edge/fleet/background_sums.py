"""Own sums of many facts take seconds: made in a thread of their own, while serving goes on."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import encoder
import hdc

from ..core import Contribution, EdgeError, Fact
from ..core.knowledge import derive_knowledge
from ..storage import Store
from .contribution_message import compress

WAIT_S: Final = 30.0
"""Longest that an erasure waits for the file to be let go: a batch of facts takes milliseconds."""


class BackgroundSums:
    """The sums of one state of a knowledge file, in the making.

    path, card, geometry: of the home.  device: whose sums they are.  `made` holds them with their
    arrays compressed once `done`; None where they were abandoned or could not be made (`trouble`).
    """

    def __init__(self, path: Path, card: encoder.Card, geometry: hdc.Geometry, device: str) -> None:
        self.geometry = geometry
        self.made: tuple[Contribution, tuple[int, bytes]] | None = None
        self.problem = ""
        self._path, self._card, self._device = path, card, device
        self._abandoned = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sums", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """True once it has ended."""
        return not self._thread.is_alive()

    def abandon(self) -> None:
        """Let go of the file, and wait until that is so: while it is read, its log cannot be cut,
        and what is to be erased would stay there."""
        self._abandoned = True
        self._closed.wait(WAIT_S)

    def _run(self) -> None:
        try:
            made = self._sum()
            self.made = None if self._abandoned else (made, compress(made))
        except _AbandonedError:
            return
        except EdgeError as error:
            self.problem = error.message
        finally:
            self._closed.set()

    def _sum(self) -> Contribution:
        """Derive the sums of the file as it is now; what others contributed takes no part."""
        with _AbortableStore.open(self._path, self._card, writable=False) as store:
            store.going = lambda: not self._abandoned
            known = derive_knowledge(store, self.geometry)
            return known.contribute(self._device, self._card.fingerprint, 0)


class _AbandonedError(Exception):
    """Nobody wants the sums any more."""


class _AbortableStore(Store):
    """A store opened for reading that ends where it is not to go on."""

    going: Callable[[], bool] = staticmethod(lambda: True)

    def pages(self, domain: str | None = None) -> Iterator[list[Fact]]:
        """See `Reader`."""
        for page in super().pages(domain):
            if not self.going():
                raise _AbandonedError
            yield page
