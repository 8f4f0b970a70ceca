"""Standard input: one measurement a line."""

import os
import select
import sys
from collections.abc import Iterator
from typing import Final

from ..config import HttpStream, StdinStream
from .measurement import InvalidMeasurement, Measurement, RawPayload
from .payloads import decode_payload
from .polling import PollingPause
from .rows import CsvRows

LINE_BYTES_MAX: Final = 1 << 20
WAIT_S: Final = 0.2


class StdinSource:
    """Lines of JSON (a list, or an object as on a topic) or of CSV, with a header or without.

    `live` is False: the program that writes waits until there is room.  A line that is too long
    is skipped as a whole.
    """

    live = False
    problem = ""

    def __init__(self, stream: str, settings: StdinStream, descriptor: int | None = None) -> None:
        self._stream, self._settings = stream, settings
        self._descriptor = sys.stdin.fileno() if descriptor is None else descriptor
        columns = settings.columns
        self._sent = HttpStream(kind=settings.kind, subject=settings.subject, columns=columns)
        self._rows = CsvRows(stream, settings) if settings.form == "csv" else None

    def read(self, pause: PollingPause) -> Iterator[Measurement | InvalidMeasurement]:
        """See `Reader`."""
        for line in self._lines(pause):
            if line is None:
                yield InvalidMeasurement(
                    f"a line is longer than {LINE_BYTES_MAX} bytes", "send shorter lines"
                )
            elif line.strip():
                found = self._measure(line.strip())
                if found is not None:
                    yield found

    def taken(self, measurement: Measurement) -> None:
        """See `Reader`."""

    def _measure(self, line: bytes) -> Measurement | InvalidMeasurement | None:
        given = RawPayload(subject=self._settings.subject)
        if self._rows is None:
            return decode_payload(self._stream, self._sent, line, given)
        return self._rows.read(line.decode("utf-8-sig", "replace"), given)

    def _lines(self, pause: PollingPause) -> Iterator[bytes | None]:
        """Yield lines, None for one that is too long, until the input ends."""
        kept, skipping = b"", False
        while not pause.over:
            if not select.select([self._descriptor], [], [], WAIT_S)[0]:
                continue
            block = os.read(self._descriptor, 1 << 16)
            if not block:
                break
            *lines, kept = (kept + block).split(b"\n")
            for line in lines:
                yield None if skipping else line
                skipping = False
            if len(kept) > LINE_BYTES_MAX:
                kept, skipping = b"", True
        if kept:
            yield kept
