"""A port attached to a home: readings become observations, drift alarms set an output."""

import secrets
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

import encoder
import firmware_bridge as bridge

from ..core import DriftAlarm, Message, Observation
from .home import Home

COMMAND_IDS: Final = 1 << 32
STREAM_ON: Final = 1
"""The reference application's action that starts readings; docs/firmware.md."""

NS_PER_MS: Final = 1_000_000


def open_link(place: str, baud: int) -> tuple[bridge.Transport, bridge.Link]:
    """Open a port, and a link with a session of its own; raises BridgeError."""
    return bridge.open_transport(place, baud), bridge.Link(secrets.randbelow((1 << 32) - 1) + 1)


def turns(
    link: bridge.Link, transport: bridge.Transport, seconds: float | None
) -> Iterator[bridge.Event]:
    """Yield what the link reports, until the time is up; for ever where none is given."""
    end = None if seconds is None else time.monotonic() + seconds
    while end is None or time.monotonic() < end:
        yield from bridge.exchange(link, transport)


@dataclass(slots=True)
class Attachment:
    """Readings of one port, fed to a home.

    stream: name of the port's stream 0 at the home; others get their number behind it.
    alarm_channel: output that is 1 while the stream has left known ground, None for none.
    gaps: readings that will not come, counted; alarms: outputs that were set.
    """

    home: Home
    link: bridge.Link
    stream: str
    alarm_channel: int | None = None
    readings: int = 0
    gaps: int = 0
    alarms: int = 0
    _base: int = field(default_factory=lambda: time.time_ns() // NS_PER_MS)
    _last: int = 0
    _command: int = 0

    def take(self, event: bridge.Event) -> tuple[Message, ...]:
        """Feed one event of the link; returns what the home has to say."""
        if isinstance(event, bridge.Connected):
            # The device counts from 0 again; ids of observations never repeat.
            self._base = max(self._base, self._last + 1)
            self.link.send(bridge.Command(self._next_id(), STREAM_ON, b"\x01"))
        elif isinstance(event, bridge.Gap):
            self.gaps += event.count
        elif isinstance(event, bridge.Reading):
            self.readings += 1
            return self._observe(event)
        return ()

    def _observe(self, reading: bridge.Reading) -> tuple[Message, ...]:
        self._last = self._base + reading.sequence
        name = f"{self.stream}-{reading.stream}" if reading.stream else self.stream
        told = self.home.feed(
            Observation(name, self._last, self._captured_ns(reading), self._payload(reading))
        )
        for message in told:
            if isinstance(message, DriftAlarm) and self.alarm_channel is not None:
                self._set(self.alarm_channel, int(message.raised))
        return told

    def _payload(self, reading: bridge.Reading) -> object:
        """Features where the device has quantised them itself, else numbers for the encoder."""
        values = np.frombuffer(reading.values, np.dtype(reading.dtype).newbyteorder("<"))
        if reading.dtype == "uint8" and len(values) == self.home.model.card.width:
            return encoder.Features(values)
        return values.astype(np.float32)

    def _captured_ns(self, reading: bridge.Reading) -> int:
        """When it was measured, on this machine's clock; now before the clocks are compared."""
        local_ns = self.link.clock.local_ns(reading.captured_at_ns)
        now_ns = time.time_ns()
        return now_ns if local_ns is None else now_ns - (time.monotonic_ns() - local_ns)

    def _set(self, channel: int, value: int) -> None:
        self.alarms += self.link.send(bridge.Actuate(self._next_id(), channel, value))

    def _next_id(self) -> int:
        self._command = (self._command + 1) % COMMAND_IDS
        return self._command


def event_as_data(event: bridge.Event) -> dict[str, Any]:
    """An event of the link as plain values, with its kind; bytes in hexadecimal."""
    shown = {
        name: value.hex() if isinstance(value, bytes) else value
        for name, value in asdict(event).items()
    }
    return {"event": type(event).__name__, **shown}


def totals(link: bridge.Link, seen: Counter[str]) -> dict[str, object]:
    """How often each kind of event came, and the counters of this side of the link."""
    return {**dict(sorted(seen.items())), **asdict(link.counters)}
