"""Named values through a daemon and a real broker."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from edge import Store
from tests.brokers import Mosquitto, Seat, needs_mosquitto, quick, seated
from tests.daemons import Served, served
from tests.homes import CARD, learned_home
from tests.worlds import WIDTH, vector

pytestmark = needs_mosquitto
NAMES = tuple(f"x{number}" for number in range(WIDTH))
SETTINGS = """
[device]
name = "gw1"

[mqtt]
host = "127.0.0.1"
port = {port}

[streams.press]
source = "topic"

[streams.probe]
source = "topic"
topic = "zigbee2mqtt/probe"
columns = ["x7", "nested.x6", "x5", "x4", "x3", "x2", "x1", "x0"]

[streams.climate]
source = "topic"
topic = "zigbee2mqtt/climate"
kind = "series"
"""
TOPICS = ["auricle/v1/gw1/decision/+", "auricle/v1/gw1/rejected", "auricle/v1/gw1/forecast/+"]


def heard(ear: Seat, here: Served, topic: str, count: int) -> list[dict[str, object]]:
    """Wait for messages of a topic, and return their content."""
    found: list[dict[str, object]] = []

    def enough() -> bool:
        ear.broker.pump(0.01)
        arrived = [one for one in ear.arrivals if f"/{topic}" in one.topic]
        found[:] = [json.loads(one.payload) for one in arrived]
        return len(found) >= count

    here.until(enough)
    return found


def say(ear: Seat, topic: str, message: object) -> None:
    """Publish a message as JSON."""
    ear.say(topic, json.dumps(message).encode())


@pytest.mark.parametrize("named", [True, False])
def test_named_values_and_fields_are_decided_as_the_plain_vector(
    tmp_path: Path, named: bool
) -> None:
    """Values by name in any order, and the fields of a device at the top level or nested, give the
    decision of the vector; a missing field is rejected by its name.  A home without names accepts
    values that the settings order, and rejects values without an order."""
    folder, values = learned_home(tmp_path / "home"), [float(one) for one in vector(1)]
    by_name = dict(zip(NAMES, values, strict=True))
    order = [*NAMES[::-1]] if not named else list(NAMES)
    order[order.index("x6")] = "nested.x6"
    with Store.open(folder / "knowledge.db", CARD) as store:
        if named:
            store.name_columns(order, CARD)
    with Mosquitto(tmp_path / "broker") as broker, seated(quick(broker.port), "ear") as ear:
        with (folder / "auricle.toml").open("a", encoding="utf-8") as file:
            file.write(SETTINGS.format(port=broker.port))
        ear.broker.subscribe(TOPICS)
        ear.online()
        ear.until(lambda: ear.broker.counters.reasons["SUBACK: Granted QoS 1"] >= len(TOPICS))
        with served(folder) as here:
            here.until(lambda: here.daemon.connection.online)
            fields = {**by_name, "nested": {"x6": by_name["x6"]}, "linkquality": 80, "state": "ON"}
            del fields["x6"]
            say(ear, "auricle/v1/gw1/observe/press", {"values": values})
            say(ear, "zigbee2mqtt/probe", fields)
            say(ear, "auricle/v1/gw1/observe/press", {"values": fields | {"state": 0}})
            say(ear, "zigbee2mqtt/probe", {"state": "OFF"})
            decisions = heard(ear, here, "decision", 3 if named else 2)
            rejected = heard(ear, here, "rejected", 1 if named else 2)
    first, *others = [(one["guess"], one["score"]) for one in decisions]
    assert all(one == first for one in others) is named
    reasons = sorted(str(one["reason"]) for one in rejected)
    assert "missing fields: x7, nested.x6" in reasons[0]
    assert named or "no column names" in reasons[1]


def test_fields_of_a_series_are_fixed_by_its_first_message(tmp_path: Path, capsys) -> None:
    """A device's fields become channels; a later new field is logged once and ignored."""
    folder = learned_home(tmp_path / "home")
    with Mosquitto(tmp_path / "broker") as broker, seated(quick(broker.port), "ear") as ear:
        with (folder / "auricle.toml").open("a", encoding="utf-8") as file:
            file.write(SETTINGS.format(port=broker.port))
        ear.broker.subscribe(TOPICS)
        ear.online()
        ear.until(lambda: ear.broker.counters.reasons["SUBACK: Granted QoS 1"] >= len(TOPICS))
        with served(folder) as here:
            here.until(lambda: here.daemon.connection.online)
            for number in range(4):
                more = {"update": {"progress": number}} if number else {}
                message = {"temperature": 20 + number, "battery": {"voltage": 3.0}, "state": "ON"}
                say(ear, "zigbee2mqtt/climate", message | more)
                here.until(partial(heard, ear, here, "forecast", number + 1))
            messages = heard(ear, here, "forecast", 4)
    assert [one["channels"] for one in messages] == [["temperature", "battery.voltage"]] * 4
    logged = [line for line in capsys.readouterr().err.splitlines() if "columns_ignored" in line]
    assert [json.loads(line)["columns"] for line in logged] == ["update.progress"]
