"""The link by itself: sessions, windows, faults, time. Over bad wires: test_loopback.py."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge import (
    Ack,
    Command,
    Event,
    FaultKind,
    Link,
    LinkConnected,
    LinkFault,
    LinkGap,
    LinkSettings,
    LinkSilent,
    LinkUndelivered,
    Log,
    Loopback,
    MessageError,
)
from firmware_bridge.codec import encode_record
from firmware_bridge.frames import Frame, FrameKind, encode_frame, session_key
from firmware_bridge.records import Hello
from tests.bridges import DEVICE, SECOND_NS, pair, reading, readings


def connect(loopback: Loopback, *links: Link) -> None:
    """Let both sides meet."""
    assert loopback.run(lambda: all(link.connected for link in links), 3 * SECOND_NS)


def test_two_links_meet() -> None:
    """Both sides report one connection, with the shorter of both frames."""
    host, device, loopback = pair(1)
    connect(loopback, host, device)
    assert loopback.received[0] == [LinkConnected(22, 1, 288, restarted=False)]
    assert loopback.received[1] == [LinkConnected(11, 1, 288, restarted=False)]


def test_messages_go_both_ways() -> None:
    """A message sent on one side is an event on the other, once and in order."""
    host, device, loopback = pair(1)
    commands = [Command(number, 7, b"x" * number) for number in range(20)]
    logs = [Log("info", number, "ok") for number in range(20)]
    for command, log in zip(commands, logs, strict=True):
        assert host.send(command)
        assert device.send(log)
    assert loopback.run(lambda: host.idle and device.idle, 5 * SECOND_NS)
    assert [event for event in loopback.received[1] if isinstance(event, Command)] == commands
    assert [event for event in loopback.received[0] if isinstance(event, Log)] == logs


def test_a_large_message_is_cut_and_put_together() -> None:
    """A message of many frames arrives whole, between its neighbours."""
    large = replace(DEVICE, queue_bytes_max=1 << 20)
    host, device, loopback = pair(1, device=large)
    sent = [reading(0), reading(1, 100_000), reading(2)]
    assert all(map(device.send, sent))
    assert loopback.run(lambda: device.idle, 60 * SECOND_NS)
    assert readings(loopback.received[0]) == sent
    assert host.counters.frames_received > 300


def test_a_message_too_long_for_the_peer_is_refused() -> None:
    """Sending more than the peer puts together is an error of the caller."""
    host, device, loopback = pair(1)
    connect(loopback, host, device)
    with pytest.raises(MessageError, match="the peer accepts"):
        host.send(Command(1, 1, bytes(600)))


def test_a_message_too_long_for_the_queue_names_it() -> None:
    """If our own queue is too small, the hint names it."""
    link = Link(1, LinkSettings(queue_bytes_max=100))
    with pytest.raises(MessageError, match="the queue holds") as caught:
        link.send(Command(1, 1, bytes(100)))
    assert "100" in caught.value.hint
    assert link.send(Command(1, 1, bytes(93)))


def wire_of_a_talk() -> tuple[bytes, list[Event]]:
    """All bytes that a device wrote to a host, and the host's events."""
    host, device, loopback = pair(3)
    written = bytearray()
    received = host.receive

    def receive(data: bytes, now_ns: int) -> tuple[Event, ...]:
        written.extend(data)
        return received(data, now_ns)

    host.receive = receive  # type: ignore[method-assign]
    for number in range(12):
        assert device.send(reading(number, 30 * number if number < 11 else 1))
    device.send(Log("error", 5, "hot"))
    assert loopback.run(lambda: device.idle, 5 * SECOND_NS)
    return bytes(written), loopback.received[0]


def heard_in_pieces(data: bytes, sizes: list[int]) -> list[Event]:
    """The events of a host for bytes in pieces of some sizes, the last one repeated."""
    host = Link(11)
    events: list[Event] = []
    while data:
        size = sizes.pop(0) if len(sizes) > 1 else sizes[0]
        events += host.receive(data[:size], 0)
        data = data[size:]
    return events


@given(st.lists(st.integers(1, 700), min_size=1, max_size=40), st.integers(0, 1 << 30))
def test_events_do_not_depend_on_the_pieces(sizes: list[int], seed: int) -> None:
    """Whole, byte by byte or in any pieces, the same bytes mean the same events, damaged or not."""
    data, _ = wire_of_a_talk()
    chosen = random.Random(seed)
    spoiled = bytearray(data)
    for _ in range(chosen.randrange(6)):
        spoiled[chosen.randrange(len(spoiled))] ^= chosen.randrange(1, 256)
    whole = heard_in_pieces(bytes(spoiled), [len(spoiled)])
    assert heard_in_pieces(bytes(spoiled), sizes) == whole
    assert heard_in_pieces(bytes(spoiled), [1]) == whole


def test_a_recorded_talk_is_heard_again() -> None:
    """The recorded bytes of a talk give the readings of the talk to a host of the same session."""
    data, heard = wire_of_a_talk()
    assert readings(heard_in_pieces(data, [100])) == readings(heard)
    assert len(readings(heard)) == 12


@given(st.lists(st.binary(max_size=120), max_size=30))
def test_random_bytes_are_faults(blocks: list[bytes]) -> None:
    """Arbitrary bytes give faults and nothing else, and no frame is answered but with a hello."""
    link = Link(5)
    events = [event for n, block in enumerate(blocks) for event in link.receive(block, n)]
    assert all(isinstance(event, LinkFault) for event in events)
    assert not link.connected
    assert link.counters.frames_damaged == len(events)


BODIES = st.lists(st.tuples(st.sampled_from(FrameKind), st.binary(max_size=60)), max_size=30)


@given(BODIES, st.integers(0, 1 << 30))
def test_a_mad_peer_does_no_harm(bodies: list[tuple[FrameKind, bytes]], seed: int) -> None:
    """Frames of the session with right checksums and arbitrary contents raise nothing, and the
    next start of the peer is heard.
    """
    chosen = random.Random(seed)
    link = Link(5)
    link.receive(hello(9, 5), 0)
    key = session_key(9, 5)
    for now_ns, (kind, payload) in enumerate(bodies):
        frame = Frame(
            kind=kind,
            version=1,
            sequence=chosen.choice((0, 1, 2, 70, 65535)),
            acknowledged=chosen.choice((0, 1, 2, 40000)),
            credit=chosen.randrange(64),
            first=chosen.random() < 0.7,
            last=chosen.random() < 0.7,
            payload=payload,
        )
        link.send(reading(now_ns))
        link.receive(encode_frame(frame, key), now_ns)
        link.next_bytes(now_ns)
    assert LinkConnected(10, 1, 1024, restarted=True) in link.receive(hello(10, 5), 100)


def hello(session: int, peer: int, versions: tuple[int, int] = (1, 1), frame: int = 2000) -> bytes:
    """The bytes of a hello."""
    payload = encode_record(
        Hello(
            version_min=versions[0],
            version_max=versions[1],
            session=session,
            peer_session=peer,
            frame_bytes_max=frame,
            message_bytes_max=1 << 20,
            extension=b"of a later version",
        )
    )
    return encode_frame(Frame(kind=FrameKind.HELLO, version=0, credit=8, payload=payload), 0)


def test_versions_are_negotiated() -> None:
    """The newest version that both speak is used; with none in common nothing is connected."""
    link = Link(5)
    assert link.receive(hello(9, 5, (0, 7)), 0) == (LinkConnected(9, 1, 1024, restarted=False),)
    for versions in ((2, 3), (0, 0), (3, 2)):
        assert Link(5).receive(hello(9, 5, versions), 0) == (LinkFault(FaultKind.VERSION),)


@pytest.mark.parametrize(
    "data",
    [hello(5, 0), hello(0, 5), hello(9, 5, frame=63)],
    ids=["own", "zero", "small"],
)
def test_an_impossible_hello_is_a_fault(data: bytes) -> None:
    """One's own hello sent back, a session 0 and frames too small to work are refused."""
    assert Link(5).receive(data, 0) == (LinkFault(FaultKind.SESSION),)


def test_a_late_hello_of_an_ended_session_is_ignored() -> None:
    """A session that was replaced does not come back with a hello that was on its way."""
    link = Link(5)
    link.receive(hello(9, 5), 0)
    link.receive(hello(10, 5), 1)
    assert link.receive(hello(9, 5), 2) == (LinkFault(FaultKind.SESSION),)
    assert link.connected


def test_a_restarted_device_is_no_duplicate() -> None:
    """After a restart of the device its readings, which count from 0 again, are all delivered, and
    the host says that it restarted.
    """
    _, device, loopback = pair(1)
    assert all(device.send(reading(n)) for n in range(5))
    assert loopback.run(lambda: device.idle, SECOND_NS)
    again = Link(23, DEVICE)
    loopback.ends[1] = again
    assert all(again.send(reading(n)) for n in range(5))
    assert loopback.run(lambda: again.idle, 5 * SECOND_NS)
    assert [one.sequence for one in readings(loopback.received[0])] == [*range(5), *range(5)]
    assert LinkConnected(23, 1, 288, restarted=True) in loopback.received[0]
    assert not any(isinstance(event, LinkGap) for event in loopback.received[0])


def test_a_restarted_host_gets_unacknowledged_readings() -> None:
    """Readings that a host had not acknowledged when it ended reach the next one."""
    host, device, loopback = pair(1, byte_ns=100_000)
    connect(loopback, host, device)
    sent = [reading(n, 200) for n in range(8)]
    assert all(map(device.send, sent))
    assert loopback.run(lambda: len(readings(loopback.received[0])) >= 3, SECOND_NS)
    loopback.ends[0] = Link(12)
    before = len(readings(loopback.received[0]))
    assert loopback.run(lambda: device.idle, 9 * SECOND_NS)
    numbers = [one.sequence for one in readings(loopback.received[0])]
    assert set(numbers) == set(range(8))
    assert numbers[before:] == list(range(numbers[before], 8))


def test_a_command_is_not_given_to_the_next_session() -> None:
    """A command that may have been executed is dropped at a restart, and the drop is reported."""
    host, device, loopback = pair(1)
    connect(loopback, host, device)
    assert host.send(Command(1, 1, b"restart"))
    assert host.send(reading(1))
    host.next_bytes(loopback.now_ns)
    again = Link(23, DEVICE)
    loopback.ends[1] = again
    assert loopback.run(lambda: host.idle and again.connected, 5 * SECOND_NS)
    assert LinkUndelivered(1) in loopback.received[0]
    assert not any(isinstance(event, Command) for event in loopback.received[1])


def test_a_command_that_was_not_begun_is_kept() -> None:
    """A command that was waiting for a device is carried out by it after it started."""
    host, device, loopback = pair(1)
    assert host.send(Command(1, 1, b"go"))
    assert loopback.run(lambda: host.idle, 5 * SECOND_NS)
    assert Command(1, 1, b"go") in loopback.received[1]
    assert device.send(Ack(1, "done", ""))


def test_a_full_queue_is_reported() -> None:
    """Without room a message is refused and counted, and the host reports the gap."""
    _, device, loopback = pair(1)
    taken = [device.send(reading(number, 100)) for number in range(40)]
    assert not all(taken)
    assert loopback.run(lambda: device.idle, 5 * SECOND_NS)
    assert device.send(reading(40))
    assert loopback.run(lambda: device.idle, 5 * SECOND_NS)
    count = taken.count(False)
    assert LinkGap(1, 40 - count, count) in loopback.received[0]
    assert device.counters.messages_dropped == count


def test_one_missing_reading_is_a_gap() -> None:
    """A single missing reading is reported, in its own stream only."""
    _, device, loopback = pair(1)
    for number, stream in ((0, 1), (0, 2), (2, 1), (1, 2), (4, 2)):
        assert device.send(reading(number, stream=stream))
    assert loopback.run(lambda: device.idle, SECOND_NS)
    gaps = [event for event in loopback.received[0] if isinstance(event, LinkGap)]
    assert gaps == [LinkGap(1, 1, 1), LinkGap(2, 2, 2)]


def test_a_paused_link_holds_the_peer_back() -> None:
    """While a side is paused nothing is delivered and the peer stops; then all of it comes."""
    large = replace(DEVICE, queue_bytes_max=1 << 16)
    host, device, loopback = pair(1, device=large)
    connect(loopback, host, device)
    host.pause()
    sent = [reading(number) for number in range(100)]
    assert all(map(device.send, sent))
    assert not loopback.run(lambda: device.idle, 10 * SECOND_NS)
    assert readings(loopback.received[0]) == []
    assert device.counters.frames_sent < 100
    loopback.received[0].extend(host.resume(loopback.now_ns))
    assert loopback.run(lambda: device.idle, 10 * SECOND_NS)
    assert readings(loopback.received[0]) == sent


def test_silence_is_reported_once() -> None:
    """A peer that is silent for five seconds is reported once; the connection stays open."""
    link = Link(5)
    link.receive(hello(9, 5), 0)
    assert link.receive(b"", 4_999_999_999) == ()
    assert link.receive(b"", 5_000_000_000) == (LinkSilent(0),)
    assert link.receive(b"", 9_000_000_000) == ()
    assert link.connected


def test_a_quiet_link_stays_awake() -> None:
    """Two sides with nothing to say keep hearing from each other at small cost."""
    host, device, loopback = pair(1)
    connect(loopback, host, device)
    loopback.run(lambda: False, 60 * SECOND_NS)
    assert not any(isinstance(event, LinkSilent) for heard in loopback.received for event in heard)
    assert host.counters.frames_sent < 100


@dataclass
class Skewed:
    """A link whose clock is ahead."""

    link: Link
    by_ns: int

    def receive(self, data: bytes, now_ns: int) -> tuple[Event, ...]:
        """As Link.receive."""
        return self.link.receive(data, now_ns + self.by_ns)

    def next_bytes(self, now_ns: int) -> bytes:
        """As Link.next_bytes."""
        return self.link.next_bytes(now_ns + self.by_ns)

    def wake_at_ns(self, now_ns: int) -> int:
        """As Link.wake_at_ns."""
        return self.link.wake_at_ns(now_ns + self.by_ns) - self.by_ns


def test_the_clock_of_the_device_is_known() -> None:
    """Over an even line the device's clock is known to within half of the round trip."""
    host, device, loopback = pair(1)
    skew_ns = 123_456_789_000
    loopback.ends[1] = Skewed(device, skew_ns)
    loopback.run(lambda: host.clock.offset_ns is not None, 3 * SECOND_NS)
    offset_ns, error_ns = host.clock.offset_ns, host.clock.error_ns
    assert offset_ns is not None
    assert error_ns is not None
    assert abs(offset_ns - skew_ns) <= error_ns < 2_000_000
    assert host.clock.local_ns(skew_ns) == skew_ns - offset_ns


@pytest.mark.parametrize("session", [0, -1, 1 << 32])
def test_an_impossible_session_is_refused(session: int) -> None:
    """A link needs a session that fits its field and is not 0."""
    with pytest.raises(MessageError, match="expected a session from 1"):
        Link(session)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("frame_bytes_max", value) for value in (63, 65536)),
        *(("window", value) for value in (0, 33)),
        *(("message_bytes_max", value) for value in (0, 1 << 32)),
        *(("queue_bytes_max", value) for value in (0, 1 << 32)),
    ],
)
def test_impossible_settings_are_refused(name: str, value: int) -> None:
    """Settings outside their ranges are refused with the range."""
    wrong: dict[str, Any] = {name: value}
    with pytest.raises(MessageError, match=f"expected {name} from .* found {value}"):
        LinkSettings(**wrong)


def test_numbers_wrap() -> None:
    """Frames go on after number 65,535, and readings after 4,294,967,295."""
    host, device, loopback = pair(1, host=LinkSettings(), device=replace(DEVICE, window=32))
    connect(loopback, host, device)
    # Both sides have come so far in a day of work.
    device._sender._next = host._receiver.expected = 65_500  # noqa: SLF001
    device._sender._limit = 65_532  # noqa: SLF001
    first = 0xFFFFFFF0
    assert device.send(replace(reading(0), sequence=first - 1))
    numbers = [(first + number) & 0xFFFFFFFF for number in range(100)]
    waiting = list(numbers)

    def done() -> bool:
        while waiting and device.send(replace(reading(0), sequence=waiting[0])):
            waiting.pop(0)
        return not waiting and device.idle

    assert loopback.run(done, 60 * SECOND_NS)
    heard = readings(loopback.received[0])
    assert [one.sequence for one in heard] == [first - 1, *numbers]
    assert sum(isinstance(event, LinkGap) for event in loopback.received[0]) <= 1
