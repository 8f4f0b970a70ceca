"""Polling sources: each reads its input in its own thread and passes measurements to a sink."""

import threading
import time
from collections.abc import Iterator
from typing import Final, Protocol

from ..logs import log
from .measurement import InvalidMeasurement, Measurement, Sink

RETRY_S_MIN: Final = 1.0
"""Seconds before the first retry; doubled after each failure.  Chosen by hand; effect not
measured."""

RETRY_S_MAX: Final = 60.0
"""Longest pause between retries: a camera that returns is used within a minute.  Chosen by hand."""

ROOM_WAIT_S: Final = 0.05
"""Seconds between two checks for room in the sink.  Chosen by hand; effect not measured."""


class UnavailableError(Exception):
    """The input of a source is unavailable now; the source reports the problem and retries."""


class PollingReader(Protocol):
    """Reads one input.  `live`: the input does not wait; if the sink is full, the oldest
    measurements are dropped."""

    live: bool

    @property
    def problem(self) -> str:
        """A problem that does not stop the reader; empty if there is none."""

    def read(self, pause: "PollingPause") -> Iterator[Measurement | InvalidMeasurement]:
        """Yield measurements until the input ends.

        Raises UnavailableError or OSError if the input is unavailable now; it is then called again
        after a pause.
        """

    def delivered(self, measurement: Measurement) -> None:
        """Called after the sink received a measurement."""


class PollingPause:
    """A wait that ends at once when the source stops."""

    def __init__(self) -> None:
        self._stop = threading.Event()

    @property
    def stopped(self) -> bool:
        """True once the source stops."""
        return self._stop.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait; True if the source stops."""
        return self._stop.wait(seconds)

    def stop(self) -> None:
        """End every wait."""
        self._stop.set()


class PollingSource:
    """Runs a reader in a thread, and retries with exponential backoff after failures."""

    def __init__(self, stream: str, reader: PollingReader, sink: Sink) -> None:
        self.reader = reader
        self.ended = False
        """True once the input has ended: no more measurements follow."""
        self._stream, self._sink = stream, sink
        self._pause = PollingPause()
        self._thread = threading.Thread(target=self._run, name=f"source-{stream}", daemon=True)
        self._problem = ""

    @property
    def problem(self) -> str:
        """Why it cannot measure, or a lesser problem of its reader; empty if there is none."""
        return self._problem or self.reader.problem

    def start(self) -> None:
        """Begin to measure."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Stop.  A thread that hangs in a driver is abandoned; it ends with the process."""
        self._pause.stop()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        wait_s = RETRY_S_MIN
        while not self._pause.stopped:
            started_s = time.monotonic()
            try:
                self._read_all()
                self.ended = not self._pause.stopped
                return
            except (UnavailableError, OSError) as error:
                self._fail(str(error))
            except Exception as error:  # noqa: BLE001 - a driver's error must not end the stream
                self._fail(f"{type(error).__name__}: {error}")
            wait_s = RETRY_S_MIN if time.monotonic() - started_s > RETRY_S_MAX else wait_s
            self._pause.wait(wait_s)
            wait_s = min(2 * wait_s, RETRY_S_MAX)

    def _read_all(self) -> None:
        for found in self.reader.read(self._pause):
            self._problem = ""
            if isinstance(found, InvalidMeasurement):
                self._sink.reject(self._stream, found)
                continue
            while not self.reader.live and self._sink.room(self._stream) < 1:
                if self._pause.wait(ROOM_WAIT_S):
                    return
            if self._pause.stopped:
                return
            self._sink.offer(found)
            self.reader.delivered(found)

    def _fail(self, reason: str) -> None:
        if reason != self._problem:
            log.warning("source_failed", stream=self._stream, reason=reason)
        self._problem = reason
