"""Sources that fetch their measurements themselves, in a thread each that waits and hands over."""

import threading
import time
from collections.abc import Iterator
from typing import Final, Protocol

from ..logs import log
from .measurement import InvalidMeasurement, Measurement, Sink

RETRY_S_MIN: Final = 1.0
RETRY_S_MAX: Final = 60.0
ROOM_WAIT_S: Final = 0.05


class UnavailableError(Exception):
    """What a source reads from is not there now: a state that passes, told by `trouble`."""


class PollingReader(Protocol):
    """What a pulling source does.  `live`: measurements do not wait for room; the oldest go."""

    live: bool

    @property
    def problem(self) -> str:
        """What is wrong though it measures; empty where nothing."""

    def read(self, pause: "PollingPause") -> Iterator[Measurement | InvalidMeasurement]:
        """Yield measurements until there will be no more.  Raises UnavailableError or OSError
        where they cannot be had now; it is then called again after a while."""

    def taken(self, measurement: Measurement) -> None:
        """Called after a measurement was handed over."""


class PollingPause:
    """Waiting that ends at once when the source is stopped."""

    def __init__(self) -> None:
        self._stop = threading.Event()

    @property
    def over(self) -> bool:
        """True once the source is to end."""
        return self._stop.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait; True where the source is to end."""
        return self._stop.wait(seconds)

    def end(self) -> None:
        """End every wait."""
        self._stop.set()


class PollingSource:
    """Runs a reader in a thread, tries again with growing pauses where it fails."""

    def __init__(self, stream: str, reader: PollingReader, sink: Sink) -> None:
        self._stream, self._reader, self._sink = stream, reader, sink
        self._pause = PollingPause()
        self._thread = threading.Thread(target=self._run, name=f"source-{stream}", daemon=True)
        self._problem = ""
        self._ended = False

    @property
    def reader(self) -> PollingReader:
        """What it reads with."""
        return self._reader

    @property
    def problem(self) -> str:
        """What keeps it from measuring, or is wrong beside; empty where nothing."""
        return self._problem or self._reader.problem

    @property
    def ended(self) -> bool:
        """True where there will be no more measurements."""
        return self._ended

    def start(self) -> None:
        """Begin to measure."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End; a thread that hangs in a driver is left behind, it ends with the process."""
        self._pause.end()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        wait_s = RETRY_S_MIN
        while not self._pause.over:
            begun = time.monotonic()
            try:
                self._drain()
                self._ended = not self._pause.over
                return
            except (UnavailableError, OSError) as error:
                self._fail(str(error))
            except Exception as error:  # noqa: BLE001 - a driver's surprise must not end the stream
                self._fail(f"{type(error).__name__}: {error}")
            wait_s = RETRY_S_MIN if time.monotonic() - begun > RETRY_S_MAX else wait_s
            self._pause.wait(wait_s)
            wait_s = min(2 * wait_s, RETRY_S_MAX)

    def _drain(self) -> None:
        for found in self._reader.read(self._pause):
            self._problem = ""
            if isinstance(found, InvalidMeasurement):
                self._sink.reject(self._stream, found)
                continue
            while not self._reader.live and self._sink.room(self._stream) < 1:
                if self._pause.wait(ROOM_WAIT_S):
                    return
            if self._pause.over:
                return
            self._sink.offer(found)
            self._reader.taken(found)

    def _fail(self, why: str) -> None:
        if why != self._problem:
            log.warning("source_failed", stream=self._stream, reason=why)
        self._problem = why
