"""A serial port attached to a home: readings become observations, drift alarms set an output."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import firmware_bridge as bridge

from ..core import Message, Observation, SetOutput
from ..sources import PortDevice, session_recording
from .home import Home

NS_PER_MS: Final = 1_000_000
"""Nanoseconds in a millisecond."""

STREAMS_MAX: Final = 256
"""Streams of a device: the link numbers them with one byte."""


def attach_port(home: Home, link: bridge.Link, stream: str) -> "Attachment":
    """Return the attachment of a link to a home."""
    device = PortDevice(link, home.model.card.width)
    return Attachment(home=home, device=device, stream=stream)


def device_name(stream: str, number: int) -> str:
    """Return the home's name of a device's stream: the port's own name for stream 0."""
    return f"{stream}-{number}" if number else stream


def alarm_outputs(stream: str, channel: int | None) -> dict[str, int]:
    """Return the output of every possible stream of a port, as the argument of `Home`."""
    if channel is None:
        return {}
    return {device_name(stream, number): channel for number in range(STREAMS_MAX)}


def device_turns(
    link: bridge.Link, transport: bridge.Transport, seconds: float | None
) -> Iterator[bridge.Event]:
    """Yield the events of a link for some seconds; None: for ever."""
    end = None if seconds is None else time.monotonic() + seconds
    while end is None or time.monotonic() < end:
        yield from bridge.exchange(link, transport)


@dataclass(slots=True, kw_only=True)
class Attachment:
    """Readings of one port, fed to a home.

    stream: the home's name of the port's stream 0; other streams append their number.  gaps: lost
    readings.  alarms: outputs that were set.
    """

    home: Home
    device: PortDevice
    stream: str
    readings: int = 0
    gaps: int = 0
    alarms: int = 0
    _session_ns: int = field(default_factory=time.time_ns)
    _base: int = field(default_factory=lambda: time.time_ns() // NS_PER_MS)
    _last: int = 0

    def handle(self, event: bridge.Event) -> tuple[Message, ...]:
        """Feed one event of the link; returns the home's messages."""
        if isinstance(event, bridge.LinkConnected):
            # The device counts from 0 again, but ids of observations must not repeat.
            self._base = max(self._base, self._last + 1)
            self.device.start_readings()
        elif isinstance(event, bridge.LinkGap):
            self.gaps += event.count
        elif isinstance(event, bridge.Reading):
            self.readings += 1
            return self._observe(event)
        return ()

    def actuate(self, effect: SetOutput) -> None:
        """Set an output of the device."""
        self.alarms += self.device.set(effect.channel, effect.value)

    def _observe(self, reading: bridge.Reading) -> tuple[Message, ...]:
        self._last = self._base + reading.sequence
        name = device_name(self.stream, reading.stream)
        at_ns = self.device.captured_ns(reading)
        return self.home.feed(
            Observation(
                stream=name,
                sequence=self._last,
                captured_at_ns=at_ns,
                recording=session_recording(name, self._session_ns, at_ns),
                payload=self.device.payload(reading),
            )
        )


def event_as_data(event: bridge.Event) -> dict[str, Any]:
    """Return an event of the link as plain data with its type; bytes in hexadecimal."""
    shown = {
        name: value.hex() if isinstance(value, bytes) else value
        for name, value in asdict(event).items()
    }
    return {"event": type(event).__name__, **shown}


def link_totals(link: bridge.Link, seen: Counter[str]) -> dict[str, object]:
    """Return the number of events by type, and the counters of this side of the link."""
    return {**dict(sorted(seen.items())), **asdict(link.counters)}
