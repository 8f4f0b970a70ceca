"""The daemon and its broker killed at random moments, over and over, and every number counted.

A driver sends vectors and labels through a real mosquitto and hears everything that the device
tells.  First the daemon alone is killed; after the last time all is let run out, and each number up
to the last must have arrived, or lie in a gap that was told.  Then the broker is killed, too.  What
it has confirmed to the daemon and not saved or delivered then is lost beyond the daemon's reach,
so that numbers are not counted there.  In both: a label that was confirmed must be in the knowledge
file, and a number must mean one message.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.daemon_setting import (
    DEVICE,
    STREAM,
    Broker,
    begin,
    daemon_command,
    make_home,
    vectors,
)
from benchmarks.report import Report, Row
from edge.shell.telemetry import Arrival, MqttSettings
from edge.shell.telemetry import Broker as Client
from edge.shell.telemetry.status import StatusPresence

COLUMNS = 16
KILLS = 30
BROKER_EVERY = 3
BURST_S = (0.2, 1.2)
QUIET_S = 6.0
PUMP_S = 0.005
ANSWER_S = 30.0
BASE = f"auricle/v1/{DEVICE}"
DURABLE = (
    "persistence true",
    "autosave_on_changes true",
    "autosave_interval 1",
)


@dataclass
class Heard:
    """What the driver has heard.  conflicts: numbers that came with two meanings."""

    by_number: dict[int, dict[str, Any]] = field(default_factory=dict)
    conflicts: int = 0
    repeated: int = 0
    confirmed: dict[str, str] = field(default_factory=dict)
    gaps: list[tuple[int, int]] = field(default_factory=list)

    def take(self, told: dict[str, Any]) -> None:
        """Take a message in."""
        number = told.get("sequence", 0)
        if not number:
            return
        told.pop("historical")
        before = self.by_number.setdefault(number, told)
        if before is not told:
            self.repeated += 1
            self.conflicts += before != told
            return
        if told["schema"].endswith("/gap"):
            self.gaps.append((told["first"], told["last"]))
        if told["schema"].endswith("/response") and told["done"]:
            self.confirmed[told["id"].partition("/")[2]] = told["id"].partition("/")[0]

    def unreported(self) -> int:
        """Numbers up to the last that neither came nor lie in a gap."""
        lost = {number for first, last in self.gaps for number in range(first, last + 1)}
        return sum(
            number not in lost and number not in self.by_number
            for number in range(1, max(self.by_number, default=0))
        )


class Driver:
    """Sends vectors and labels, and hears all that the device tells."""

    def __init__(self, port: int) -> None:
        self.heard = Heard()
        self.sent = 0
        self._port, self._sessions = port, 0
        self._vectors = vectors(COLUMNS, 300)
        self.sit_down()

    def sit_down(self) -> None:
        """Begin a session of a new name."""
        self._sessions += 1
        settings = MqttSettings(
            host="127.0.0.1", port=self._port, reconnect_s_min=0.1, reconnect_s_max=0.3
        )
        name = f"driver-{self._sessions}"
        self._client = Client(settings, name, self._hear, StatusPresence(name, "1"))
        kinds = ("decision/+", "alarm/+", "wanted/+", "ack", "gap", "growth", "receipt")
        others = ("rejected", "response", "event/#")
        self._client.subscribe([f"{BASE}/{kind}" for kind in (*kinds, *others)])
        self._client.start()

    def _hear(self, arrival: Arrival) -> None:
        self._client.settle(arrival.ticket)
        self.heard.take(json.loads(arrival.payload))

    def rest(self, seconds: float) -> None:
        """Hear for a while."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._client.pump(PUMP_S)
            self._client.acked()

    def work(self, seconds: float) -> None:
        """Send for a while: a vector each turn, and each tenth one's label."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._client.pump(PUMP_S)
            self._client.acked()
            self.sent += 1
            name = f"o{self.sent}"
            values = self._vectors[self.sent % len(self._vectors)]
            self._publish(f"{BASE}/observe/{STREAM}", f'{{"id":"{name}","values":{values}}}')
            if self.sent % 10 == 0:
                label = "abc"[self.sent % 3]
                order = {"verb": "label", "id": f"{label}/{name}", "label": label}
                self._publish(f"{BASE}/command/label", json.dumps(order | {"observation_id": name}))

    def _publish(self, topic: str, text: str) -> None:
        self._client.publish(topic, text.encode())

    def await_silence(self) -> None:
        """Hear until nothing has come for a while."""
        until = time.monotonic() + 10 * ANSWER_S
        seen, quiet_since = -1, time.monotonic()
        while time.monotonic() - quiet_since < QUIET_S and time.monotonic() < until:
            self.rest(0.5)
            if len(self.heard.by_number) != seen:
                seen, quiet_since = len(self.heard.by_number), time.monotonic()

    def close(self) -> None:
        """Leave."""
        self._client.stop(1.0)
        self._client.close()


def run(_data: Path | None, kills: int = KILLS) -> Report:
    """Kill the daemon so often, and the broker a third as often."""
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        broker = Broker(folder, *DURABLE, f"persistence_location {folder}/")
        broker.start()
        home = folder / "home"
        make_home(home, broker.port, COLUMNS)
        with (home / "auricle.toml").open("a", encoding="utf-8") as file:
            file.write('\n[commands]\nenabled = ["label"]\nper_minute = 100000\n')
            file.write("[outbox]\nreplay_per_s = 2000\n")
        driver = Driver(broker.port)
        for _ in range(kills):
            process = begin(daemon_command(home), folder / "log")
            _await_life(driver)
            driver.work(chance.uniform(*BURST_S))
            process.kill()
            process.wait()
        _run_out(driver, home, folder)
        unreported, gaps = driver.heard.unreported(), len(driver.heard.gaps)
        broker_kills = _kill_broker(driver, broker, home, folder, chance, kills // BROKER_EVERY)
        driver.close()
        broker.kill()
        lost = _lost_labels(home, driver.heard.confirmed)
    heard = driver.heard
    summary = {
        "kill9_runs": float(kills),
        "broker_kills": float(broker_kills),
        "acknowledged_lost": float(lost),
        "duplicates_after_dedup": float(heard.conflicts),
        "gaps_unreported": float(unreported),
    }
    counts = {
        "vectors sent": driver.sent,
        "messages heard": len(heard.by_number),
        "messages repeated": heard.repeated,
        "labels confirmed": len(heard.confirmed),
        "gaps told": gaps,
    }
    rows = tuple(Row("daemon", name, float(count)) for name, count in counts.items())
    return Report("faults", rows, summary)


def _run_out(driver: Driver, home: Path, folder: Path) -> None:
    """Let the daemon tell all that waits, and end in order."""
    process = begin(daemon_command(home), folder / "log")
    _await_life(driver)
    driver.await_silence()
    process.terminate()
    process.wait()
    driver.rest(1.0)


def _kill_broker(
    driver: Driver, broker: Broker, home: Path, folder: Path, chance: random.Random, kills: int
) -> int:
    """Kill the broker while the daemon serves; returns how often.  Each time the driver begins a
    new session: one that a killed mosquitto restores may stay silent."""
    process = begin(daemon_command(home), folder / "log")
    _await_life(driver)
    for _ in range(kills):
        driver.work(chance.uniform(*BURST_S))
        broker.kill()
        driver.rest(chance.uniform(0.0, 0.3))
        broker.start()
        driver.close()
        driver.sit_down()
        _await_life(driver)
    process.kill()
    process.wait()
    _run_out(driver, home, folder)
    return kills


def _await_life(driver: Driver) -> None:
    """Send until the daemon decides: it is there."""
    until, before = time.monotonic() + ANSWER_S, len(driver.heard.by_number)
    while len(driver.heard.by_number) == before:
        assert time.monotonic() < until, "the daemon does not come back"
        driver.work(0.02)
        driver.rest(0.1)


def _lost_labels(home: Path, confirmed: dict[str, str]) -> int:
    """How many confirmed labels are not in the knowledge file."""
    from edge import Store

    with Store.open(home / "knowledge.db", writable=False) as store:
        found = {name: store.get(name) for name in confirmed}
    return sum(fact is None or fact.label != confirmed[name] for name, fact in found.items())
