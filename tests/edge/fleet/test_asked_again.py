"""A member with a broker's session gets sums again that it has refused, in a process of its own."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from edge.fleet.contribution_message import write_contribution
from edge.mqtt.topics import Topics
from edge.signing.keys import load_key, make_key
from tests.brokers import Mosquitto, Seat, needs_mosquitto, quick, seated
from tests.edge.fleet.test_member import GIFT
from tests.edge.fleet.test_two_daemons import ask, until
from tests.homes import new_home, spawn

pytestmark = needs_mosquitto

GATE = """
[device]
name = "gate"

[mqtt]
host = "127.0.0.1"
port = {port}

[commands]
enabled = ["status"]

[fleet]
name = "hall"
devices = ["b"]
payload_bytes_max = {most}

[fleet.keys]
b = "{key}"
"""


@dataclass
class Gate:
    """A home that adopts the sums of b, its process, and b's place at the broker."""

    home: Path
    seat: Seat
    running: ExitStack
    process: Any = None

    def say(self, raw: bytes) -> None:
        """Publish b's contribution, retained."""
        self.seat.say(f"{Topics('b').fleet_filter('hall', 'contribution')}b", raw, retain=True)

    def member(self) -> dict[str, Any]:
        """What the daemon knows of its fleet."""
        return dict(ask(self.home, "fleet", f"v{time.monotonic_ns()}")["member"])

    def refused(self, why: str) -> bool:
        """Whether b's sums are refused for a reason."""
        return any(why in reason for _, _, reason in self.member()["refusals"])

    def revision(self) -> int:
        """The revision that is held of b."""
        return int(next((one["revision"] for one in self.member()["members"]), 0))

    def uses(self) -> bool:
        """Whether b's sums count."""
        return any(one["used"] for one in self.member()["members"])

    def start(self) -> None:
        """Start the daemon."""
        self.process = spawn("run", "--home", self.home)
        self.running.callback(self.process.wait, 20)
        self.running.callback(self.process.terminate)

    def kill(self) -> None:
        """Kill the daemon, as a power cut does."""
        self.process.kill()
        self.process.wait(20)

    def reload(self, port: int, key: str, most: int) -> None:
        """Write the settings, and let the daemon read them again."""
        self.write(port, key, most)
        self.process.send_signal(signal.SIGHUP)

    def write(self, port: int, key: str, most: int) -> None:
        """Write the settings."""
        path = self.home / "auricle.toml"
        plain = path.read_text("utf-8").split("[device]")[0]
        path.write_text(plain + GATE.format(port=port, key=key, most=most), "utf-8")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that keeps sessions."""
    with Mosquitto(tmp_path / "broker") as made:
        yield made


def test_refused_sums_are_used_once_the_settings_allow_it(tmp_path: Path, broker: Mosquitto):
    """Without another message of their device: they were signed by a key that was not listed, and
    larger than allowed.  Each reload brings them again, and each start."""
    other, right = (make_key(tmp_path / f"{name}.key") for name in ("other", "b"))
    raw = write_contribution(GIFT, load_key(tmp_path / "b.key"))
    later = replace(GIFT, revision=GIFT.revision + 1)
    with ExitStack() as running:
        seat = running.enter_context(seated(quick(broker.port), "b")).online()
        gate = Gate(new_home(tmp_path / "gate"), seat, running)
        gate.write(broker.port, other, 8 << 20)
        gate.start()
        gate.say(raw)
        until(lambda: gate.refused("signature"), "the refusal")
        gate.reload(broker.port, right, 1_024)
        until(lambda: gate.refused("too many"), "the other refusal")
        assert not gate.uses()
        gate.reload(broker.port, right, 8 << 20)
        until(gate.uses, "the same revision")
        assert not gate.member()["refusals"]
        gate.say(write_contribution(later, load_key(tmp_path / "other.key")))
        until(lambda: gate.refused("signature"), "the refusal of a later one")
        gate.kill()
        gate.write(broker.port, other, 8 << 20)
        gate.start()
        until(lambda: gate.revision() == later.revision, "the later one")
