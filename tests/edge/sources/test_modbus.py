"""The Modbus source against pymodbus's own server, over TCP and over a pair of pseudo-terminals."""

from __future__ import annotations

import os
import pty
import struct
import threading
import time
import tty
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.config.streams import ModbusRegister, ModbusStream
from edge.sources.factory import SourceContext, open_source, probe_controller
from edge.sources.modbus import blocks_of
from edge.sources.polling import UnavailableError
from tests.brokers import free_port
from tests.edge.sources.sinks import Kept, wait_for

pytest.importorskip("pymodbus", reason="the extra `industrial` is not installed")

from tests.plants import Plant

HERE = SourceContext(Path(), Path(), None)
EVERY_S, TIMEOUT_S = 0.05, 0.5
NUMBERS = {"int16": -2, "uint16": 65_534, "int32": -70_000, "uint32": 4_000_000_000}
FRACTIONS = {"float32": 1.5, "float64": -1e100}


@pytest.fixture(scope="module")
def server():
    """A Modbus server over TCP, for the tests that do not kill it."""
    plant = Plant("modbus", port=free_port())
    yield plant
    plant.kill()


@pytest.fixture
def device(server):
    """The server, healthy."""
    server.say(fail=[], code=2, delay_s=0.0, set={str(n): n for n in range(200)})
    return server


def settings(plant: Plant, *registers: ModbusRegister, **more: Any) -> ModbusStream:
    """Settings of a stream that reads a server."""
    return ModbusStream(
        address=f"127.0.0.1:{plant.options['port']}",
        registers=registers,
        every_s=EVERY_S,
        timeout_s=TIMEOUT_S,
        **more,
    )


def started(stream: ModbusStream, sink: Kept) -> Any:
    """A running source."""
    source = open_source("press", stream, HERE, sink)
    assert source is not None
    source.start()
    return source


def values(sink: Kept) -> list[list[float]]:
    """The values of every measurement."""
    return [one.payload.values.tolist() for one in sink.measurements]


@pytest.mark.parametrize("order", ["big", "little"])
@pytest.mark.parametrize("kind", [*NUMBERS, *FRACTIONS])
def test_every_type_is_read_in_both_orders_of_words(device, kind, order):
    """The device's words become the number that was written, scaled and shifted."""
    raw = (NUMBERS | FRACTIONS)[kind]
    letter = dict(zip([*NUMBERS, *FRACTIONS], "hHiIfd", strict=True))[kind]
    data = struct.pack(f">{letter}", raw)
    words = list(struct.unpack(f">{len(data) // 2}H", data))
    if order == "little":
        words.reverse()
    device.say(set={str(20 + place): word for place, word in enumerate(words)})
    register = ModbusRegister(
        name="a", address=20, type=kind, order=order, scale=0.5, offset=1.0, unit="bar"
    )
    (found,) = probe_controller(settings(device, register), Path())
    assert (found.value, found.unit, found.problem) == (raw * 0.5 + 1.0, "bar", "")


def test_tables_are_read_with_their_own_functions(device):
    """Coils and discrete inputs are 0 or 1, input and holding registers numbers."""
    device.say(set={"0": 0, "1": 0b10, "5": 77})  # The server keeps bit n in register n.
    found = probe_controller(
        settings(
            device,
            ModbusRegister(name="off", address=0, table="coil"),
            ModbusRegister(name="on", address=1, table="discrete"),
            ModbusRegister(name="in", address=5, table="input"),
            ModbusRegister(name="held", address=6),
        ),
        Path(),
    )
    assert {one.name: one.value for one in found} == {"off": 0, "on": 1, "in": 77, "held": 6}


def test_adjacent_registers_share_a_request_and_gaps_are_never_read():
    """A request holds at most 125 registers, and only those of the settings."""
    plain = [ModbusRegister(name=f"r{n}", address=n) for n in range(130)]
    far = ModbusRegister(name="far", address=200, type="float64")
    coil = ModbusRegister(name="coil", address=200, table="coil")
    blocks = blocks_of([far, coil, *reversed(plain)])
    assert [[one.name for one in block][:1] for block in blocks] == [
        ["coil"],
        ["r0"],
        ["r125"],
        ["far"],
    ]
    assert [len(block) for block in blocks] == [1, 125, 5, 1]


def test_a_stream_measures_at_its_interval(device):
    """A value that changes on the device arrives with the next measurement."""
    sink = Kept()
    source = started(settings(device, ModbusRegister(name="a", address=3, scale=0.1)), sink)
    wait_for(lambda: len(sink.measurements) > 2)
    device.say(set={"3": 55})
    wait_for(lambda: 5.5 in [row[0] for row in values(sink)])
    source.stop(5)
    times = [one.metadata.captured_at_ns or 0 for one in sink.measurements]
    assert values(sink)[0] == [pytest.approx(0.3)]
    assert times == sorted(set(times))
    assert min(np.diff(times)) > 0.5 * EVERY_S * 1e9
    assert sink.measurements[0].payload.names == ("a",)
    assert not sink.flaws


@pytest.mark.parametrize("code", [1, 2, 3, 4, 6, 8])
def test_an_exception_of_the_device_is_a_reason_and_no_zero(device, code):
    """A sample is rejected with the code in words; a series goes on without the value."""
    registers = (ModbusRegister(name="a", address=3), ModbusRegister(name="b", address=8))
    device.say(fail=[8], code=code)
    sample, series = Kept(), Kept()
    sources = [
        started(settings(device, *registers), sample),
        started(settings(device, *registers, kind="series"), series),
    ]
    wait_for(lambda: sample.flaws and series.measurements)
    assert f"exception {code}" in sample.flaws[0].reason
    assert "b" in sample.flaws[0].reason
    assert not sample.measurements
    np.testing.assert_array_equal(series.measurements[0].payload.values, [3.0, np.nan])
    assert "b: exception" in sources[1].problem
    device.say(fail=[])
    wait_for(lambda: sample.measurements and [3.0, 8.0] in values(series))
    wait_for(lambda: not sources[1].problem)
    for source in sources:
        source.stop(5)


def test_a_register_that_vanishes_does_not_hide_its_neighbours(device):
    """Three registers in one request: the middle one disappears, and the others are still read."""
    registers = [ModbusRegister(name=name, address=n) for n, name in enumerate("abc", 30)]
    sink = Kept()
    source = started(settings(device, *registers, kind="series"), sink)
    wait_for(lambda: sink.measurements)
    device.say(fail=[31])
    wait_for(lambda: any(np.isnan(row[1]) for row in values(sink)))
    np.testing.assert_array_equal(values(sink)[-1], [30, np.nan, 32])
    device.say(fail=[])
    wait_for(lambda: values(sink)[-1] == [30, 31, 32])
    source.stop(5)


def test_a_raw_value_that_means_no_value_is_missing(device):
    """The raw value that a device documents as "no value" never becomes a number."""
    device.say(set={"40": 0x8000})
    register = ModbusRegister(name="a", address=40, missing=-32_768)
    (found,) = probe_controller(settings(device, register), Path())
    assert np.isnan(found.value)
    assert "means no value" in found.problem


def test_a_gateway_without_its_device_counts_as_unreachable(device):
    """Codes 10 and 11 stop the stream until the device is back, as a lost connection does."""
    device.say(fail=[3], code=11)
    with pytest.raises(UnavailableError, match="behind the gateway"):
        probe_controller(settings(device, ModbusRegister(name="a", address=3)), Path())


def test_a_slow_device_delays_only_its_own_thread(device):
    """A device that answers too late is reported, and stopping does not wait for it."""
    device.say(delay_s=30.0)
    sink = Kept()
    source = started(settings(device, ModbusRegister(name="a", address=3)), sink)
    wait_for(lambda: "does not answer" in source.problem)
    begun = time.monotonic()
    source.stop(0.2)
    assert time.monotonic() - begun < 10.0
    assert not sink.measurements


def test_a_killed_server_is_reported_and_read_again_after_its_restart():
    """The stream names the failure, sends nothing meanwhile, and goes on by itself."""
    plant = Plant("modbus", port=free_port())
    sink = Kept()
    source = started(settings(plant, ModbusRegister(name="a", address=3)), sink)
    wait_for(lambda: sink.measurements)
    plant.kill()
    wait_for(lambda: source.problem)
    count = len(sink.measurements)
    plant.restart()
    wait_for(lambda: len(sink.measurements) > count + 2, 20)
    assert not source.problem
    assert {tuple(row) for row in values(sink)} == {(3.0,)}
    source.stop(5)
    plant.kill()


class Wire:
    """Two pseudo-terminals joined like the ends of a serial line."""

    def __init__(self) -> None:
        pairs = [pty.openpty() for _ in range(2)]
        for _, end in pairs:
            tty.setraw(end)
        self.ends = [os.ttyname(end) for _, end in pairs]
        self._masters = [master for master, _ in pairs]
        self._kept = [end for _, end in pairs]
        for source, target in (self._masters, self._masters[::-1]):
            threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: int, target: int) -> None:
        with suppress(OSError):
            while data := os.read(source, 4096):
                os.write(target, data)


def test_a_device_on_a_serial_line_is_read_with_modbus_rtu():
    """Frames with their checksums go over the line; a second program gets no access to it."""
    wire = Wire()
    plant = Plant("modbus", serial=wire.ends[0], baud=115_200)
    stream = ModbusStream(
        address=wire.ends[1],
        registers=(ModbusRegister(name="a", address=3), ModbusRegister(name="b", address=4)),
        every_s=EVERY_S,
        timeout_s=TIMEOUT_S,
        baud=115_200,
        parity="none",  # A pseudo-terminal has no parity.
    )
    sink = Kept()
    source = started(stream, sink)
    wait_for(lambda: len(sink.measurements) > 2)
    with pytest.raises(UnavailableError, match="another program has it open"):
        probe_controller(stream, Path())
    plant.kill()
    wait_for(lambda: "does not answer" in source.problem)
    plant.restart()
    count = len(sink.measurements)
    wait_for(lambda: len(sink.measurements) > count, 20)
    source.stop(5)
    plant.kill()
    assert {tuple(row) for row in values(sink)} == {(3.0, 4.0)}


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("/dev/ttyNone", "no such port"),
        ("127.0.0.1:1", "refused"),
        ("127.0.0.1:70000", "HOST:PORT"),
    ],
)
def test_an_address_that_leads_nowhere_is_reported(address, reason):
    """The reason names the cause, not only the failure."""
    stream = ModbusStream(address=address, registers=(ModbusRegister(name="a", address=0),))
    with pytest.raises(UnavailableError, match=reason):
        probe_controller(stream, Path())
