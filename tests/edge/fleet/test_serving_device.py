"""A device without facts serves what an aggregate sums, in processes of their own: it starts from a
member's bundle, and is killed in between."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

import pytest

from edge.bundles.exchange import export_bundle, import_bundle, record_bundle
from edge.core.events import Enrol, FitGeometry, StoreGeometry
from edge.home.home import Home
from edge.signing.keys import load_key, make_key
from tests.brokers import Mosquitto, needs_mosquitto
from tests.edge.fleet.test_member import many
from tests.edge.fleet.test_two_daemons import ask, until
from tests.homes import new_home, spawn

pytestmark = needs_mosquitto

COMMON = """
[device]
name = "{name}"

[mqtt]
host = "127.0.0.1"
port = {port}

[commands]
enabled = ["forget", "status"]

[bundles.keys]
maker = "{maker}"
"""

MEMBER = """
[fleet]
name = "{fleet}"
devices = {devices}
publish_after_s = 0.2
"""

AGGREGATOR = """
[aggregate]
name = "site"
fleet = "hall"
parent = "top"
publish_after_s = 0.0
"""

FACTS = 32


@dataclass
class Fleet:
    """Two members below an aggregator, and a gate that adopts its sum.  processes: by home."""

    folder: Path
    running: ExitStack
    processes: dict[str, Popen[str]] = field(default_factory=dict)

    def start(self, name: str, *words: object) -> None:
        """Start a process of a home."""
        process = spawn(*(words or ("run",)), "--home", self.folder / name)
        self.running.callback(process.wait, 20)
        self.running.callback(process.terminate)
        self.processes[name] = process

    def kill(self, name: str) -> None:
        """Kill a process, as a power cut does."""
        self.processes[name].kill()
        self.processes[name].wait(20)

    def serves(self, facts: int) -> bool:
        """Whether the gate uses the site's sum, of so many facts and both devices."""
        member = ask(self.folder / "gate", "fleet", f"v{time.monotonic_ns()}")["member"]
        used = [one for one in member["members"] if one["used"]]
        found = [(one["device"], one["samples"], one["devices"]) for one in used]
        return found == [("site", facts, 2)]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """All homes share north's geometry; the gate has it from north's bundle, with north's sums."""
    names = ("north", "south", "site", "gate")
    homes = {name: new_home(tmp_path / name) for name in names}
    maker = make_key(tmp_path / "maker.key")
    with ExitStack() as running:
        broker = running.enter_context(Mosquitto(tmp_path / "broker"))
        member = {name: MEMBER.format(fleet="hall", devices="[]") for name in ("north", "south")}
        parts = member | {"site": AGGREGATOR}
        parts["gate"] = MEMBER.format(fleet="top", devices='["site"]')
        for name, folder in homes.items():
            path = folder / "auricle.toml"
            common = COMMON.format(name=name, port=broker.port, maker=maker)
            path.write_text(path.read_text("utf-8") + common + parts[name], "utf-8")
        with Home(homes["north"]) as home:
            home.feed(Enrol(many("north-", FACTS)))
            home.feed(FitGeometry())
            geometry = home.store.geometry()
            made = export_bundle(home, load_key(tmp_path / "maker.key"), "maker", 1, 1)
            record_bundle(home, made.record)
        assert geometry is not None
        for name in ("south", "site"):
            with Home(homes[name]) as home:
                home.store.apply(StoreGeometry(geometry))
        with Home(homes["south"]) as home:
            home.feed(Enrol(many("south-", FACTS, 100)))
        with Home(homes["gate"]) as home:
            (homes["gate"] / "bundles").mkdir(exist_ok=True)
            (homes["gate"] / "bundles/one").write_bytes(made.body)
            import_bundle(home, "one", 1)
            home.confirm_trial()
            assert home.runtime.knowledge.contributing == ("north",)
        yield Fleet(tmp_path, running)


def test_a_device_serves_a_sum_after_a_power_cut_and_without_what_was_forgotten(fleet: Fleet):
    """The sum takes the place of the bundle's sums, counts at once after a power cut, and loses
    what a member forgets."""
    for name in ("north", "south", "gate"):
        fleet.start(name)
    fleet.start("site", "fleet", "aggregate")
    until(lambda: fleet.serves(2 * FACTS), "the sum of both")
    fleet.kill("site")
    fleet.kill("gate")
    fleet.start("gate")
    until(lambda: fleet.serves(2 * FACTS), "the stored sum, without an aggregator")
    ask(fleet.folder / "north", "forget", "gone", select={"label": "a"})
    fleet.start("site", "fleet", "aggregate")
    until(lambda: fleet.serves(2 * FACTS - FACTS // 2), "the sum without what was forgotten")
