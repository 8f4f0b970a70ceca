"""A home inside the daemon: opened again where it fails, while the others serve."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from ..config import Settings
from ..core import (
    EXPECTED_ERRORS,
    EdgeError,
    Event,
    Message,
    Observation,
    SetOutput,
    StateError,
    Tick,
)
from ..home import Home
from ..logs import log

RETRY_S: Final = (1.0, 60.0)
"""Seconds to the next try where a home cannot be opened: at first, and at most."""

TICK_S: Final = 60.0
SAVE_S: Final = 300.0
"""How often series are saved: what a crash costs them."""
FAILURES_MAX: Final = 3
"""Observations in a row that fail before the home is opened again."""

_PARTS: Final = (
    *("encoder", "knowledge", "detector", "growth", "candidates", "bundles", "fleet", "forecast"),
)


class HomeSlot:
    """Where a home is, or will be again.

    erased: called with the ids of observations whose erasure is durable.  outputs: by stream, the
    output of its device that is 1 in alarm.  actuate: called with outputs to set.  settings: in
    place of those in the folder; None: these are read each time that it is opened.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        erased: Callable[[tuple[str, ...]], None],
        outputs: Mapping[str, int],
        actuate: Callable[[SetOutput], None],
    ) -> None:
        self.name, self.folder = name, folder
        self.outputs, self._actuate = outputs, actuate
        self.home: Home | None = None
        self.trouble = "it was not opened yet"
        self.settings: Settings | None = None
        self._erased = erased
        self._retry_at, self._retry_s = 0.0, RETRY_S[0]
        self._failures = 0
        self._ticking = True
        self._ticked_at = 0.0
        self._saved_at = 0.0
        self._series_trouble = ""

    def open(self) -> bool:
        """Open the home where it is not open and it is time to try; True where it was opened."""
        if self.home is not None or time.monotonic() < self._retry_at:
            return False
        try:
            self.home = Home(
                self.folder, erased=self._erased, outputs=self.outputs, settings=self.settings
            )
            self.home.actuate = self._actuate
        except Exception as error:  # noqa: BLE001 - whatever is wrong there, the others serve
            self.fail(error)
            return False
        log.info("home_opened", home=self.name, folder=str(self.folder))
        if self.home.heads_only:
            log.info("no_growth", home=self.name, reason=self.home.heads_only)
        self.trouble, self._retry_s, self._failures = "", RETRY_S[0], 0
        self._saved_at = time.monotonic()
        self._tell_series(self.home)
        return True

    def feed(self, event: Event) -> tuple[Message, ...]:
        """Let the home handle an event; raises EdgeError where it cannot, and changed nothing."""
        home = self.home
        if home is None:
            raise StateError(
                f"the home {self.name or 'of the settings'} is not open: {self.trouble}",
                "it is tried again by itself; see `auricle check`",
            )
        try:
            told = home.feed(event)
        except EdgeError as error:
            self._stumble(event, error)
            raise
        except Exception as error:
            self.fail(error)
            raise StateError(f"handling an event: {error}", "it is opened again") from error
        self._failures = 0
        self.trouble = home.trouble
        self._ticking = self._ticking or not isinstance(event, Observation | Tick)
        return told

    @property
    def foresees(self) -> bool:
        """True where several observations at once cost less than one by one."""
        return self.home is not None and self.home.foresees

    def prefetch(self, events: Sequence[Observation]) -> None:
        """Do for observations that `feed` gets next what is cheaper done for all at once; whatever
        goes wrong with one of them is found in its turn."""
        if self.home is None:
            return
        try:
            self.home.prefetch(events)
        except Exception as error:  # noqa: BLE001 - each is decided by itself all the same
            log.warning("not_foreseen", home=self.name, reason=repr(error)[:200])

    def tend(self) -> tuple[Message, ...]:
        """Take in what a worker has grown, and let what waited be done; returns what is told."""
        home = self.home
        if home is None:
            return ()
        try:
            told = home.tend()
        except EdgeError as error:
            self._stumble(None, error)
            return ()
        now = time.monotonic()
        if told or self._ticking or now - self._ticked_at >= TICK_S:
            self._ticking, self._ticked_at = False, now
            try:
                told += self.feed(Tick())
            except EdgeError as error:
                log.warning("tick_failed", home=self.name, reason=error.message)
        if now - self._saved_at >= SAVE_S:
            self._save(home)
        return told

    def differs(self, settings: Settings) -> bool:
        """Say whether other settings would make it another home."""
        if self.home is None:
            return True
        now = self.home.settings
        return any(getattr(now, part) != getattr(settings, part) for part in _PARTS)

    def close(self) -> None:
        """Save the series of the home and close it, if it is open."""
        if self.home is not None:
            self._save(self.home)
        self._drop()

    def _save(self, home: Home) -> None:
        self._saved_at = time.monotonic()
        home.session.save(home.runtime.series)
        self._tell_series(home)

    def _tell_series(self, home: Home) -> None:
        """Log why series could not be restored or saved, once."""
        trouble, before = home.session.trouble, self._series_trouble
        self._series_trouble = trouble
        if trouble and trouble != before:
            log.warning("series_not_kept", home=self.name, reason=trouble)

    def _drop(self) -> None:
        """Close the home as it is: after a failure what it holds is not to be trusted."""
        home, self.home = self.home, None
        if home is None:
            return
        try:
            home.close()
        except Exception as error:  # noqa: BLE001 - it is going anyway
            log.warning("home_not_closed", home=self.name, reason=str(error))

    def retry(self) -> None:
        """Close, and open again at the next opportunity."""
        self.close()
        self._retry_at = 0.0

    def _stumble(self, event: Event | None, error: EdgeError) -> None:
        """The home has opened its runtime again; where observations go on failing, all of it."""
        self.trouble = error.message
        self._failures += isinstance(event, Observation) or event is None
        if self._failures >= FAILURES_MAX:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Close the home, for what it holds cannot be used; it is opened again after a while."""
        if isinstance(error, EXPECTED_ERRORS):
            self.trouble, say = error.message, log.error
        else:
            self.trouble, say = repr(error)[:200], log.exception
        say("home_failed", home=self.name, reason=self.trouble, again_in_s=self._retry_s)
        self._drop()
        self._retry_at = time.monotonic() + self._retry_s
        self._retry_s = min(2 * self._retry_s, RETRY_S[1])
