"""Two daemons and a broker: one answers labels that the other learned, and no label that it
forgot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from edge import Store
from edge.commands.control_socket import send_to_daemon
from edge.config.settings import read_settings
from edge.core.knowledge.memory_ledger import MemoryLedger
from edge.core.runtime import Runtime
from edge.home.home import Home
from edge.signing.keys import make_key
from tests.brokers import Mosquitto, Seat, needs_mosquitto, quick, seated
from tests.homes import CARD, new_home, run, spawn
from tests.worlds import clouds

pytestmark = needs_mosquitto

WAIT_S = 30.0
START_S = 90.0
DEVICES = ("north", "south")


def settings_of(device: str, other: str, port: int, keys: dict[str, str]) -> str:
    """The settings of a member besides its encoder."""
    return f"""
[device]
name = "{device}"

[mqtt]
host = "127.0.0.1"
port = {port}

[commands]
enabled = ["label", "forget", "status"]

[fleet]
name = "hall"
devices = ["{other}"]
key = "{device}.key"
publish_after_s = 0.2

[fleet.keys]
{other} = "{keys[other]}"

[streams.belt]
source = "topic"
format = "json"
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Path, Seat]]:
    """Two homes with one card, their running daemons, and a subscriber."""
    keys = {}
    for device in DEVICES:
        home = new_home(tmp_path / device)
        keys[device] = make_key(home / f"{device}.key")
    with ExitStack() as running:
        broker = running.enter_context(Mosquitto(tmp_path / "broker"))
        for device, other in (DEVICES, DEVICES[::-1]):
            path = tmp_path / device / "auricle.toml"
            text = path.read_text("utf-8") + settings_of(device, other, broker.port, keys)
            path.write_text(text, "utf-8")
            process = spawn("run", "--home", tmp_path / device)
            running.callback(process.wait, 10)
            running.callback(process.terminate)
        seat = running.enter_context(seated(quick(broker.port), "watcher")).online()
        kinds = ("status", "decision/#", "response")
        seat.broker.subscribe([f"auricle/v1/+/{one}" for one in kinds])
        seat.until(lambda: all(is_online(seat, device) for device in DEVICES), START_S)
        yield tmp_path, seat


def is_online(seat: Seat, device: str) -> bool:
    """Whether a device's last status is online; before that it receives nothing."""
    topic = f"auricle/v1/{device}/status"
    states = [json.loads(one.payload)["state"] for one in seat.arrivals if one.topic == topic]
    return states[-1:] == ["online"]


def until(found: Callable[[], Any], what: str) -> Any:
    """Wait for a result and return it."""
    end = time.monotonic() + WAIT_S
    while not (value := found()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.05)
    return value


def ask(home: Path, verb: str, name: str, **fields: Any) -> dict[str, Any]:
    """Send a request to a daemon through its socket."""

    def found() -> Any:
        return send_to_daemon(home, {"verb": verb, "id": name, **fields}, 10.0)

    answer = until(found, f"the daemon of {home.name}")
    assert answer["done"], answer
    return dict(answer["body"])


def decide(seat: Seat, device: str, name: str, values: list[int]) -> dict[str, Any]:
    """Send an observation and return its decision."""
    body = json.dumps({"id": name, "values": values}).encode()
    topic = f"auricle/v1/{device}/decision/belt"
    seat.say(f"auricle/v1/{device}/observe/belt", body)

    def mine() -> list[dict[str, Any]]:
        messages = [json.loads(one.payload) for one in seat.arrivals if one.topic == topic]
        return [one for one in messages if one["observation_id"] == name]

    seat.until(mine)
    return mine()[0]


def revision_at(home: Path, device: str) -> int:
    """The newest revision of a device's contribution that a running home has adopted."""
    with Store.open(home / "knowledge.db", CARD, writable=False) as store:
        held = store.contributions().get(device)
        return held.revision if held else 0


def test_learning_and_forgetting_reach_the_other_device(place: tuple[Path, Seat]):
    """Labels of one device are predicted by the other; after a forget its digest is that of a
    device that never had the facts."""
    folder, seat = place
    north, south = (folder / device for device in DEVICES)
    rows = [row.tolist() for row in clouds((1, 2), 12)]
    ask(north, "status", "s1")
    ask(south, "status", "s1")
    for number, row in enumerate(rows):
        decide(seat, "north", f"n{number}", row)
        label = "ab"[number // 12]
        done = ask(north, "label", f"l{number}", observation_id=f"n{number}", label=label)
        assert done["count"] == 1

    result = run(
        "command", "status", "--device", "north", "--broker", f"127.0.0.1:{port_of(north)}"
    )
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["body"]["device"] == "north"

    def guess() -> str:
        return str(decide(seat, "south", f"q{time.monotonic_ns()}", rows[-1])["guess"])

    until(lambda: guess() == "b", "the south to answer from the sums of the north")
    before = revision_at(south, "north")
    assert ask(north, "forget", "f1", select={"label": "b"})["facts_forgotten"] == 12
    until(lambda: revision_at(south, "north") > before, "the withdrawal")
    until(lambda: guess() == "a", "the new sums")
    expected = never_had_it(north, south)
    with Home(south, writable=False) as there:
        assert there.runtime.digest() == expected


def port_of(home: Path) -> int:
    """The port of the broker in a home's settings."""
    mqtt = read_settings(home).mqtt
    assert mqtt is not None
    return mqtt.port


def never_had_it(north: Path, south: Path) -> str:
    """The digest of a device that only adopted the contribution of the remaining facts."""
    with ExitStack() as opened:
        store = opened.enter_context(Store.open(north / "knowledge.db", CARD, writable=False))
        home = opened.enter_context(Home(south, writable=False))
        assert home.store.concepts() == {}
        gift = (
            Runtime(home.settings.config(), home.model, store).contribute("north", 1).contribution
        )
        assert gift.samples == 12
        fresh = Runtime(home.settings.config(), home.model, MemoryLedger())
        fresh.handle(gift)
        return fresh.digest()


def test_the_example_runs(source):
    """`python examples/fleet/fleet.py` runs to the end."""
    done = subprocess.run(
        [sys.executable, source / "examples/fleet/fleet.py"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "recognises a 3 in hall" in done.stdout
    assert "north forgets 81 facts" in done.stdout
