from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.mqtt.packets import LOST, ReplyAddress
from tests.brokers import Mosquitto, Seat, needs_mosquitto, quick, seated
from tests.proxies import CuttingProxy, silent_port

pytestmark = needs_mosquitto
STATUS = "auricle/v1/gw1/status"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A broker without access control, shared by tests that do not change it."""
    with Mosquitto(tmp_path_factory.mktemp("mosquitto")) as one:
        yield one


def listening(seat: Seat, *filters: str) -> Seat:
    """A connected client whose subscriptions are confirmed."""
    seat.broker.subscribe(filters)
    seat.online()
    seat.until(lambda: seat.broker.counters.reasons["SUBACK: Granted QoS 1"] >= len(filters))
    return seat


def test_a_message_goes_out_and_comes_back(shared: Mosquitto) -> None:
    """A message that one client publishes reaches another with all properties of a request."""
    with seated(quick(shared.port), "a") as there, seated(quick(shared.port), "b") as here:
        listening(here, "t/+")
        there.online()
        reply = ReplyAddress(b"\0id", (("who", "me"),))
        message_id = there.broker.publish("t/1", b"hello", response=reply, expiry_s=60)
        there.until(lambda: there.answers)
        here.until(lambda: here.arrivals)
        assert [(one.message_id, one.reason) for one in there.answers] == [(message_id, 0)]
        (came,) = here.arrivals
        assert (came.topic, came.payload, came.correlation) == ("t/1", b"hello", b"\0id")
        assert came.user == (("who", "me"),)
        assert came.expiry_s is not None
        assert 58 <= came.expiry_s <= 60


def test_no_matching_subscribers_is_counted(shared: Mosquitto) -> None:
    """A message without a matching subscriber is accepted with reason code 16, and counted."""
    with seated(quick(shared.port)) as seat:
        sent = seat.online().say("unread/here")
        assert (sent.accepted, sent.reason) == (True, 16)
        assert seat.broker.counters.no_subscribers >= 1
        assert seat.broker.counters.reasons["PUBACK: No matching subscribers"] >= 1


def test_qos_0_is_acknowledged_when_it_is_written(shared: Mosquitto) -> None:
    """A QoS 0 message is reported as delivered, so that every id has an outcome."""
    with seated(quick(shared.port)) as seat:
        seat.online()
        message_id = seat.broker.publish("t", b"", qos=0)
        seat.until(lambda: message_id in [one.message_id for one in seat.answers])
        assert seat.broker.send_quota == 20


def test_the_client_reconnects_after_the_broker_was_killed(tmp_path: Path) -> None:
    """Unacknowledged messages are reported as lost, and a new connection is made."""
    with Mosquitto(tmp_path) as mosquitto, seated(quick(mosquitto.port)) as seat:
        seat.online()
        mosquitto.kill()
        message_id = seat.broker.publish("t", b"")
        seat.until(lambda: not seat.broker.online)
        assert [(one.message_id, one.reason) for one in seat.answers] == [(message_id, LOST)]
        assert seat.broker.publish("t", b"") is None
        assert seat.broker.send_quota == 0
        mosquitto.start()
        seat.online()
        assert seat.say("t").accepted
        assert seat.broker.counters.connected == 2


def test_the_receive_maximum_of_the_broker_is_obeyed(tmp_path: Path) -> None:
    """No more messages are in flight than the broker's receive maximum."""
    lines = ("allow_anonymous true", "max_inflight_messages 5")
    with Mosquitto(tmp_path, *lines) as mosquitto, seated(quick(mosquitto.port)) as seat:
        seat.online()
        seat.until(lambda: seat.broker.send_quota == 5)
        ids = [seat.broker.publish("t", b"x") for _ in range(7)]
        assert [one is None for one in ids] == [False] * 5 + [True] * 2
        seat.until(lambda: seat.broker.send_quota == 5)
        assert sorted(one.message_id for one in seat.answers) == sorted(one for one in ids if one)


def test_a_packet_that_is_too_large_is_refused_here(tmp_path: Path) -> None:
    """A packet above the broker's maximum is refused locally, and the client stays online."""
    lines = ("allow_anonymous true", "max_packet_size 2000")
    with Mosquitto(tmp_path, *lines) as mosquitto, seated(quick(mosquitto.port)) as seat:
        assert seat.online().say("t", b"x" * 1900).accepted
        assert seat.say("t", b"x" * 2000).reason == 149
        assert (seat.broker.online, seat.broker.counters.connected) == (True, 1)


def test_the_will_is_published_for_a_client_that_vanishes(shared: Mosquitto) -> None:
    """After the will delay the retained status is offline, with the reason lost."""
    with seated(quick(shared.port), "watcher") as watcher:
        listening(watcher, "auricle/v1/gw9/status")
        proxy = CuttingProxy(shared.port, seed=0, cuts=0)
        with seated(quick(proxy.port, will_delay_s=1), "gw9") as seat:
            seat.online()
            watcher.until(lambda: watcher.arrivals)
            proxy.close()
        began = time.monotonic()
        watcher.until(lambda: len(watcher.arrivals) == 2)
        result = [json.loads(one.payload) for one in watcher.arrivals]
        assert [(one["state"], one["reason"]) for one in result] == [
            ("online", ""),
            ("offline", "lost"),
        ]
        assert result[0]["since_ns"] == result[1]["since_ns"]
        assert time.monotonic() - began > 0.5


def test_a_clean_stop_publishes_its_status(shared: Mosquitto) -> None:
    """A client that stops publishes its retained status itself, within the timeout."""
    seat = Seat(quick(shared.port), "gw8").online()
    began = time.monotonic()
    seat.broker.stop(30.0)
    assert time.monotonic() - began < 15
    with seated(quick(shared.port), "watcher") as watcher:
        listening(watcher, "auricle/v1/gw8/status")
        watcher.until(lambda: watcher.arrivals)
        (came,) = watcher.arrivals
        result = json.loads(came.payload)
        assert (came.retained, result["state"], result["reason"]) == (True, "offline", "stopped")


def test_commands_wait_for_an_offline_client(shared: Mosquitto) -> None:
    """The session delivers messages that arrived while the client was offline or that it had not
    acknowledged."""
    command = "auricle/v1/gw7/command/forget"
    with seated(quick(shared.port), "boss") as boss:
        boss.online()
        with seated(quick(shared.port), "gw7", settle=False) as seat:
            listening(seat, "auricle/v1/gw7/command/+")
            boss.say(command, b"1")
            boss.say(command, b"2")
            seat.until(lambda: len(seat.arrivals) == 2)
            seat.broker.acknowledge(seat.arrivals[0].ticket)
            seat.broker.pump(0)
        boss.say(command, b"3")
        with seated(quick(shared.port), "gw7") as seat:
            listening(seat, "auricle/v1/gw7/command/+")
            seat.until(lambda: len(seat.arrivals) == 2)
            assert [one.payload for one in seat.arrivals] == [b"2", b"3"]


def test_a_removed_filter_is_unsubscribed(shared: Mosquitto) -> None:
    """A filter that was removed while the client was offline delivers nothing."""
    with seated(quick(shared.port), "gw6") as seat, seated(quick(shared.port), "boss") as boss:
        listening(seat, "x/1", "x/2")
        boss.online()
        seat.broker.subscribe(["x/2"])
        seat.until(lambda: seat.broker.counters.reasons["UNSUBACK: Success"])
        assert boss.say("x/1").reason == 16
        boss.say("x/2")
        seat.until(lambda: seat.arrivals)
        assert [one.topic for one in seat.arrivals] == ["x/2"]


def test_a_client_that_is_taken_over_backs_off(shared: Mosquitto) -> None:
    """When another client takes over the client id, this one waits longest before it retries."""
    settings = quick(shared.port, client_id="same", reconnect_s_max=60.0)
    with seated(settings) as first:
        first.online()
        with seated(quick(shared.port, client_id="same")) as second:
            second.online()
            first.until(lambda: not first.broker.online)
            assert first.broker.counters.taken_over == 1
            assert first.broker.counters.reasons["DISCONNECT: Session taken over"] == 1
            until = time.monotonic() + 0.3
            first.until(lambda: time.monotonic() > until)
            assert (first.broker.online, first.broker.counters.connected) == (False, 1)
            assert second.broker.online


def test_a_silent_broker_does_not_block_the_loop() -> None:
    """A port that never answers does not block the loop, and the attempt times out."""
    with silent_port() as port, seated(quick(port, connect_timeout_s=1.0)) as seat:
        longest, until = 0.0, time.monotonic() + 8
        while not seat.broker.counters.connect_failed and time.monotonic() < until:
            began = time.monotonic()
            seat.broker.pump(0.01)
            longest = max(longest, time.monotonic() - began)
        assert longest < 0.8
        assert seat.broker.counters.connect_failed == 1
        assert "does not answer" in seat.broker.problem


def test_a_broker_that_stops_answering_is_disconnected() -> None:
    """A broker that answers no ping is disconnected within two keepalive intervals."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with seated(quick(port, keepalive_s=1)) as seat:
            seat.until(lambda: seat.broker.counters.connected == 0)
            seat.broker.pump(0.1)
            far, _ = server.accept()
            with far:
                far.sendall(bytes([0x20, 3, 0, 0, 0]))
                seat.online()
                seat.until(lambda: not seat.broker.online, wait_s=4)
        assert seat.broker.counters.disconnected == 1


def test_an_idle_connection_is_kept_alive(shared: Mosquitto) -> None:
    """Pings keep a connection open that is idle for longer than the keepalive."""
    with seated(quick(shared.port, keepalive_s=1), "idle") as seat:
        seat.online()
        until = time.monotonic() + 2.5
        seat.until(lambda: time.monotonic() > until)
        assert (seat.broker.online, seat.broker.counters.connected) == (True, 1)
        assert seat.broker.since_s >= 2


def test_a_rebirth_publishes_the_status_again(shared: Mosquitto) -> None:
    """The status is published again on the same connection."""
    with seated(quick(shared.port), "watcher") as watcher, seated(quick(shared.port), "r1") as seat:
        listening(watcher, "auricle/v1/r1/status")
        seat.online()
        watcher.until(lambda: watcher.arrivals)
        seat.broker.rebirth()
        seat.broker.pump(0)
        watcher.until(lambda: len(watcher.arrivals) == 2)
        assert watcher.arrivals[0].payload == watcher.arrivals[1].payload


def test_another_thread_can_wake_the_pump() -> None:
    """A waiting pump returns when another thread wakes it, however often."""
    with silent_port() as port, seated(quick(port)) as seat:
        for _ in range(70_000):
            seat.broker.wake()
        seat.broker.pump(5)
        threading.Timer(0.05, seat.broker.wake).start()
        began = time.monotonic()
        seat.until(lambda: True)
        seat.broker.pump(30)
        assert time.monotonic() - began < 20


def test_pumping_without_reading_leaves_messages_at_the_broker(shared: Mosquitto) -> None:
    """With reading off nothing is received; afterwards everything is."""
    with seated(quick(shared.port), "gw5") as seat, seated(quick(shared.port), "boss") as boss:
        listening(seat, "y")
        boss.online()
        for _ in range(3):
            boss.say("y")
        for _ in range(5):
            seat.broker.pump(0.01, reading=False)
        assert seat.arrivals == []
        seat.until(lambda: len(seat.arrivals) == 3)


@pytest.mark.parametrize("seed", [1, 2])
def test_connections_cut_at_random_bytes_lose_nothing(shared: Mosquitto, seed: int) -> None:
    """Every message id gets one outcome; resent after a loss, every number arrives in both
    directions."""
    proxy = CuttingProxy(shared.port, seed, cuts=12, bytes_max=700)
    there, here = f"cut{seed}/out", f"cut{seed}/in"
    settings = quick(proxy.port, client_id=f"cut{seed}")
    with seated(quick(shared.port), f"far{seed}") as far, seated(settings) as seat:
        listening(far, there)
        seat.broker.subscribe([here])
        seat.until(lambda: seat.broker.counters.reasons["SUBACK: Granted QoS 1"])
        numbers, flying = list(range(150)), dict[int, int]()
        count = 0

        def step() -> bool:
            nonlocal count
            while seat.broker.send_quota and numbers:
                message_id = seat.broker.publish(there, b"%d" % numbers[0])
                if message_id is None:
                    break
                assert message_id not in flying
                flying[message_id] = numbers.pop(0)
            if far.broker.send_quota and count < 150:
                far.broker.publish(here, b"%d" % count)
                count += 1
            far.broker.pump(0)
            for sent in seat.broker.acked():
                number = flying.pop(sent.message_id)
                if not sent.accepted:
                    numbers.append(number)
            return not (numbers or flying) and len({one.payload for one in seat.arrivals}) == 150

        while not step():
            seat.broker.pump(0.002)
        far.until(lambda: len({one.payload for one in far.arrivals}) == 150)
        assert proxy.left <= 6
        assert seat.broker.counters.reasons["CONNACK: Success"] > 3
    proxy.close()


def test_a_renewed_subscription_brings_retained_messages_again(shared: Mosquitto) -> None:
    """At once, and with the next connection where there is none; the session alone brings none.
    What is not subscribed to stays out."""
    settings = quick(shared.port, client_id="renewed", session_expiry_s=60)
    with seated(quick(shared.port), "gw5") as sender, seated(settings, "gw6") as seat:
        sender.online().say("fleet/one", b"1", retain=True)
        seat.broker.subscribe(["fleet/one"])

        def arrived() -> int:
            return sum(one.topic == "fleet/one" for one in seat.arrivals)

        seat.online().until(lambda: arrived() == 1)
        seat.broker.resubscribe(["fleet/one", "fleet/two"])
        seat.until(lambda: arrived() == 2)
        seat.broker.reconnect()
        seat.until(lambda: not seat.broker.online)
        seat.broker.resubscribe(["fleet/one"])
        seat.online().until(lambda: arrived() == 3)
        seat.broker.reconnect()
        seat.until(lambda: not seat.broker.online)
        seat.online()
        end = time.monotonic() + 0.3
        seat.until(lambda: time.monotonic() > end)
        assert arrived() == 3
