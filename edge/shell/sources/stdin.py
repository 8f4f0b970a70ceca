"""Standard input: one measurement a line."""

import math
import os
import select
import sys
from collections.abc import Iterator
from typing import Final

from .measurement import Flaw, Given, Measurement
from .payloads import decode, numbers
from .pulling import Pause
from .settings import HttpStream, StdinStream

LINE_BYTES_MAX: Final = 1 << 20
WAIT_S: Final = 0.2

MISSING: Final = frozenset({"", "null"})
"""Cells of a line that stand for a number that is missing."""

CELL_CHARS: Final = 40
"""Characters of a cell that an answer quotes: enough to find it, short enough to send."""


class Stdin:
    """Lines of JSON (a list, or an object as on a topic) or of numbers with commas between.

    `live` is False: the program that writes waits until there is room.  A line that is too long
    is skipped as a whole.
    """

    live = False
    trouble = ""

    def __init__(self, stream: str, settings: StdinStream, descriptor: int | None = None) -> None:
        self._stream, self._settings = stream, settings
        self._descriptor = sys.stdin.fileno() if descriptor is None else descriptor
        self._sent = HttpStream(kind=settings.kind, subject=settings.subject)

    def read(self, pause: Pause) -> Iterator[Measurement | Flaw]:
        """See `Reader`."""
        for line in self._lines(pause):
            if line is None:
                yield Flaw(f"a line is longer than {LINE_BYTES_MAX} bytes", "send shorter lines")
            elif line.strip():
                yield self._measure(line.strip())

    def taken(self, measurement: Measurement) -> None:
        """See `Reader`."""

    def _measure(self, line: bytes) -> Measurement | Flaw:
        given = Given(subject=self._settings.subject)
        if self._settings.form == "json":
            return decode(self._stream, self._sent, line, given)
        try:
            payload = numbers(_cells(line), self._settings.kind)
        except ValueError as error:
            return Flaw(f"it is not csv as expected: {error}", "send numbers with commas: 1.5,2.0")
        return Measurement(self._stream, payload, given)

    def _lines(self, pause: Pause) -> Iterator[bytes | None]:
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


def _cells(line: bytes) -> list[float]:
    """Return a line's numbers, NaN where one is missing; raises ValueError for another cell."""
    found = []
    for place, cell in enumerate(line.decode("utf-8", "replace").split(","), 1):
        text = cell.strip()
        try:
            found.append(float(text) if text not in MISSING else math.nan)
        except ValueError:
            raise ValueError(f"cell {place} is no number: {text[:CELL_CHARS]!r}") from None
    return found
