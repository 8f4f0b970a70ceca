"""A real mosquitto for tests, on a free port, and a client connected to it."""

from __future__ import annotations

import getpass
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from edge.config.mqtt import MqttSettings
from edge.mqtt.client.mqtt_client import MqttClient
from edge.mqtt.packets import InboundMessage, PublishedMessage
from edge.mqtt.presence import Presence
from edge.mqtt.presences import StatusPresence

WAIT_S = 10.0
PUMP_S = 0.05

needs_mosquitto = pytest.mark.skipif(
    shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin") is None,
    reason="needs mosquitto, and it is not installed",
)


def free_port() -> int:
    """Return a free loopback port."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Mosquitto:
    """A mosquitto on loopback.

    lines: configuration of its listener; by default anonymous clients are allowed.  text: a whole
    configuration, whose user and port are replaced.
    """

    def __init__(self, folder: Path, *lines: str, text: str = "") -> None:
        self.port = free_port()
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self._config = folder / "mosquitto.conf"
        here = f"listener {self.port} 127.0.0.1"
        usual = "\n".join(["user me", "listener 0", *(lines or ("allow_anonymous true",)), ""])
        made = re.sub(r"^listener .*$", here, text or usual, flags=re.MULTILINE)
        made = re.sub(r"^user .*$", f"user {getpass.getuser()}", made, flags=re.MULTILINE)
        self._config.write_text(made, "utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, and wait until it accepts connections."""
        program = shutil.which(
            "mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"
        )
        with (self._folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program or "mosquitto", "-c", str(self._config)],
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + WAIT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > until:
                    raise AssertionError(self.log()) from None
                time.sleep(0.01)

    def kill(self) -> None:
        """Kill it, like a power cut."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def log(self) -> str:
        """Return its log."""
        return (self._folder / "mosquitto.log").read_text("utf-8", "replace")


class Seat:
    """An `MqttClient`, the messages it received, and the outcomes of those it published.

    settle: acknowledge messages as they arrive.
    """

    def __init__(
        self,
        settings: MqttSettings,
        device: str = "gw1",
        presence: Presence | None = None,
        *,
        settle: bool = True,
    ) -> None:
        self.arrivals: list[InboundMessage] = []
        self.answers: list[PublishedMessage] = []
        self._settle = settle
        self.broker = MqttClient(
            settings, device, self._take, presence or StatusPresence(device, "1")
        )
        self.broker.start()

    def _take(self, arrival: InboundMessage) -> None:
        self.arrivals.append(arrival)
        if self._settle:
            self.broker.acknowledge(arrival.ticket)

    def until(self, done: Callable[[], object], wait_s: float = WAIT_S) -> None:
        """Pump until a condition holds; fail after `wait_s` seconds."""
        until = time.monotonic() + wait_s
        while not done():
            assert time.monotonic() < until, f"waited in vain: {self.broker.problem}"
            self.broker.pump(PUMP_S)
            self.answers += self.broker.acked()

    def online(self) -> Seat:
        """Pump until connected."""
        self.until(lambda: self.broker.online)
        return self

    def say(self, topic: str, payload: bytes = b"{}", *, retain: bool = False) -> PublishedMessage:
        """Publish, and wait for the outcome."""
        message_id = self.broker.publish(topic, payload, retain=retain)
        assert message_id is not None
        self.until(lambda: any(one.message_id == message_id for one in self.answers))
        (sent,) = [one for one in self.answers if one.message_id == message_id]
        self.answers.remove(sent)
        return sent


@contextmanager
def seated(
    settings: MqttSettings,
    device: str = "gw1",
    presence: Presence | None = None,
    *,
    settle: bool = True,
) -> Iterator[Seat]:
    """Yield a seat that disconnects cleanly at the end."""
    seat = Seat(settings, device, presence, settle=settle)
    try:
        yield seat
    finally:
        seat.broker.stop(1.0)
        seat.broker.close()


def quick(port: int, **more: object) -> MqttSettings:
    """Settings for a broker on loopback, with short waits."""
    usual = {
        "host": "127.0.0.1",
        "port": port,
        "reconnect_s_min": 0.05,
        "reconnect_s_max": 0.2,
        "connect_timeout_s": 2.0,
    }
    return MqttSettings(**(usual | more))  # type: ignore[arg-type]
