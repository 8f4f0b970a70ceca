"""A home inside the daemon: after a failure it is opened again, while the others serve."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from ..config import PortStream, Settings, StreamSettings
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
from ..home import Home, prepare_first_geometry
from ..logs import log

RETRY_S: Final = (1.0, 60.0)
"""Seconds to the next attempt to open a home: first and longest.  Chosen by hand; effect not
measured."""

TICK_S: Final = 60.0
"""Seconds between ticks of an idle home; a tick starts growth that is due.  Chosen by hand; effect
not measured."""

SAVE_S: Final = 300.0
"""How often series are saved, in seconds: the most that a crash loses of them."""

FAILURES_MAX: Final = 3
"""Consecutive failed observations after which the home is opened again.  Chosen by hand; effect
not measured."""

FIT_AGAIN_S: Final = 60.0
"""Time until the first geometry is fitted again after a disk error.  Chosen by hand; effect not
measured."""

HOME_SECTIONS: Final = (
    *("encoder", "knowledge", "detector", "growth", "adaptation", "candidates", "bundles"),
    *("fleet", "forecast"),
)
"""Sections of the settings that an opened home depends on."""


class HomeSlot:
    """The place of one home, open or not.

    erased: called with the ids of observations whose erasure is durable.  outputs: by stream, the
    output of its device that is 1 during an alarm.  actuate: called with outputs to set.
    settings: in place of those in the folder; None: the folder's are read at each opening.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        erased: Callable[[tuple[str, ...]], None],
        outputs: Mapping[str, int],
        actuate: Callable[[SetOutput], None],
    ) -> None:
        self.name, self.folder = name, folder
        self.outputs, self._actuate = outputs, actuate
        self.home: Home | None = None
        self.problem = "it was not opened yet"
        self.settings: Settings | None = None
        self._erased = erased
        self._retry_at, self._retry_s = 0.0, RETRY_S[0]
        self._failures = 0
        self._tick_due = True
        self._ticked_at = 0.0
        self._saved_at = 0.0
        self._series_problem = ""
        self.forget_again_at = self._fit_again_at = 0.0

    @property
    def erasing(self) -> bool:
        """True while facts are being erased, so that no command may change any."""
        return self.home is not None and self.home.runtime.erasing

    def open(self) -> bool:
        """Open the home if it is closed and an attempt is due; True if it was opened."""
        if self.home is not None or time.monotonic() < self._retry_at:
            return False
        try:
            self.home = Home(
                self.folder,
                erased=self._erased,
                outputs=self.outputs,
                settings=self.settings,
                deferring=True,
            )
            self.home.actuate = self._actuate
        except Exception as error:  # noqa: BLE001 - the other homes serve, whatever is wrong here
            self.fail(error)
            return False
        log.info("home_opened", home=self.name, folder=str(self.folder))
        if self.home.heads_only:
            log.info("no_growth", home=self.name, reason=self.home.heads_only)
        self.problem, self._retry_s, self._failures = "", RETRY_S[0], 0
        self._saved_at = time.monotonic()
        self._log_series(self.home)
        return True

    def feed(self, event: Event) -> tuple[Message, ...]:
        """Let the home handle an event; raises EdgeError if it cannot, with nothing changed."""
        home = self.home
        if home is None:
            raise StateError(
                f"the home {self.name or 'of the settings'} is not open: {self.problem}",
                "the daemon keeps trying; see `auricle check`",
            )
        try:
            messages = home.feed(event)
        except EdgeError as error:
            self._count_failure(event, error)
            raise
        except Exception as error:
            self.fail(error)
            raise StateError(f"handling an event: {error}", "it is opened again") from error
        self._failures = 0
        self.problem = home.problem
        self._tick_due = self._tick_due or not isinstance(event, Observation | Tick)
        return messages

    def prefetch(self, events: Sequence[Observation]) -> None:
        """Compute as one batch for observations that `feed` gets next, where that is cheaper; an
        error with one of them is reported by `feed`."""
        if self.home is None:
            return
        try:
            self.home.prefetch(events)
        except Exception as error:  # noqa: BLE001 - `feed` computes missing results
            log.warning("not_prefetched", home=self.name, reason=repr(error)[:200])

    def refit(self) -> bool:
        """Advance the fits that run in the background; True while there is one."""
        return self.home is not None and self.home.refit()

    @property
    def geometry_prepared(self) -> bool:
        """True once the home's first geometry, fitted in the background, can serve: feed
        `FitGeometry`."""
        home = self.home
        if home is None or time.monotonic() < self._fit_again_at:
            return False
        try:
            return prepare_first_geometry(home)
        except EdgeError as error:
            self.delay_geometry(error)
            return False

    def delay_geometry(self, error: EdgeError) -> None:
        """Wait before the first geometry is fitted again, after an error."""
        self._fit_again_at = time.monotonic() + FIT_AGAIN_S
        log.warning("not_fitted", home=self.name, reason=error.message, hint=error.hint)

    def guess(self) -> bool:
        """Compute guesses for the gallery for a short time; True while there are more."""
        return self.home is not None and self.home.guess()

    @property
    def replaying(self) -> bool:
        """True while samples of series are processed again after a forget request."""
        return self.home is not None and bool(self.home.runtime.series.replaying)

    def replay_series(self) -> tuple[Message, ...]:
        """Process samples of series again for a short time; returns the messages."""
        home = self.home
        return () if home is None else home.replay.advance(home.runtime.series)

    def maintain(self) -> tuple[Message, ...]:
        """Install the worker's result, tick and save when due; returns the messages."""
        home = self.home
        if home is None:
            return ()
        try:
            messages = home.poll_growth()
        except EdgeError as error:
            self._count_failure(None, error)
            return ()
        now = time.monotonic()
        if messages or self._tick_due or now - self._ticked_at >= TICK_S:
            self._tick_due, self._ticked_at = False, now
            try:
                messages += self.feed(Tick())
            except EdgeError as error:
                log.warning("tick_failed", home=self.name, reason=error.message)
        if now - self._saved_at >= SAVE_S:
            self._save(home)
        return messages

    def differs(self, settings: Settings) -> bool:
        """Return whether the home has to be opened again to follow other settings."""
        if self.home is None:
            return True
        now = self.home.settings
        return any(getattr(now, part) != getattr(settings, part) for part in HOME_SECTIONS)

    def close(self) -> None:
        """Save the series of the home, stamp it for `auricle verify` and close it, if it is
        open."""
        if self.home is not None:
            self._save(self.home)
            self._stamp(self.home)
        self._drop()

    def _stamp(self, home: Home) -> None:
        if home.runtime.erasing:
            return
        try:
            home.stamp()
        except EdgeError as error:
            log.warning("not_stamped", home=self.name, reason=error.message, hint=error.hint)

    def _save(self, home: Home) -> None:
        self._saved_at = time.monotonic()
        home.session.save(home.runtime.series)
        home.save_derived()
        self._log_series(home)

    def _log_series(self, home: Home) -> None:
        """Log once why series could not be restored or saved."""
        problem, before = home.session.problem, self._series_problem
        self._series_problem = problem
        if problem and problem != before:
            log.warning("series_not_kept", home=self.name, reason=problem)

    def _drop(self) -> None:
        """Close the home without saving: after a failure its memory is not trusted."""
        home, self.home = self.home, None
        if home is None:
            return
        try:
            home.close()
        except Exception as error:  # noqa: BLE001 - the home is dropped anyway
            log.warning("home_not_closed", home=self.name, reason=str(error))

    def retry(self) -> None:
        """Close, and open at the next `open`."""
        self.close()
        self._retry_at = 0.0

    def _count_failure(self, event: Event | None, error: EdgeError) -> None:
        """The home has reopened its runtime; after repeated failures reopen all of it."""
        self.problem = error.message
        self._failures += isinstance(event, Observation) or event is None
        if self._failures >= FAILURES_MAX:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Close a home that cannot be used; `open` tries again after a growing pause."""
        if isinstance(error, EXPECTED_ERRORS):
            self.problem, write = error.message, log.error
        else:
            self.problem, write = repr(error)[:200], log.exception
        write("home_failed", home=self.name, reason=self.problem, again_in_s=self._retry_s)
        self._drop()
        self._retry_at = time.monotonic() + self._retry_s
        self._retry_s = min(2 * self._retry_s, RETRY_S[1])


def alarm_outputs(streams: Mapping[str, StreamSettings], home: str) -> dict[str, int]:
    """Return the device output, by stream, that a home sets during an alarm."""
    return {
        name: stream.alarm_channel
        for name, stream in streams.items()
        if isinstance(stream, PortStream)
        and stream.home == home
        and stream.alarm_channel is not None
    }
