"""Payloads against npm's sparkplug-payload, the library of Eclipse Tahu for JavaScript."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edge import Decision
from edge.config.mqtt import SparkplugSettings
from edge.core.events import ChangePoint
from edge.mqtt.packets import InboundMessage, OutboundMessage
from edge.mqtt.sparkplug.metrics import metric_values
from edge.mqtt.sparkplug.node import REBIRTH, EdgeNode
from edge.mqtt.sparkplug.payload import decode_metrics

PLACE = os.environ.get("AURICLE_SPARKPLUG_PAYLOAD", "")
pytestmark = pytest.mark.skipif(
    not PLACE or shutil.which("node") is None,
    reason="needs node, and AURICLE_SPARKPLUG_PAYLOAD: a folder where npm installed the library",
)
AT_MS = 1_764_000_000_000
DECISION = Decision(
    observation_id="ö:1",
    stream="cam",
    captured_at_ns=AT_MS * 10**6,
    known=True,
    domain="yard",
    label=None,
    guess="cat",
    score=0.5,
    p_value=0.2,
    window_p=float("nan"),
    alarm=False,
)


def peer(*payloads: bytes, commands: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The payloads as the library decodes them, and the commands as it encodes them."""
    given = {
        "payloads": [base64.b64encode(one).decode() for one in payloads],
        "commands": commands or [],
    }
    done = subprocess.run(
        ["node", Path(__file__).parent / "peer.js"],
        input=json.dumps(given),
        env={**os.environ, "NODE_PATH": str(Path(PLACE) / "node_modules")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def born() -> tuple[EdgeNode, list[OutboundMessage]]:
    """A node, and the messages of its birth."""
    node = EdgeNode(SparkplugSettings("plant", "gw1"), "1.0", {"cam": None, "load": ("x",)}, 3)
    death = node.next_will(AT_MS)
    return node, [death, *node.births(AT_MS)]


def test_births_and_deaths_are_read_with_their_names_and_types():
    """Every metric of NDEATH, NBIRTH and DBIRTH arrives with name, type and value."""
    _, messages = born()
    death, node_birth, cam, load = (
        one["untyped"] for one in peer(*(m.payload for m in messages))["decoded"]
    )
    assert [(m["name"], m["value"]) for m in death["metrics"]] == [("bdSeq", 3)]
    assert "seq" not in death
    metrics = {m["name"]: m for m in node_birth["metrics"]}
    assert node_birth["seq"] == 0
    assert metrics["bdSeq"]["value"] == 3
    assert (metrics[REBIRTH]["type"], metrics[REBIRTH]["value"]) == ("Boolean", False)
    assert (cam["seq"], load["seq"]) == (1, 2)
    types = {m["name"]: m["type"] for m in cam["metrics"]}
    assert (types["score"], types["known"], types["label"]) == ("Double", "Boolean", "String")
    assert {m["name"]: m["type"] for m in load["metrics"]}["regime"] == "Int64"
    aliases = [m["alias"] for one in (cam, load) for m in one["metrics"]]
    assert len(set(aliases)) == len(aliases)


@pytest.mark.parametrize("historical", [False, True])
def test_data_is_read_with_the_types_of_the_birth(historical):
    """Numbers, truth values, texts beyond ASCII and nulls come through; the library itself reads
    data without a type as null, so a host has to keep the types of the birth."""
    node, messages = born()
    values = metric_values(DECISION)
    assert values is not None
    data = node.data(values, AT_MS + 1, historical=historical)
    assert data is not None
    *_, cam, _, read = peer(*(m.payload for m in messages), data.payload)["decoded"]
    names = {m["alias"]: m["name"] for m in cam["typed"]["metrics"]}
    found = {names[m["alias"]]: m for m in read["typed"]["metrics"]}
    shown = {name: found[name]["value"] for name in ("score", "known", "domain", "observation_id")}
    assert shown == {"score": 0.5, "known": True, "domain": "yard", "observation_id": "ö:1"}
    assert found["label"]["value"] is None
    assert found["window_p"]["value"] is None
    assert {m["timestamp"] for m in found.values()} == {AT_MS}
    assert all(m.get("isHistorical", False) == historical for m in found.values())
    assert {m["value"] for m in read["untyped"]["metrics"]} == {None}


def test_a_negative_whole_number_keeps_its_sign():
    """Int64 travels in an unsigned field (section 6.4.16)."""
    node, messages = born()
    change = ChangePoint(
        stream="load",
        observation_id="1",
        captured_at_ns=AT_MS * 10**6,
        change="level",
        channels=("x",),
        severity=1.0,
        regime=-7,
        late=0,
    )
    values = metric_values(change)
    assert values is not None
    data = node.data(values, AT_MS + 1)
    assert data is not None
    *_, load, read = peer(*(m.payload for m in messages), data.payload)["decoded"]
    names = {m["alias"]: m["name"] for m in load["typed"]["metrics"]}
    found = {names[m["alias"]]: m["value"] for m in read["typed"]["metrics"]}
    assert found["regime"] == -7


def test_a_command_that_the_library_encodes_is_obeyed():
    """Its rebirth command reaches the node; values of every basic type are read from it."""
    node, _ = born()
    rebirth = {
        "timestamp": AT_MS,
        "metrics": [{"name": REBIRTH, "type": "Boolean", "value": True, "timestamp": AT_MS}],
    }
    many = {
        "timestamp": AT_MS,
        "seq": 7,
        "metrics": [
            {"name": "i", "type": "Int32", "value": 5},
            {"name": "l", "type": "Int64", "value": 1 << 40},
            {"name": "f", "type": "Float", "value": 1.5},
            {"name": "d", "type": "Double", "value": -2.25},
            {"name": "s", "type": "String", "value": "größer"},
        ],
    }
    command, mixed = (base64.b64decode(one) for one in peer(commands=[rebirth, many])["encoded"])
    assert node.handle(InboundMessage(topic="spBv1.0/plant/NCMD/gw1", payload=command))
    assert node.rebirth_requested
    assert decode_metrics(mixed) == {"i": 5, "l": 1 << 40, "f": 1.5, "d": -2.25, "s": "größer"}
