"""A microcontroller at a port: its readings are measurements, its outputs can be set.

`Device` is one side of the link without threads; `Port` reads it as a source.
"""

import secrets
import time
from collections import deque
from collections.abc import Iterator
from typing import Final

import numpy as np

import encoder
import firmware_bridge as bridge

from ..config import PortStream
from .measurement import InvalidMeasurement, Measurement, RawPayload
from .polling import PollingPause, UnavailableError

COMMAND_IDS: Final = 1 << 32
STREAM_ON: Final = 1
"""The reference application's action that starts readings; docs/howto/firmware.md."""

SETTINGS_MAX: Final = 64
"""Outputs that wait to be set while the device is away; the oldest go first."""


def open_link(place: str, baud: int) -> tuple[bridge.Transport, bridge.Link]:
    """Open a port, and a link with a session of its own; raises BridgeError."""
    return bridge.open_transport(place, baud), bridge.Link(secrets.randbelow((1 << 32) - 1) + 1)


class PortDevice:
    """What a link brings, as measurements.  width: of the encoder's features, 0 for a series.

    gaps: readings that will not come, counted.
    """

    def __init__(self, link: bridge.Link, width: int) -> None:
        self.link, self._width = link, width
        self.gaps = 0
        self._command = 0

    def greet(self) -> None:
        """Ask for readings."""
        self.link.send(bridge.Command(self._next_id(), STREAM_ON, b"\x01"))

    def set(self, channel: int, value: int) -> bool:
        """Set an output; False where the link cannot take more now."""
        return self.link.send(bridge.Actuate(self._next_id(), channel, value))

    def measure(self, reading: bridge.Reading) -> object:
        """Return the payload of a reading: features where the device has quantised them itself,
        else numbers for the encoder."""
        values = np.frombuffer(reading.values, np.dtype(reading.dtype).newbyteorder("<"))
        if reading.dtype == "uint8" and len(values) == self._width:
            return encoder.Features(values)
        return values.astype(np.float32 if self._width else np.float64)

    def captured_ns(self, reading: bridge.Reading) -> int:
        """Say when it was measured, on this machine's clock; now before the clocks are compared."""
        local_ns = self.link.clock.local_ns(reading.captured_at_ns)
        now_ns = time.time_ns()
        return now_ns if local_ns is None else now_ns - (time.monotonic_ns() - local_ns)

    def _next_id(self) -> int:
        self._command = (self._command + 1) % COMMAND_IDS
        return self._command


class SerialPortSource:
    """A source that reads a device; `live`: the device does not wait.

    width: of the encoder's features, 0 for a series.
    """

    live = True
    trouble = ""

    def __init__(self, stream: str, settings: PortStream, width: int) -> None:
        self._stream, self._settings, self._width = stream, settings, width
        self._to_set: deque[tuple[int, int]] = deque(maxlen=SETTINGS_MAX)

    def actuate(self, channel: int, value: int) -> None:
        """Have an output set as soon as the link takes it; from any thread."""
        self._to_set.append((channel, value))

    def read(self, pause: PollingPause) -> Iterator[Measurement | InvalidMeasurement]:
        """See `Reader`."""
        try:
            transport, link = open_link(self._settings.port, self._settings.baud)
        except bridge.BridgeError as error:
            raise UnavailableError(error.message) from error
        device = PortDevice(link, self._width)
        try:
            while not pause.over:
                self._set_outputs(device)
                for event in bridge.exchange(link, transport):
                    found = self._take(device, event)
                    if found is not None:
                        yield found
        except bridge.BridgeError as error:
            raise UnavailableError(error.message) from error
        finally:
            transport.close()

    def taken(self, measurement: Measurement) -> None:
        """See `Reader`."""

    def _take(
        self, device: PortDevice, event: bridge.Event
    ) -> Measurement | InvalidMeasurement | None:
        if isinstance(event, bridge.LinkConnected):
            device.greet()
        elif isinstance(event, bridge.LinkGap) and event.stream == self._settings.number:
            return InvalidMeasurement(
                f"{event.count} readings were lost on the wire", "check the wire"
            )
        elif isinstance(event, bridge.Reading) and event.stream == self._settings.number:
            given = RawPayload(
                subject=self._settings.subject, captured_at_ns=max(0, device.captured_ns(event))
            )
            return Measurement(self._stream, device.measure(event), given)
        return None

    def _set_outputs(self, device: PortDevice) -> None:
        while self._to_set:
            channel, value = self._to_set[0]
            if not device.set(channel, value):
                return
            self._to_set.popleft()
