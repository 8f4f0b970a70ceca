"""The standard-input source: one measurement a line."""

import os
import select
import sys
from collections.abc import Iterator
from typing import Final

from ..config import HttpStream, StdinStream
from .measurement import InvalidMeasurement, Measurement, MeasurementMetadata
from .payloads import decode_payload
from .polling import PollingPause
from .rows import CsvRows

LINE_BYTES_MAX: Final = 1 << 20
"""Longest line; a longer one is skipped.  Bounds memory; chosen by hand."""

READ_BYTES: Final = 1 << 16
"""Bytes per read: the capacity of a Linux pipe (pipe(7))."""

WAIT_S: Final = 0.2
"""Seconds between two checks whether the source stops.  Chosen by hand; effect not measured."""


class StdinSource:
    """Reads lines of JSON (a list, or an object as on a topic) or of CSV.

    `live` is False: the writing program waits until there is room.
    """

    live = False
    problem = ""

    def __init__(self, stream: str, settings: StdinStream, descriptor: int | None = None) -> None:
        self._stream, self._settings = stream, settings
        self._descriptor = sys.stdin.fileno() if descriptor is None else descriptor
        columns = settings.columns
        self._format = HttpStream(kind=settings.kind, subject=settings.subject, columns=columns)
        self._rows = CsvRows(stream, settings) if settings.format == "csv" else None

    def read(self, pause: PollingPause) -> Iterator[Measurement | InvalidMeasurement]:
        """See `PollingReader`."""
        for line in self._lines(pause):
            if line is None:
                yield InvalidMeasurement(
                    f"a line is longer than {LINE_BYTES_MAX} bytes", "send shorter lines"
                )
            elif line.strip():
                found = self._decode(line.strip())
                if found is not None:
                    yield found

    def delivered(self, measurement: Measurement) -> None:
        """See `PollingReader`."""

    def _decode(self, line: bytes) -> Measurement | InvalidMeasurement | None:
        metadata = MeasurementMetadata(subject=self._settings.subject)
        if self._rows is None:
            return decode_payload(self._stream, self._format, line, metadata)
        return self._rows.read(line.decode("utf-8-sig", "replace"), metadata)

    def _lines(self, pause: PollingPause) -> Iterator[bytes | None]:
        """Yield lines until the input ends, None for one that is too long."""
        rest, skipping = b"", False
        while not pause.stopped:
            if not select.select([self._descriptor], [], [], WAIT_S)[0]:
                continue
            block = os.read(self._descriptor, READ_BYTES)
            if not block:
                break
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                yield None if skipping else line
                skipping = False
            if len(rest) > LINE_BYTES_MAX:
                rest, skipping = b"", True
        if rest:
            yield rest
