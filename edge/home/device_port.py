"""A port attached to a home: readings become observations, drift alarms set an output."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import firmware_bridge as bridge

from ..core import Message, Observation, SetOutput
from ..sources import PortDevice
from .home import Home

NS_PER_MS: Final = 1_000_000
STREAMS_MAX: Final = 256
"""Streams that a device can have: their number is a byte."""


def attach_port(home: Home, link: bridge.Link, stream: str) -> "Attachment":
    """Return the attachment of a link to a home."""
    return Attachment(home, PortDevice(link, home.model.card.width), stream)


def device_name(stream: str, number: int) -> str:
    """Return the name at the home of a device's stream: the port's own for stream 0."""
    return f"{stream}-{number}" if number else stream


def alarm_outputs(stream: str, channel: int | None) -> dict[str, int]:
    """Return the output of every stream that a port may have, as `Home` takes them."""
    if channel is None:
        return {}
    return {device_name(stream, number): channel for number in range(STREAMS_MAX)}


def device_turns(
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
    gaps: readings that will not come, counted; alarms: outputs that were set.
    """

    home: Home
    device: PortDevice
    stream: str
    readings: int = 0
    gaps: int = 0
    alarms: int = 0
    _base: int = field(default_factory=lambda: time.time_ns() // NS_PER_MS)
    _last: int = 0

    def take(self, event: bridge.Event) -> tuple[Message, ...]:
        """Feed one event of the link; returns what the home has to say."""
        if isinstance(event, bridge.LinkConnected):
            # The device counts from 0 again; ids of observations never repeat.
            self._base = max(self._base, self._last + 1)
            self.device.greet()
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
        return self.home.feed(
            Observation(
                stream=device_name(self.stream, reading.stream),
                sequence=self._last,
                captured_at_ns=self.device.captured_ns(reading),
                payload=self.device.measure(reading),
            )
        )


def event_as_data(event: bridge.Event) -> dict[str, Any]:
    """An event of the link as plain values, with its kind; bytes in hexadecimal."""
    shown = {
        name: value.hex() if isinstance(value, bytes) else value
        for name, value in asdict(event).items()
    }
    return {"event": type(event).__name__, **shown}


def link_totals(link: bridge.Link, seen: Counter[str]) -> dict[str, object]:
    """How often each kind of event came, and the counters of this side of the link."""
    return {**dict(sorted(seen.items())), **asdict(link.counters)}
