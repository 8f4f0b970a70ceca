"""A device leaves its fleet: its sums leave every aggregate, in processes of their own."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from edge.core.events import Enrol, FitGeometry, StoreGeometry
from edge.fleet.aggregate_home import describe_aggregate
from edge.fleet.fleet_view import describe_roles
from edge.home.home import Home
from edge.signing.keys import make_key
from tests.brokers import Mosquitto, needs_mosquitto
from tests.edge.fleet.test_member import many
from tests.edge.fleet.test_two_daemons import ask, until
from tests.homes import new_home, run, spawn

pytestmark = needs_mosquitto

BROKER = """
[mqtt]
host = "127.0.0.1"
port = {port}
reconnect_s_max = 1.0
"""

COMMON = """
[device]
name = "north"

[commands]
enabled = ["forget", "status"]
"""

FLEET = """
[fleet]
name = "hall"
key = "north.key"
publish_after_s = 0.2
"""

AGGREGATOR = """
[aggregate]
name = "site"
fleet = "hall"
key = "site.key"
publish_after_s = 0.0

[aggregate.keys]
north = "{north}"
"""

FACTS = 32


@dataclass
class Hall:
    """A member with facts and an aggregator that requires signatures, with one geometry."""

    folder: Path
    running: ExitStack
    broker: Mosquitto
    plain: str
    processes: dict[str, Popen[str]] = field(default_factory=dict)

    @property
    def north(self) -> Path:
        """The home of the member."""
        return self.folder / "north"

    def write(self, *sections: str) -> None:
        """Write the member's settings."""
        text = "".join((self.plain, COMMON, *sections)).format(port=self.broker.port)
        (self.north / "auricle.toml").write_text(text, "utf-8")

    def start(self, name: str, *words: object) -> None:
        """Start a process of a home."""
        process = spawn(*(words or ("run",)), "--home", self.folder / name)
        self.running.callback(process.wait, 20)
        self.running.callback(process.terminate)
        self.processes[name] = process

    def stop(self, name: str) -> None:
        """Stop a process."""
        self.processes[name].terminate()
        self.processes[name].wait(20)

    def holds(self, samples: int) -> bool:
        """Whether the aggregate has so many facts."""
        found = describe_aggregate(self.folder / "site")
        return found is not None and found.samples == samples

    def summed(self) -> bool:
        """Whether the aggregator has reported to the member."""
        found = ask(self.north, "fleet", f"v{time.monotonic_ns()}")["member"]
        return found is not None and bool(found["above"])

    def left(self) -> tuple[str, int, str]:
        """The fleet that the member has left, when its sums were withdrawn, and why that waits."""
        (one,) = describe_roles(self.north).left
        return one.fleet, one.withdrawn_at_ns, one.waiting

    def dropped(self) -> set[tuple[str, bool]]:
        """The devices in all receipts, and whether each has reported when it dropped the sums."""
        found = ask(self.north, "receipts", f"r{time.monotonic_ns()}")["receipts"]
        return {
            (one["device"], bool(one["dropped_at_ns"])) for row in found for one in row["devices"]
        }

    def receipt(self, request: str) -> list[dict[str, Any]]:
        """Forget a fact, and return the devices in the receipt.  The geometry stays that of the
        fleet."""
        select = {"ids": [f"fact-{request[1:]}"]}
        ask(self.north, "forget", request, select=select, refit_geometry=False)
        found = ask(self.north, "receipts", f"r{time.monotonic_ns()}")["receipts"]
        return list(found[0]["devices"])


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    """The aggregator runs and has summed the member."""
    homes = {name: new_home(tmp_path / name) for name in ("north", "site")}
    keys = {name: make_key(folder / f"{name}.key") for name, folder in homes.items()}
    with Home(homes["north"]) as home:
        home.feed(Enrol(many("fact-", FACTS)))
        home.feed(FitGeometry())
        geometry = home.store.geometry()
    assert geometry is not None
    with Home(homes["site"]) as home:
        home.store.apply(StoreGeometry(geometry))
    with ExitStack() as running:
        broker = running.enter_context(Mosquitto(tmp_path / "broker"))
        path = homes["site"] / "auricle.toml"
        text = (BROKER + AGGREGATOR).format(port=broker.port, north=keys["north"])
        path.write_text(path.read_text("utf-8") + text, "utf-8")
        plain = (homes["north"] / "auricle.toml").read_text("utf-8")
        made = Hall(tmp_path, running, broker, plain.replace("{", "{{").replace("}", "}}"))
        made.write(BROKER, FLEET)
        made.start("north")
        made.start("site", "fleet", "aggregate")
        until(lambda: made.holds(FACTS), "the first sums")
        until(made.summed, "the aggregator's report")
        yield made


def test_a_device_without_its_section_withdraws_at_the_next_start(hall: Hall):
    """Signed by the key that the section named; back in the fleet, its sums count again."""
    hall.stop("north")
    hall.write(BROKER)
    assert hall.left()[2].startswith("the daemon has not been started")
    shown = run("fleet", "status", "--home", hall.north)
    assert "left: north in the fleet hall: its sums are still there" in shown.stdout
    assert "auricle fleet drop north" in shown.stdout
    hall.start("north")
    until(lambda: hall.holds(0), "the withdrawal")
    until(lambda: hall.left()[1], "the record of it")
    shown = run("fleet", "status", "--home", hall.north)
    assert "left: north in the fleet hall: withdrawn" in shown.stdout
    assert json.loads(run("fleet", "status", "--home", hall.north, "--json").stdout)["left"]
    (order,) = hall.receipt("f3")
    assert (order["device"], order["holds"], order["sent"]) == ("site", "contribution", True)
    until(lambda: hall.dropped() == {("site", True)}, "the aggregator's report")
    (order,) = hall.receipt("f5")
    assert order["dropped_at_ns"]
    hall.stop("north")
    hall.write(BROKER, FLEET)
    hall.start("north")
    until(lambda: not hall.holds(0), "the sums of whole cohorts")
    assert hall.dropped() == {("site", True)}
    assert not describe_roles(hall.north).left


def test_sighup_withdraws(hall: Hall):
    """Without a stop."""
    hall.write(BROKER)
    hall.processes["north"].send_signal(signal.SIGHUP)
    until(lambda: hall.holds(0), "the withdrawal")
    until(lambda: hall.left()[1], "the record of it")


def test_a_withdrawal_waits_for_a_broker_over_restarts(hall: Hall):
    """Without any broker in the settings, and with one that is down, it waits and says so; also
    through a power cut."""
    hall.stop("north")
    hall.write()
    hall.start("north")
    until(lambda: "no [mqtt]" in hall.left()[2], "the reason")
    (order,) = hall.receipt("f3")
    assert (order["device"], order["sent"]) == ("site", False)
    hall.stop("north")
    assert hall.holds(FACTS)
    hall.broker.kill()
    hall.write(BROKER)
    hall.start("north")
    until(lambda: "has not taken it yet" in hall.left()[2], "the reason")
    hall.processes["north"].kill()
    hall.processes["north"].wait(20)
    hall.broker.start()
    hall.start("north")
    until(lambda: hall.holds(0), "the withdrawal")
    until(lambda: hall.left()[1], "the record of it")


def test_a_withdrawal_waits_for_its_key(hall: Hall):
    """Unsigned it would be refused."""
    hall.stop("north")
    hall.write(BROKER)
    key = hall.north / "north.key"
    moved = key.rename(hall.folder / "kept.key")
    hall.start("north")
    until(lambda: "north.key" in hall.left()[2], "the reason")
    moved.rename(key)
    hall.stop("north")
    hall.start("north")
    until(lambda: hall.holds(0), "the withdrawal")
