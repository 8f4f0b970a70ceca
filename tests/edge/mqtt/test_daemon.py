"""The daemon on a real broker, with every telemetry option."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edge.daemon.daemon import Daemon
from edge.mqtt.schemas import message_schemas
from tests.brokers import Mosquitto, Seat, needs_mosquitto, quick, seated
from tests.homes import learned_home
from tests.sparkplugs import read_payload
from tests.worlds import vector

pytestmark = needs_mosquitto
OTHERS = {"observe", "homeassistant"}
"""Topics below the device's own whose messages have no schema."""
SETTINGS = """
[device]
name = "gw1"
health_interval_s = 1

[mqtt]
host = "127.0.0.1"
port = {port}

[mqtt.homeassistant]

[mqtt.sparkplug]
group = "plant"
edge_node = "gw1"

[commands]
enabled = ["rebirth"]

[streams.press]
source = "topic"

[streams.power]
source = "topic"
kind = "series"
"""


@pytest.fixture
def watched(tmp_path: Path):
    """A daemon, and a client that receives everything."""
    home = learned_home(tmp_path / "home")
    with Mosquitto(tmp_path / "broker") as mosquitto:
        with (home / "auricle.toml").open("a", encoding="utf-8") as settings:
            settings.write(SETTINGS.format(port=mosquitto.port))
        running: list[Daemon] = []
        thread = threading.Thread(target=serve, args=(home, running))
        with seated(quick(mosquitto.port), "watcher") as watcher:
            watcher.broker.subscribe(["auricle/#", "homeassistant/#", "spBv1.0/#"])
            watcher.online()
            watcher.until(lambda: watcher.broker.counters.reasons["SUBACK: Granted QoS 1"] >= 3)
            thread.start()
            watcher.until(lambda: running)
            yield watcher, running[0]
            running[0].stop()
            thread.join(10)
            assert not thread.is_alive()


def serve(home: Path, running: list[Daemon]) -> None:
    """Run a daemon; SQLite requires that its thread opens the files."""
    running.append(Daemon(home))
    running[0].run()


def heard(watcher: Seat, end: str) -> list[Any]:
    """The payloads of the topics with an ending."""
    return [one.payload for one in watcher.arrivals if one.topic.endswith(end)]


def test_a_measurement_becomes_a_decision_everywhere(watched: tuple[Seat, Daemon]) -> None:
    """A vector on a topic becomes a decision as JSON that fits its schema, in Home Assistant and as
    Sparkplug data; a rebirth announces the device again."""
    watcher, daemon = watched
    watcher.until(lambda: heard(watcher, "gw1/status") and heard(watcher, "NBIRTH/gw1"))
    values = json.dumps({"values": [float(one) for one in vector(1)]}).encode()
    watcher.say("auricle/v1/gw1/observe/press", values)
    watcher.until(lambda: heard(watcher, "decision/press") and heard(watcher, "DDATA/gw1/press"))
    watcher.until(lambda: heard(watcher, "gw1/health"))
    for one in watcher.arrivals:
        if one.topic.startswith("auricle/") and not OTHERS & set(one.topic.split("/")):
            result = json.loads(one.payload)
            jsonschema.validate(result, message_schemas()[result["schema"].rpartition("/")[2]])
    (decision,) = map(json.loads, heard(watcher, "decision/press"))
    born = read_payload(heard(watcher, "DBIRTH/gw1/press")[0]).metrics
    data = read_payload(heard(watcher, "DDATA/gw1/press")[0]).metrics
    assert data[born["observation_id"]["alias"]]["value"] == decision["observation_id"]
    announced = json.loads(heard(watcher, "auricle_gw1/config")[0])
    topics = {part["state_topic"] for part in announced["cmps"].values()}
    messages = {one.topic for one in watcher.arrivals}
    assert topics - messages == {
        "auricle/v1/gw1/alarm/press",
        "auricle/v1/gw1/anomaly/power",
        "auricle/v1/gw1/change-point/power",
        "auricle/v1/gw1/forecast/power",
    }
    watcher.say("auricle/v1/gw1/command/rebirth", b'{"id": "again", "verb": "rebirth"}')
    watcher.until(lambda: len(heard(watcher, "NBIRTH/gw1")) == 2)
    watcher.until(lambda: len(heard(watcher, "auricle_gw1/config")) == 2)
    daemon.stop()
    watcher.until(lambda: heard(watcher, "NDEATH/gw1"))
    watcher.until(lambda: len(heard(watcher, "gw1/status")) == 3)
    assert json.loads(heard(watcher, "gw1/status")[-1])["reason"] == "stopped"


def test_a_series_is_announced_once_its_channels_are_known(watched: tuple[Seat, Daemon]) -> None:
    """The first sample names the channels; their entities and metrics are announced, and receive
    the next forecasts."""
    watcher, _ = watched
    watcher.until(lambda: heard(watcher, "auricle_gw1/config") and heard(watcher, "NBIRTH/gw1"))
    topic = "auricle/v1/gw1/observe/power"
    for number in range(3):
        watcher.say(topic, json.dumps({"values": {"volt": 230 + number, "ampere": 2}}).encode())
    watcher.until(lambda: len(heard(watcher, "forecast/power")) == 3)
    watcher.until(lambda: len(heard(watcher, "auricle_gw1/config")) >= 2)
    entities = json.loads(heard(watcher, "auricle_gw1/config")[-1])["cmps"]
    assert {"auricle_gw1_power_volt_forecast", "auricle_gw1_power_change"} <= set(entities)
    assert "auricle_gw1_press_novelty" in entities
    watcher.until(lambda: heard(watcher, "DDATA/gw1/power"))
    born = read_payload(heard(watcher, "DBIRTH/gw1/power")[-1]).metrics
    data = read_payload(heard(watcher, "DDATA/gw1/power")[-1]).metrics
    assert born["forecast/volt"]["alias"] in data


def test_a_reload_announces_the_new_streams(watched: tuple[Seat, Daemon]) -> None:
    """Home Assistant and Sparkplug announce a new stream, remove an old one and update a changed
    one; invalid settings announce nothing."""
    watcher, daemon = watched
    watcher.until(lambda: heard(watcher, "auricle_gw1/config") and heard(watcher, "NBIRTH/gw1"))
    path = daemon.folder / "auricle.toml"
    text = path.read_text("utf-8")
    path.write_text(f"{text}\n[streams.late]\nsource = 7\n", "utf-8")
    daemon.request_reload()
    watcher.until(lambda: "auricle.toml" in daemon.problems.get("settings", ""))
    changed = text.replace("[streams.power]", "[streams.late]")
    path.write_text(changed, "utf-8")
    daemon.request_reload()
    watcher.until(lambda: heard(watcher, "DBIRTH/gw1/late") and heard(watcher, "DDEATH/gw1/power"))
    watcher.until(lambda: len(heard(watcher, "auricle_gw1/config")) == 2)
    assert streams_of(watcher) == {"press", "late"}
    watcher.say("auricle/v1/gw1/observe/late", b'{"values": {"volt": 230}}')
    watcher.until(lambda: heard(watcher, "forecast/late"))
    births = len(heard(watcher, "DBIRTH/gw1/late"))
    path.write_text(changed.replace('kind = "series"', 'kind = "sample"'), "utf-8")
    daemon.request_reload()
    watcher.until(lambda: len(heard(watcher, "DBIRTH/gw1/late")) > births)
    assert "score" in read_payload(heard(watcher, "DBIRTH/gw1/late")[-1]).metrics
    watcher.until(lambda: "decision/late" in topics_of(watcher))


def topics_of(watcher: Seat) -> str:
    """The topics in the newest announcement to Home Assistant."""
    entities = json.loads(heard(watcher, "auricle_gw1/config")[-1])["cmps"].values()
    return " ".join(one.get("state_topic", "") for one in entities)


def streams_of(watcher: Seat) -> set[str]:
    """The streams in the newest announcement."""
    kinds = ("decision/", "forecast/", "change-point/", "alarm/")
    topics = [one for one in topics_of(watcher).split() if any(kind in one for kind in kinds)]
    return {topic.rpartition("/")[2] for topic in topics}
