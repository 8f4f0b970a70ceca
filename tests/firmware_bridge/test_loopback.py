"""Links over bad wires: every reading is delivered once, or its gap is reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.bridge.link import arrived
from benchmarks.bridge.native import NativeLink
from firmware_bridge import Command, Link, Loopback, Wire, WireFaults
from firmware_bridge.loopback import Endpoint
from tests.bridges import DEVICE, SECOND_NS, gone, pair, reading, readings, wired

ONE_PERCENT = WireFaults(0.01, 0.01, 0.01, 0.01)
TENTH = WireFaults(0.1, 0.1, 0.1, 0.1)
BYTES = WireFaults(0.0025, 0.0025, 0.0025, 0.0025, bytewise=True)
WIRES = pytest.mark.parametrize(
    "faults", [WireFaults(), ONE_PERCENT, TENTH, BYTES], ids=["clean", "percent", "tenth", "bytes"]
)


def stream(
    loopback: Loopback, device: Link | NativeLink, count: int, *, patient: bool, size: int = 16
) -> bool:
    """Send readings, waiting for room or dropping what finds none."""
    sent = 0

    def done() -> bool:
        nonlocal sent
        while sent < count:
            if not device.send(reading(sent, size)) and patient:
                return False
            sent += 1
            if not patient and sent % 3 == 0:
                return False
        return device.idle

    return loopback.run(done, 600 * SECOND_NS)


def require_all(loopback: Loopback, count: int) -> None:
    """Each reading up to `count` was heard once, in order and unharmed, or lies in a gap."""
    heard = readings(loopback.received[0])
    numbers = [one.sequence for one in heard]
    assert numbers == sorted(set(numbers))
    assert all(one == reading(one.sequence, len(one.values)) for one in heard)
    missing = set(range(count)) - set(numbers)
    lasting = {number for number in missing if number < numbers[-1]}
    assert lasting == set(gone(loopback.received[0]))


@WIRES
def test_every_reading_arrives_once(faults: WireFaults) -> None:
    """Over a wire that damages, loses, doubles and reorders, a patient device loses nothing."""
    _, device, loopback = pair(7, faults)
    assert stream(loopback, device, 500, patient=True)
    require_all(loopback, 500)
    assert len(readings(loopback.received[0])) == 500


@WIRES
def test_dropped_readings_are_reported(faults: WireFaults) -> None:
    """Readings that found no room in the device are reported as gaps, and no others."""
    _, device, loopback = pair(8, faults, byte_ns=200_000)
    stream(loopback, device, 500, patient=False)
    assert device.send(reading(500))
    assert loopback.run(lambda: device.idle, 600 * SECOND_NS)
    require_all(loopback, 501)
    assert 0 < len(readings(loopback.received[0])) < 500


def test_long_readings_pass_a_bad_wire(native: NativeLink) -> None:
    """Where one byte in a hundred is spoiled long messages go in short frames, from either
    language; whole ones would arrive once in twenty times."""
    bad = WireFaults(0.0025, 0.0025, 0.0025, 0.0025, bytewise=True)
    assert arrived(Link(22, DEVICE), bad, 256, 20) > 0.15
    assert arrived(native, bad, 256, 20) > 0.05


@given(st.integers(0, 1 << 30), st.floats(0, 0.2), st.booleans())
def test_any_wire_delivers_once(seed: int, share: float, bytewise: bool) -> None:
    """Whatever the seed and the share of faults, readings and commands arrive once and in order."""
    share = share / 20 if bytewise else share
    faults = WireFaults(share, share, share, share, bytewise=bytewise)
    host, device, loopback = pair(seed, faults)
    commands = [Command(number, number, b"") for number in range(10)]
    assert all(map(host.send, commands))
    assert stream(loopback, device, 30, patient=True)
    assert loopback.run(lambda: host.idle, 600 * SECOND_NS)
    require_all(loopback, 30)
    assert [event for event in loopback.received[1] if isinstance(event, Command)] == commands


@WIRES
@pytest.mark.parametrize("native_is", ["device", "host"])
def test_python_and_c_talk(
    faults: WireFaults, native_is: str, native: NativeLink, request: pytest.FixtureRequest
) -> None:
    """The C link on either side delivers every reading once to or from the Python link."""
    other = Link(11, replace(DEVICE, sync_clock=True))
    ends: tuple[Endpoint, Endpoint] = (other, native) if native_is == "device" else (native, other)
    loopback = wired(ends, 9, faults)
    device = native if native_is == "device" else other
    assert stream(loopback, device, 300, patient=True, size=100)
    require_all(loopback, 300)
    assert len(readings(loopback.received[0])) == 300


@WIRES
def test_c_and_c_talk(faults: WireFaults, native: NativeLink, make_native: MakeNative) -> None:
    """Two C links deliver every reading once."""
    loopback = wired((make_native(11), native), 10, faults)
    assert stream(loopback, native, 300, patient=True, size=100)
    require_all(loopback, 300)
    assert len(readings(loopback.received[0])) == 300


MakeNative = Callable[[int], NativeLink]


def test_a_wire_takes_its_time() -> None:
    """Bytes arrive after the time they take, in order, and a fault-free wire changes none."""
    wire = Wire(1, byte_ns=10, delay_ns=5)
    wire.write(b"abc", 0)
    wire.write(b"de", 0)
    assert (wire.read(34), wire.read(35), wire.read(54), wire.read(55)) == (b"", b"abc", b"", b"de")
    assert wire.bytes_written == 5


def test_faults_follow_the_seed() -> None:
    """The same seed gives the same faults, another seed others."""
    outcomes = []
    for seed in (1, 1, 2):
        wire = Wire(seed, TENTH)
        for number in range(300):
            wire.write(bytes((number & 255,)) * 20, number)
        outcomes.append(wire.read(1000))
    assert outcomes[0] == outcomes[1] != outcomes[2]


def test_each_fault_happens() -> None:
    """A wire with one fault alone shows that fault."""
    blocks = [bytes((number,)) * 4 for number in range(100)]

    def through(faults: WireFaults) -> list[bytes]:
        wire = Wire(3, faults)
        for now_ns, block in enumerate(blocks):
            wire.write(block, now_ns)
        data = wire.read(1000)
        return [data[at : at + 4] for at in range(0, len(data), 4)]

    assert through(WireFaults()) == blocks
    assert 0 < len(through(WireFaults(lost=0.1))) < 100 < len(through(WireFaults(doubled=0.1)))
    swapped = through(WireFaults(reordered=0.1))
    assert swapped != blocks
    assert sorted(swapped) == blocks
    changed = [
        one
        for one, block in zip(through(WireFaults(damaged=0.1)), blocks, strict=True)
        if one != block
    ]
    assert all(sum(map(one.count, set(one))) == 4 for one in changed)
    assert 0 < len(changed) < 40
