"""The serial-port source: readings of a microcontroller are measurements, its outputs can be set.

`PortDevice` is the host side of the link, without threads; `SerialPortSource` polls it.
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
from .measurement import InvalidMeasurement, Measurement, MeasurementMetadata, session_recording
from .polling import PollingPause, UnavailableError

COMMAND_IDS: Final = 1 << 32
"""Command ids are four bytes on the wire, and wrap."""

STREAM_ON: Final = 1
"""Action of the reference application that starts readings: docs/howto/firmware.md."""

OUTPUTS_MAX: Final = 64
"""Output values that wait while the device is unreachable; the oldest are dropped.  Chosen by
hand."""


def open_link(port: str, baud: int) -> tuple[bridge.Transport, bridge.Link]:
    """Open a port, and a link with a random session number; raises BridgeError."""
    return bridge.open_transport(port, baud), bridge.Link(secrets.randbelow((1 << 32) - 1) + 1)


class PortDevice:
    """The device at the other end of a link.  width: of the encoder's features, 0 for a series.

    gaps: count of lost readings.
    """

    def __init__(self, link: bridge.Link, width: int) -> None:
        self.link, self._width = link, width
        self.gaps = 0
        self._command = 0

    def start_readings(self) -> None:
        """Command the device to send readings."""
        self.link.send(bridge.Command(self._next_id(), STREAM_ON, b"\x01"))

    def set(self, channel: int, value: int) -> bool:
        """Set an output; False if the send queue of the link is full."""
        return self.link.send(bridge.Actuate(self._next_id(), channel, value))

    def payload(self, reading: bridge.Reading) -> object:
        """Return the payload of a reading: features if the device quantised them itself, else
        numbers for the encoder."""
        values = np.frombuffer(reading.values, np.dtype(reading.dtype).newbyteorder("<"))
        if reading.dtype == "uint8" and len(values) == self._width:
            return encoder.Features(values)
        return values.astype(np.float32 if self._width else np.float64)

    def captured_ns(self, reading: bridge.Reading) -> int:
        """Return the capture time on this machine's clock; now until the clocks are in sync."""
        local_ns = self.link.clock.local_ns(reading.captured_at_ns)
        now_ns = time.time_ns()
        return now_ns if local_ns is None else now_ns - (time.monotonic_ns() - local_ns)

    def _next_id(self) -> int:
        self._command = (self._command + 1) % COMMAND_IDS
        return self._command


class SerialPortSource:
    """Polls a device; `live`: the device does not wait.

    width: of the encoder's features, 0 for a series.
    """

    live = True
    problem = ""

    def __init__(self, stream: str, settings: PortStream, width: int) -> None:
        self._stream, self._settings, self._width = stream, settings, width
        self._session_ns = 0
        self._outputs: deque[tuple[int, int]] = deque(maxlen=OUTPUTS_MAX)

    def actuate(self, channel: int, value: int) -> None:
        """Set an output as soon as the link accepts it; from any thread."""
        self._outputs.append((channel, value))

    def read(self, pause: PollingPause) -> Iterator[Measurement | InvalidMeasurement]:
        """See `PollingReader`."""
        try:
            transport, link = open_link(self._settings.port, self._settings.baud)
        except bridge.BridgeError as error:
            raise UnavailableError(error.message) from error
        device, self._session_ns = PortDevice(link, self._width), time.time_ns()
        try:
            while not pause.stopped:
                self._set_outputs(device)
                for event in bridge.exchange(link, transport):
                    found = self._handle(device, event)
                    if found is not None:
                        yield found
        except bridge.BridgeError as error:
            raise UnavailableError(error.message) from error
        finally:
            transport.close()

    def delivered(self, measurement: Measurement) -> None:
        """See `PollingReader`."""

    def _handle(
        self, device: PortDevice, event: bridge.Event
    ) -> Measurement | InvalidMeasurement | None:
        if isinstance(event, bridge.LinkConnected):
            device.start_readings()
        elif isinstance(event, bridge.LinkGap) and event.stream == self._settings.number:
            return InvalidMeasurement(
                f"{event.count} readings were lost on the wire", "check the wire"
            )
        elif isinstance(event, bridge.Reading) and event.stream == self._settings.number:
            at_ns = max(0, device.captured_ns(event))
            metadata = MeasurementMetadata(
                subject=self._settings.subject,
                captured_at_ns=at_ns,
                recording=session_recording(self._stream, self._session_ns, at_ns),
            )
            return Measurement(self._stream, device.payload(event), metadata)
        return None

    def _set_outputs(self, device: PortDevice) -> None:
        while self._outputs:
            channel, value = self._outputs[0]
            if not device.set(channel, value):
                return
            self._outputs.popleft()
