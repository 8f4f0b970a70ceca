"""An edge node of Sparkplug B.  Where the specification's test kit has an id, the test names it."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge import Decision, EdgeError
from edge.config.mqtt import MqttSettings, SparkplugSettings
from edge.core.events import ChangePoint, SeriesForecast
from edge.extras import install_command
from edge.mqtt.packets import InboundMessage, OutboundMessage
from edge.mqtt.presences import make_sparkplug
from edge.mqtt.sparkplug.client import HISTORY_MAX, Sparkplug
from edge.mqtt.sparkplug.metrics import metric_values
from edge.mqtt.sparkplug.node import REBIRTH, EdgeNode
from edge.mqtt.sparkplug.payload import decode_metrics
from tests.brokers import Mosquitto, Seat, needs_mosquitto, quick, seated
from tests.proxies import CuttingProxy
from tests.sparkplugs import Read, read_payload, rebirth_command

NODE = "spBv1.0/plant/{}/gw1"
SETTINGS = SparkplugSettings("plant", "gw1")
HOSTED = SparkplugSettings("plant", "gw1", "scada")
STATE = "spBv1.0/STATE/scada"
DECISION = Decision(
    observation_id="c:1",
    stream="cam",
    captured_at_ns=5_000_000,
    known=True,
    domain="yard",
    label=None,
    guess="cat",
    score=0.5,
    p_value=0.2,
    window_p=0.1,
    alarm=False,
)


def node(settings: SparkplugSettings = SETTINGS) -> EdgeNode:
    """A node that has given its NDEATH to the broker."""
    made = EdgeNode(settings, "1.0", {"cam": None, "mic": None})
    made.next_will(1)
    return made


def encode_message(
    here: EdgeNode, message: object, at_ms: int, *, historical: bool = False
) -> OutboundMessage | None:
    """The DDATA of a message."""
    measured = metric_values(message)
    assert measured is not None
    return here.data(measured, at_ms, historical=historical)


def test_topics_nbirth_seq_num() -> None:
    """NBIRTH has sequence number 0, later messages count on modulo 256, and a rebirth starts
    again."""
    here = node()
    births = here.births(2)
    assert [read_payload(one.payload).seq for one in births] == [0, 1, 2]
    for number in range(3, 300):
        letter = encode_message(here, msgspec.structs.replace(DECISION, score=float(number)), 3)
        assert letter is not None
        assert read_payload(letter.payload).seq == number % 256
    assert read_payload(here.births(4)[0].payload).seq == 0


def test_topics_nbirth_bdseq_matching() -> None:
    """NBIRTH has the bdSeq of the will of its connection, also after a rebirth; the next
    connection's is one higher, modulo 256."""
    here = EdgeNode(SETTINGS, "1.0", {}, 255)
    for expected in (255, 0, 1):
        will = read_payload(here.next_will(1).payload)
        assert will.metrics["bdSeq"]["value"] == expected
        for _ in range(2):
            assert read_payload(here.births(2)[0].payload).metrics["bdSeq"]["value"] == expected


def test_payloads_ndeath_seq() -> None:
    """NDEATH has no sequence number and one metric; it is sent with QoS 1 and not retained."""
    letter = node().death(7)
    read = read_payload(letter.payload)
    assert (read.seq, read.timestamp, set(read.metrics)) == (None, 7, {"bdSeq"})
    assert (letter.topic, letter.qos, letter.retain) == (NODE.format("NDEATH"), 1, False)


def test_topics_nbirth_rebirth_metric() -> None:
    """NBIRTH offers Node Control/Rebirth: boolean, false, without an alias."""
    metric = read_payload(node().births(2)[0].payload).metrics[REBIRTH]
    assert (metric["datatype"], metric["value"]) == (11, False)
    assert "alias" not in metric


def test_payloads_alias_uniqueness() -> None:
    """Births give each metric a name, alias, datatype and time, and no alias occurs twice in the
    node."""
    births = [read_payload(one.payload) for one in node().births(2)]
    metrics = [one for birth in births for one in birth.metrics.values() if one["name"] != REBIRTH]
    assert all({"name", "alias", "datatype", "timestamp"} <= set(one) for one in metrics)
    aliases = [one["alias"] for one in metrics]
    assert len(set(aliases)) == len(aliases) == 2 + 2 * 9


def test_operational_behavior_data_publish_dbirth_values() -> None:
    """A DBIRTH holds the newest value of each metric, null if there is none yet."""
    here = node()
    before = read_payload(here.births(2)[1].payload).metrics
    assert all(one["is_null"] for one in before.values())
    encode_message(here, DECISION, 3)
    after = read_payload(here.births(4)[1].payload).metrics
    assert (after["domain"]["value"], after["score"]["value"]) == ("yard", 0.5)
    assert after["label"]["is_null"]
    assert after["score"]["timestamp"] == 5


def test_payloads_alias_data_cmd_requirement() -> None:
    """DDATA holds only changed metrics, by alias, without names and datatypes."""
    here = node()
    names = {
        m["alias"]: m["name"] for m in read_payload(here.births(2)[1].payload).metrics.values()
    }
    first, second = (
        encode_message(here, DECISION, 3),
        encode_message(here, msgspec.structs.replace(DECISION, score=math.nan), 4),
    )
    assert first is not None
    assert second is not None
    assert (first.topic, first.qos, first.retain) == (NODE.format("DDATA") + "/cam", 0, False)
    read = read_payload(first.payload)
    assert {names[alias] for alias in read.metrics} == set(names.values())
    assert not any({"name", "datatype"} & set(one) for one in read.metrics.values())
    changed = read_payload(second.payload).metrics
    assert {names[alias]: one.get("is_null") for alias, one in changed.items()} == {"score": 1}


def test_payloads_historical_values_change_nothing_live() -> None:
    """Historical data are marked, and a later birth holds the live values."""
    here = node()
    here.births(2)
    encode_message(here, DECISION, 3)
    late = encode_message(
        here, msgspec.structs.replace(DECISION, score=9.0, captured_at_ns=1), 4, historical=True
    )
    assert late is not None
    assert all(one["is_historical"] for one in read_payload(late.payload).metrics.values())
    assert read_payload(here.births(5)[1].payload).metrics["score"]["value"] == 0.5


def test_a_new_stream_is_born_before_it_has_data() -> None:
    """An unknown stream requests a rebirth, and no data precede it; then it is a device like the
    others."""
    here = node()
    here.births(2)
    news = msgspec.structs.replace(DECISION, stream="new/one")
    assert encode_message(here, news, 3) is None
    assert encode_message(here, news, 3) is None
    assert here.rebirth_requested
    assert here.births(4)[-1].topic == NODE.format("DBIRTH") + "/new%2Fone"
    assert encode_message(here, news, 5) is not None


def test_operational_behavior_data_commands_rebirth_action_1() -> None:
    """Between a rebirth request and the birth no data are published."""
    here = node()
    here.births(2)
    request = InboundMessage(topic=NODE.format("NCMD"), payload=rebirth_command(), ticket=1)
    assert here.handle(request)
    assert encode_message(here, DECISION, 3) is None
    here.births(4)
    assert encode_message(here, DECISION, 5) is not None


def test_operational_behavior_device_ddeath() -> None:
    """A removed stream gets a DDEATH with the next sequence number and no metric; if it returns it
    keeps its aliases."""
    here = node()
    aliases = read_payload(here.births(2)[2].payload).metrics["score"]["alias"]
    (death,) = here.set_streams({"cam": None, "new": None}, 3)
    read = read_payload(death.payload)
    assert (death.topic, read.seq, read.metrics) == (NODE.format("DDEATH") + "/mic", 3, {})
    assert here.rebirth_requested
    topics = [one.topic.rpartition("/")[2] for one in here.births(4)]
    assert topics == ["gw1", "cam", "new"]
    assert here.set_streams({"cam": None, "mic": None}, 5)[0].topic.endswith("/new")
    assert read_payload(here.births(6)[2].payload).metrics["score"]["alias"] == aliases


def test_a_series_has_metrics_of_its_channels() -> None:
    """A series is born with the metrics of its known channels; new channels request a rebirth; a
    forecast is published for its first horizon."""
    here = EdgeNode(SETTINGS, "1.0", {"power": ("volt",)})
    here.next_will(1)
    named = read_payload(here.births(2)[1].payload).metrics
    assert set(named) == {
        *("change", "severity", "regime"),
        *("anomaly_score", "anomaly_p_value", "anomaly_alarm"),
        *("forecast/volt", "low/volt", "high/volt"),
    }
    rows = ((230.0, math.nan), (231.0, 2.0))
    lower, upper = ((229.0, math.nan), (0.0, 0.0)), ((231.5, math.nan), (0.0, 0.0))
    place: dict[str, Any] = {
        "stream": "power",
        "observation_id": "p:1",
        "captured_at_ns": 7_000_000,
    }
    forecast = SeriesForecast(
        **place,
        channels=("volt", "ampere"),
        horizons=(1, 6),
        point=rows,
        low=lower,
        high=upper,
        anomaly_score=2.5,
        anomaly_p_value=0.25,
    )
    assert encode_message(here, forecast, 3) is None
    assert here.rebirth_requested
    born = read_payload(here.births(4)[1].payload).metrics
    assert born["forecast/volt"]["alias"] == named["forecast/volt"]["alias"]
    letter = encode_message(here, forecast, 5)
    assert letter is not None
    names = {one["alias"]: name for name, one in born.items()}
    data = {names[alias]: one for alias, one in read_payload(letter.payload).metrics.items()}
    values = {name: one.get("value") for name, one in data.items()}
    bounds = {"forecast/volt": 230.0, "low/volt": 229.0, "high/volt": 231.5}
    bounds |= {"anomaly_score": 2.5, "anomaly_p_value": 0.25, "anomaly_alarm": False}
    assert values == bounds | dict.fromkeys(("forecast/ampere", "low/ampere", "high/ampere"))
    assert data["low/ampere"]["is_null"]
    letter = encode_message(
        here,
        ChangePoint(**place, change="jump", channels=("volt",), severity=0.5, regime=2, late=0),
        6,
    )
    assert letter is not None
    data = {names[alias]: one for alias, one in read_payload(letter.payload).metrics.items()}
    assert {name: one["value"] for name, one in data.items()} == {
        "change": "jump",
        "severity": 0.5,
        "regime": 2,
    }


def test_a_stream_that_changes_its_kind_is_born_again() -> None:
    """When a sample stream becomes a series, the next birth has the metrics of a series."""
    here = node()
    here.births(2)
    assert here.set_streams({"cam": (), "mic": None}, 3) == []
    assert here.rebirth_requested
    assert set(read_payload(here.births(4)[1].payload).metrics) == {
        *("change", "severity", "regime"),
        *("anomaly_score", "anomaly_p_value", "anomaly_alarm"),
    }


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x12\x7f", rebirth_command()[:-1]])
def test_invalid_commands_are_ignored(data: bytes) -> None:
    """Malformed, empty and truncated payloads have no effect."""
    assert REBIRTH not in (decode_metrics(data) or {})


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A broker without access control."""
    with Mosquitto(tmp_path_factory.mktemp("sparkplug")) as one:
        yield one


class Plant:
    """An edge node on a broker, and a host application that sees all of it."""

    def __init__(self, settings: MqttSettings, host: Seat) -> None:
        self.host = host
        self.node = Sparkplug(settings, "gw1", "1.0", {"cam": None})
        self.node.start()

    def until(self, count: int) -> list[tuple[str, Read]]:
        """Pump until the host heard `count` messages; returns them, and forgets them."""
        until = time.monotonic() + 10
        while len(self.published()) < count:
            assert time.monotonic() < until, [one[0] for one in self.published()]
            self.node.pump()
            self.host.broker.pump(0.02)
        result = self.published()
        self.host.arrivals.clear()
        return result

    def rest(self, seconds: float) -> list[str]:
        """Pump for a time; returns the kinds of messages that the host heard."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.node.pump()
            self.host.broker.pump(0.02)
        return [kind for kind, _ in self.published()]

    def published(self) -> list[tuple[str, Read]]:
        """Messages that the host received, as (kind, payload)."""
        heard = [one for one in self.host.arrivals if "/STATE/" not in one.topic]
        return [(one.topic.split("/")[2], read_payload(one.payload)) for one in heard]


@pytest.fixture
def host(mosquitto: Mosquitto) -> Iterator[Seat]:
    """A client that receives all messages of the group."""
    with seated(quick(mosquitto.port), "host") as seat:
        seat.broker.subscribe(["spBv1.0/plant/#"])
        seat.online()
        seat.until(lambda: seat.broker.counters.reasons["SUBACK: Granted QoS 1"])
        yield seat


@needs_mosquitto
def test_operational_behavior_data_commands_rebirth_action_2(
    mosquitto: Mosquitto, host: Seat
) -> None:
    """A node is born, publishes data, is born again on request, and dies in order, with one
    bdSeq."""
    plant = Plant(quick(mosquitto.port, sparkplug=SETTINGS), host)
    born = plant.until(2)
    plant.node.publish(DECISION)
    data = plant.until(1)
    host.broker.publish(NODE.format("NCMD"), rebirth_command())
    again = [one for one in plant.until(3) if one[0] != "NCMD"]
    plant.node.stop(1)
    host.until(plant.published)
    death = plant.published()
    assert [kind for kind, _ in born + data + again] == [
        *("NBIRTH", "DBIRTH", "DDATA", "NBIRTH", "DBIRTH")
    ]
    assert death[0][0] == "NDEATH"
    assert [one.seq for _, one in born + data + again] == [0, 1, 2, 0, 1]
    births = [one for kind, one in born + again + death if kind in {"NBIRTH", "NDEATH"}]
    assert len({one.metrics["bdSeq"]["value"] for one in births}) == 1


@needs_mosquitto
def test_payloads_ndeath_will_message(mosquitto: Mosquitto, host: Seat) -> None:
    """When the connection is cut the broker publishes NDEATH, and the next birth has the next
    bdSeq."""
    proxy = CuttingProxy(mosquitto.port, seed=0, cuts=0)
    plant = Plant(quick(proxy.port, sparkplug=SETTINGS), host)
    born = plant.until(2)[0][1]
    proxy.hang_up()
    death, after = plant.until(3)[:2]
    plant.node.stop(1)
    proxy.close()
    first = born.metrics["bdSeq"]["value"]
    assert (death[0], death[1].metrics["bdSeq"]["value"]) == ("NDEATH", first)
    assert (after[0], after[1].metrics["bdSeq"]["value"]) == ("NBIRTH", (first + 1) % 256)


@needs_mosquitto
def test_message_flow_edge_node_birth_publish_phid_wait(mosquitto: Mosquitto, host: Seat) -> None:
    """The node publishes only while its primary host is online; meanwhile decisions wait and are
    then historical; an old state has no effect."""

    def say(online: bool, at_ms: int) -> None:
        state = json.dumps({"online": online, "timestamp": at_ms}).encode()
        host.broker.publish(STATE, state, retain=True)

    plant = Plant(quick(mosquitto.port, sparkplug=HOSTED), host)
    plant.node.publish(DECISION)
    assert plant.rest(0.5) == []
    say(online=True, at_ms=100)
    result = plant.until(3)
    assert [kind for kind, _ in result] == ["NBIRTH", "DBIRTH", "DDATA"]
    assert all(one["is_historical"] for one in result[2][1].metrics.values())
    say(online=False, at_ms=50)
    assert plant.rest(0.3) == []
    say(online=False, at_ms=200)
    plant.until(1)
    plant.node.publish(DECISION)
    assert set(plant.rest(0.5)) <= {"NDEATH"}
    host.arrivals.clear()
    say(online=True, at_ms=300)
    assert [kind for kind, _ in plant.until(3)] == ["NBIRTH", "DBIRTH", "DDATA"]
    plant.node.stop(1)
    host.say(STATE, b"", retain=True)


def test_waiting_messages_are_bounded_and_can_be_forgotten() -> None:
    """Without a broker the newest decisions wait and the others are counted; forgotten ones are
    removed."""
    here = Sparkplug(quick(1, sparkplug=SETTINGS), "gw1", "1", {"cam": None})
    for number in range(HISTORY_MAX + 5):
        here.publish(msgspec.structs.replace(DECISION, observation_id=f"c:{number}"))
    assert here.dropped == 5
    here.forget({f"c:{number}" for number in range(100, HISTORY_MAX + 5)})
    assert here.waiting == 95
    here.stop(0)


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """If protobuf is missing, the error names the extra."""
    for name in [one for one in sys.modules if one.startswith("edge.mqtt.sparkplug")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "google.protobuf", None)
    with pytest.raises(EdgeError, match=re.escape(install_command("sparkplug"))):
        make_sparkplug(quick(1, sparkplug=SETTINGS), "gw1", "1", {})


@needs_mosquitto
def test_an_independent_host_understands_the_node(mosquitto: Mosquitto, source: Path) -> None:
    """Pysparkplug decodes all messages of the node, and the node handles its command."""
    python = os.environ.get("AURICLE_PYSPARKPLUG")
    if not python:
        pytest.skip("needs AURICLE_PYSPARKPLUG: an interpreter that has pysparkplug")
    node = Sparkplug(quick(mosquitto.port, sparkplug=HOSTED), "gw1", "1.0", {"cam": None})
    given = [python, str(source / "scripts/check_sparkplug.py"), str(mosquitto.port)]
    with subprocess.Popen(given, stdout=subprocess.PIPE, text=True) as host:
        node.start()
        until = time.monotonic() + 20
        while host.poll() is None and time.monotonic() < until:
            node.pump()
            node.publish(msgspec.structs.replace(DECISION, captured_at_ns=time.time_ns()))
            time.sleep(0.05)
        result = json.loads(host.communicate()[0])
    node.stop(1)
    assert result["births"] >= 2
    assert result["data"] >= 1
    assert result["historical"] >= 1
    assert result["gaps"] == 0
    assert result["domain"] == "yard"
