from __future__ import annotations

import socket
import threading
import time
from typing import Any

import numpy as np
import pytest

import encoder
from edge.config.streams import PortStream
from edge.sources.factory import SourceContext, open_source
from edge.sources.measurement import InvalidMeasurement, Measurement
from edge.sources.polling import PollingSource
from edge.sources.serial_port import PortDevice, SerialPortSource
from encoder.testing import tiny_card
from firmware_bridge import Actuate, Command, Link, LinkGap, Reading, WireError, exchange
from firmware_bridge.transports import SocketTransport
from tests.edge.sources.sinks import Kept, wait_for


class Board(threading.Thread):
    """A device at the other end of a socket: sends readings after the command to stream."""

    def __init__(self, path, readings) -> None:
        super().__init__(daemon=True)
        self.heard: list[object] = []
        self.over = threading.Event()
        self._readings = readings
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()

    def run(self) -> None:
        """Serve one connection."""
        connection, _ = self._server.accept()
        transport, link = SocketTransport(connection, "board"), Link(9)
        waiting = list(self._readings)
        try:
            while not self.over.is_set():
                self.heard += exchange(link, transport, 10_000_000)
                if any(isinstance(one, Command) for one in self.heard) and waiting:
                    link.send(waiting.pop(0))
        except WireError:
            self.over.set()
        finally:
            transport.close()
            self._server.close()


@pytest.fixture
def attach(tmp_path):
    """Attach a port to a board that sends some readings."""
    opened = []

    def start(sink, readings, card, **settings: Any):
        board = Board(tmp_path / "board.sock", readings)
        board.start()
        stream = PortStream(port=f"unix:{tmp_path / 'board.sock'}", **settings)
        source = open_source("press", stream, SourceContext(tmp_path, tmp_path, card), sink)
        assert isinstance(source, PollingSource)
        source.start()
        opened.append((source, board))
        return source, board

    yield start
    for source, board in opened:
        source.stop(5)
        board.over.set()
        board.join(5)


def reading(number: int, values: object, stream: int = 0) -> Reading:
    """A reading of a device's stream."""
    array = np.asarray(values)
    return Reading(stream, array.dtype.name, number, time.monotonic_ns(), array.tobytes())


def test_readings_of_one_stream_are_measurements(tmp_path, attach):
    """Quantised readings are features, numbers go to the encoder, other streams are ignored."""
    card = tiny_card(tmp_path, kind="vector")
    levels, numbers = np.arange(card.width, dtype=np.uint8), np.arange(12, dtype=np.int16)
    sink = Kept()
    sent = [reading(0, levels, 2), reading(0, numbers, 1), reading(1, numbers, 2)]
    attach(sink, sent, card, number=2)
    wait_for(lambda: len(sink.measurements) == 2)
    first, second = sink.measurements
    assert first.payload == encoder.Features(levels)
    assert second.payload.dtype == np.float32
    assert second.payload.tolist() == numbers.tolist()
    assert abs((second.metadata.captured_at_ns or 0) - time.time_ns()) < 60 * 10**9


def test_a_series_is_read_as_numbers(tmp_path, attach):
    """Without an encoder, bytes are numbers like others."""
    sink = Kept()
    attach(sink, [reading(0, np.arange(3, dtype=np.uint8))], None)
    wait_for(lambda: sink.measurements)
    assert sink.measurements[0].payload.tolist() == [0, 1, 2]


def test_outputs_are_set(tmp_path, attach):
    """An output reaches the device, also if it was set before the device connected."""
    source, board = attach(Kept(), [], None)
    source.reader.actuate(3, 1)
    wait_for(lambda: any(isinstance(one, Actuate) for one in board.heard))
    (result,) = [one for one in board.heard if isinstance(one, Actuate)]
    assert (result.channel, result.value) == (3, 1)


def test_lost_readings_are_reported(tmp_path):
    """A gap of the link is reported as an invalid measurement of the stream."""
    port = SerialPortSource("press", PortStream(port="unix:/nowhere"), 0)
    taken = port._handle(PortDevice(Link(1), 0), LinkGap(0, 3, 5))  # noqa: SLF001
    assert isinstance(taken, InvalidMeasurement)
    assert port._handle(PortDevice(Link(1), 0), LinkGap(1, 3, 5)) is None  # noqa: SLF001


def test_a_missing_port_is_reported_and_retried(tmp_path, attach):
    """The source reports the problem and retries."""
    stream = PortStream(port=f"unix:{tmp_path / 'nothing'}")
    source = open_source("press", stream, SourceContext(tmp_path, tmp_path, None), Kept())
    assert source is not None
    source.start()
    wait_for(lambda: source.problem)
    source.stop(5)
    assert "nothing" in source.problem


def test_a_disconnected_device_is_reported(tmp_path, attach):
    """When the connection is cut the source reports a problem and keeps running."""
    sink = Kept()
    source, board = attach(sink, [reading(0, np.zeros(2, np.float32))], None)
    wait_for(lambda: sink.measurements)
    board.over.set()
    wait_for(lambda: source.problem)
    assert not source.ended
    assert isinstance(sink.measurements[0], Measurement)
