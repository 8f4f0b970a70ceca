"""A real mosquitto for tests: started on a free port, restarted, killed; and a Broker at it."""

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
PATIENCE_S = 0.05

needs_mosquitto = pytest.mark.skipif(
    shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin") is None,
    reason="needs mosquitto, and it is not installed",
)


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Mosquitto:
    """A mosquitto on loopback.  lines: of its listener, instead of "allow everybody".  text: of a
    whole configuration, of which user and listening port are changed."""

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
        """Start it, and wait until it listens."""
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
        """End it at once, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def log(self) -> str:
        """What it said so far."""
        return (self._folder / "mosquitto.log").read_text("utf-8", "replace")


class Seat:
    """A `Broker`, what arrived at it and what was answered to it.

    settle: whether arrivals are acknowledged as they come.
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
        """Pump until something holds; fails where it never does."""
        until = time.monotonic() + wait_s
        while not done():
            assert time.monotonic() < until, f"waited in vain: {self.broker.problem}"
            self.broker.pump(PATIENCE_S)
            self.answers += self.broker.acked()

    def online(self) -> Seat:
        """Pump until connected."""
        self.until(lambda: self.broker.online)
        return self

    def say(self, topic: str, payload: bytes = b"{}", *, retain: bool = False) -> PublishedMessage:
        """Publish, and wait for the answer."""
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
    """A seat that is left in order at the end."""
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
