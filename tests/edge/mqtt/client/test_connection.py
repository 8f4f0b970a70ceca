from __future__ import annotations

import gc
import random
import socket

import pytest

from edge.config.mqtt import MqttSettings
from edge.mqtt.client.connection import MqttConnection
from edge.mqtt.client.mqtt_client import InboundAcks, ReconnectBackoff
from edge.mqtt.client.transport import BACKLOG_BYTES_MAX, BrokerTransport, BufferedSocket
from edge.mqtt.packets import LOST, OutboundMessage

ACCEPTED = bytes([0x20, 3, 0, 0, 0])
"""A CONNACK that says yes and nothing else."""


def connected() -> tuple[MqttConnection, socket.socket]:
    """A connection and the broker's end of its socket."""
    near, far = socket.socketpair()
    will = OutboundMessage("status", b"gone", retain=True)
    return MqttConnection(
        MqttSettings(), "me", BrokerTransport(BufferedSocket(near), None), will, 1
    ), far


@pytest.mark.parametrize("seed", range(60))
def test_no_bytes_of_a_broker_raise(seed: int) -> None:
    """Any bytes from a broker end the connection or are handled; every message id gets an
    outcome."""
    chance = random.Random(seed)
    here, far = connected()
    with far:
        far.sendall(ACCEPTED if seed % 4 else b"")
        here.read()
        message_id = here.publish("t", b"x", 1, None, retain=False) if here.state != "closed" else 0
        kinds = (0x20, 0x30, 0x32, 0x34, 0x40, 0x50, 0x62, 0x70, 0x90, 0xB0, 0xD0, 0xE0, 0xF0)
        for _ in range(20):
            body = chance.randbytes(chance.randrange(12))
            far.sendall(bytes([chance.choice(kinds), len(body)]) + body)
            here.read()
            here.write()
            if here.state == "closed":
                break
        here.end("enough")
        answered = [one for one in here.results if one.message_id == message_id]
        assert not message_id or len(answered) == 1 or here.state == "closed"
        assert here.unacknowledged == {}


def test_unacknowledged_messages_are_lost() -> None:
    """When a connection ends, each unacknowledged message is reported as lost once."""
    here, far = connected()
    with far:
        far.sendall(ACCEPTED)
        here.read()
        ids = [here.publish("t", b"x", 1, None, retain=False) for _ in range(3)]
    here.read()
    assert here.state == "closed"
    assert [(one.message_id, one.reason) for one in here.results] == [(one, LOST) for one in ids]
    here.end("again")
    assert len(here.results) == 3


def test_messages_leave_nothing_to_the_garbage_collector() -> None:
    """Neither a received message nor an acknowledged one makes a reference cycle: collecting those
    of thousands takes milliseconds at a time, in which no decision is made."""
    here, far = connected()
    with far:
        far.sendall(ACCEPTED)
        here.read()
        gc.collect()
        for number in range(1, 21):
            far.sendall(bytes([0x32, 7, 0, 1]) + b"t" + bytes([0, number, 0]) + b"x")
            here.publish("t", b"x", 1, None, retain=False)
            here.write()
            far.sendall(bytes([0x40, 2, 0, number]))
        while len(here.messages) < 20 or len(here.results) < 20:
            here.read()
        for message in here.messages:
            here.acknowledge(message.mid)
        here.write()
        assert [bytes(one.payload) for one in here.messages] == [b"x"] * 20
        here.messages.clear()
        assert gc.collect() == 0
        here.end("enough")


def test_a_buffered_socket_keeps_the_order_of_bytes() -> None:
    """Bytes sent in chunks of any size are read unchanged in chunks of other sizes."""
    near, far = socket.socketpair()
    data = random.Random(1).randbytes(100_000)
    got = b""
    with far:
        link = BufferedSocket(near)
        for at in range(0, len(data), 7_001):
            far.sendall(data[at : at + 7_001])
            while len(got) < min(at + 7_001, len(data)):
                got += link.recv(999)
        with pytest.raises(BlockingIOError):
            link.recv(1)
    assert got == data
    assert link.recv(1) == b""
    link.close()


def test_a_buffered_socket_limits_its_backlog() -> None:
    """Nothing is lost while the peer does not read, and the backlog is bounded."""
    near, far = socket.socketpair()
    link = BufferedSocket(near)
    with far, pytest.raises(BlockingIOError):
        fill(link)
    assert link.backlog <= BACKLOG_BYTES_MAX + 50_000
    link.flush()
    assert link.broken
    with pytest.raises(OSError, match=r"pipe|reset"):
        link.recv(1)
    link.close()


def fill(link: BufferedSocket) -> None:
    """Send until the socket accepts no more."""
    for _ in range(100):
        link.send(b"x" * 50_000)


def test_messages_are_acknowledged_in_order_of_arrival() -> None:
    """An early acknowledgement waits for earlier messages; a ticket of another connection has no
    effect."""
    from paho.mqtt.client import MQTTMessage

    arrivals = InboundAcks(3)
    tickets = []
    for packet_id in (5, 6, 7):
        message = MQTTMessage(packet_id, b"t")
        message.qos = 1
        tickets.append(arrivals.receive(message).ticket)
    assert arrivals.acknowledge(tickets[1]) == []
    assert arrivals.acknowledge(tickets[0]) == [5, 6]
    assert arrivals.acknowledge(tickets[0]) == []
    assert InboundAcks(4).acknowledge(tickets[2]) == []
    assert arrivals.acknowledge(tickets[2]) == [7]
    assert len(arrivals) == 0


def test_backoff_doubles_with_jitter_and_resets() -> None:
    """Waits lie between half and all of a step that doubles; a stable connection resets it."""
    waits = ReconnectBackoff(1.0, 8.0, random.Random(0).random)
    for step in (1, 2, 4, 8, 8):
        assert step / 2 <= waits.next_s() <= step
    waits.connection_lasted(5)
    assert waits.next_s() >= 4
    waits.connection_lasted(60)
    assert waits.next_s() <= 1
    waits.use_max()
    assert waits.next_s() >= 4
