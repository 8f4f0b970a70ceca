"""Series through a daemon: forecasts and changes by topic, and across restarts."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import jsonschema
import numpy as np

from edge.daemon import homes
from edge.mqtt.schemas import message_schemas
from edge.sources.measurement import Measurement, MeasurementMetadata
from tests.brokers import Mosquitto, Seat, needs_mosquitto, quick, seated
from tests.daemons import Served, daemon_home, served

STEP_NS = 300 * 10**9
ROWS = 1000 + np.cumsum(np.random.default_rng(0).normal(size=(90, 6)), axis=0)
DOOR = '[streams.links]\nsource = "http"\nkind = "series"\n'
MQTT = """
[mqtt]
host = "127.0.0.1"
port = {port}

[streams.links]
source = "topic"
kind = "series"
"""


def sample(number: int) -> Measurement:
    """A sample of the series, five minutes after the previous one."""
    given = MeasurementMetadata(captured_at_ns=number * STEP_NS, id=f"n{number}")
    return Measurement("links", ROWS[number], given)


def publish_rows(folder: Path, first: int, last: int) -> list[tuple[object, object]]:
    """Run a daemon for some samples and close it in order; returns the forecasts by id."""
    with served(folder) as here:
        for number in range(first, last):
            here.daemon.inbox.offer(sample(number))
            here.until(partial(_heard, here, f"n{number}"))
        messages = here.kinds("forecast")
    return [(one["observation_id"], one["point"]) for one in messages]


def _heard(here: Served, key: str) -> bool:
    return any(one["observation_id"] == key for one in here.kinds("forecast"))


def test_a_restart_costs_a_series_nothing(tmp_path: Path) -> None:
    """A restarted daemon forecasts like one that kept running."""
    one, two = (daemon_home(tmp_path / name, DOOR) for name in ("one", "two"))
    whole = publish_rows(one, 0, 40)
    assert publish_rows(two, 0, 25) + publish_rows(two, 25, 40) == whole


def test_a_running_daemon_saves_now_and_then(tmp_path: Path, monkeypatch) -> None:
    """A crash loses only the samples since the last save; the reason for a fresh start is in the
    log."""
    monkeypatch.setattr(homes, "SAVE_S", 0.0)
    folder = daemon_home(tmp_path, DOOR)
    kept = folder / "knowledge.db.series"
    with served(folder) as here:
        here.daemon.inbox.offer(sample(0))
        here.until(kept.exists)
    kept.write_bytes(b"something else")
    with served(folder) as again:
        home = again.daemon.homes[""].home
        assert home is not None
        assert "start from scratch" in home.session.problem


def _answered(ear: Seat, count: int) -> bool:
    ear.broker.pump(0.01)
    return sum("/forecast/" in one.topic for one in ear.arrivals) == count


@needs_mosquitto
def test_samples_go_in_by_a_topic_and_forecasts_and_changes_out(tmp_path: Path) -> None:
    """Through a real broker and a restart: each sample gets a forecast, a failure a change point,
    and all messages fit their schemas."""
    rows = ROWS.copy()
    rows[80:] *= np.array([0.0, 1.5, 1.4, 1.6, 1.0, 1.0])
    with Mosquitto(tmp_path / "broker") as broker, seated(quick(broker.port), "ear") as ear:
        ear.broker.subscribe(["auricle/v1/gw1/forecast/+", "auricle/v1/gw1/change-point/+"])
        ear.online()
        ear.until(lambda: ear.broker.counters.reasons["SUBACK: Granted QoS 1"] >= 2)
        folder = daemon_home(tmp_path / "home", MQTT.format(port=broker.port))
        for first, last in ((0, 60), (60, 90)):
            with served(folder) as here:
                here.until(lambda: here.daemon.connection.online)
                for number in range(first, last):
                    result = {"values": rows[number].tolist(), "captured_at_ns": number * STEP_NS}
                    ear.say("auricle/v1/gw1/observe/links", json.dumps(result).encode())
                here.until(partial(_answered, ear, last))
        messages = [json.loads(one.payload) for one in ear.arrivals]
        for one in messages:
            jsonschema.validate(one, message_schemas()[one["schema"].rpartition("/")[2]])
        (change,) = [one for one in messages if one["schema"] == "auricle/v1/change-point"]
        assert set(change["channels"]) >= {"1", "2", "3"}
        assert change["captured_at_ns"] == 80 * STEP_NS
        forecasts = [one for one in messages if one["schema"] == "auricle/v1/forecast"]
        assert len(forecasts) == 90
        assert 1400 < forecasts[-1]["point"][0][1] < 1600


@needs_mosquitto
def test_a_step_in_one_of_two_channels_is_published_as_a_change(tmp_path: Path) -> None:
    """Through a real broker: a step that `auricle forecast` finds is a change message of the
    daemon, which names the channel that moved."""
    rows = 20 + np.random.default_rng(3).normal(scale=0.2, size=(120, 2))
    rows[80:, 1] += 15
    with Mosquitto(tmp_path / "broker") as broker, seated(quick(broker.port), "ear") as ear:
        ear.broker.subscribe(["auricle/v1/gw1/forecast/+", "auricle/v1/gw1/change-point/+"])
        ear.online()
        ear.until(lambda: ear.broker.counters.reasons["SUBACK: Granted QoS 1"] >= 2)
        folder = daemon_home(tmp_path / "home", MQTT.format(port=broker.port))
        with served(folder) as here:
            here.until(lambda: here.daemon.connection.online)
            for row in rows:
                result = {"values": {"inlet": row[0], "outlet": row[1]}}
                ear.say("auricle/v1/gw1/observe/links", json.dumps(result).encode())
            here.until(partial(_answered, ear, len(rows)))
        messages = [json.loads(one.payload) for one in ear.arrivals]
    changes = [one for one in messages if one["schema"] == "auricle/v1/change-point"]
    assert [(one["change"], one["channels"]) for one in changes] == [("level", ["outlet"])]
