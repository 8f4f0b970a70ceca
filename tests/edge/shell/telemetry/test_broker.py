from __future__ import annotations

from pathlib import Path

import pytest

from tests.brokers import Mosquitto, needs_mosquitto, quick, seated

pytestmark = needs_mosquitto


@pytest.fixture
def mosquitto(tmp_path: Path):
    """A broker that lets everybody in."""
    with Mosquitto(tmp_path / "mosquitto") as one:
        yield one


def test_a_message_goes_out_and_comes_back(mosquitto: Mosquitto) -> None:
    """What one client publishes another receives, and the publisher is told that it was taken."""
    with seated(quick(mosquitto.port), "a") as there, seated(quick(mosquitto.port), "b") as here:
        here.broker.subscribe(["t/+"])
        here.online()
        there.online()
        here.until(lambda: here.broker.counters.reasons["SUBACK: Granted QoS 1"])
        assert there.say("t/1", b"hello").reason == 0
        here.until(lambda: here.arrivals)
        assert (here.arrivals[0].topic, here.arrivals[0].payload) == ("t/1", b"hello")


def test_nobody_listening_is_counted(mosquitto: Mosquitto) -> None:
    """A message that no subscriber matches is taken, with reason 16, and counted."""
    with seated(quick(mosquitto.port)) as seat:
        sent = seat.online().say("nobody/here")
        assert (sent.taken, sent.reason) == (True, 16)
        assert seat.broker.counters.unheard >= 1


def test_a_broker_that_is_killed_is_found_again(mosquitto: Mosquitto) -> None:
    """After the broker died, waiting messages are told as lost, and a new connection is made."""
    with seated(quick(mosquitto.port)) as seat:
        seat.online()
        mosquitto.kill()
        seat.until(lambda: not seat.broker.online)
        assert seat.broker.publish("t", b"") is None
        assert seat.broker.room == 0
        mosquitto.start()
        seat.online()
        assert seat.say("t").taken
        assert seat.broker.counters.connected == 2
