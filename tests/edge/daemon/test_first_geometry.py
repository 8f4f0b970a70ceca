"""A home that is taught by labels over MQTT gets a geometry while the daemon decides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edge.commands import response_body, send_to_daemon
from edge.home.first_geometry import FITTED_FROM
from tests.brokers import Mosquitto, needs_mosquitto, quick, seated
from tests.daemons import Process, until
from tests.homes import new_home
from tests.worlds import clouds

SETTINGS = """
[device]
name = "gw1"

[mqtt]
host = "127.0.0.1"
port = {port}

[commands]
enabled = ["label"]
per_minute = 6000

[streams.press]
source = "topic"
"""


def ask(home: Path, verb: str) -> dict[str, Any]:
    """The daemon's answer to a request."""
    return response_body(send_to_daemon(home, {"verb": verb, "id": verb}))


@needs_mosquitto
def test_labels_over_mqtt_fit_it(tmp_path: Path) -> None:
    """At the hundredth label, without a command; the history says so, and what comes next is
    decided under it."""
    home = new_home(tmp_path / "home")
    with Mosquitto(tmp_path / "broker") as mosquitto:
        with (home / "auricle.toml").open("a", encoding="utf-8") as settings:
            settings.write(SETTINGS.format(port=mosquitto.port))
        daemon = Process(home)
        with seated(quick(mosquitto.port), "person") as person:
            person.broker.subscribe(["auricle/v1/gw1/status", "auricle/v1/gw1/decision/press"])
            person.online()
            person.until(lambda: any(b'"online"' in one.payload for one in person.arrivals))
            rows = clouds((1, 2), FITTED_FROM // 2)
            for number, row in enumerate(rows, 1):
                measured = {"values": row.tolist(), "id": f"n{number}"}
                person.say("auricle/v1/gw1/observe/press", json.dumps(measured).encode())
                label = {
                    "verb": "label",
                    "id": f"l{number}",
                    "observation_id": f"n{number}",
                    "label": "ab"[number > FITTED_FROM // 2],
                    "domain": "hall",
                }
                if number == FITTED_FROM:
                    until(lambda: ask(home, "knowledge")["facts"] == FITTED_FROM - 1)
                    assert ask(home, "knowledge")["geometry"]["fitted"] is False
                person.say("auricle/v1/gw1/command/label", json.dumps(label).encode())
            until(lambda: ask(home, "knowledge")["geometry"]["fitted"])
            expected = f"The geometry was fitted to the first {FITTED_FROM} labelled facts"
            until(lambda: expected in json.dumps(ask(home, "history")))
            last = {"values": rows[-1].tolist(), "id": "last"}
            person.say("auricle/v1/gw1/observe/press", json.dumps(last).encode())
            person.until(lambda: b'"last"' in person.arrivals[-1].payload)
            assert json.loads(person.arrivals[-1].payload)["guess"] == "b"
        daemon.stop()
