from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.mqtt import HomeAssistantSettings, MqttSettings
from edge.core.events import AlarmQuestion, ChangePoint, Decision, SeriesForecast
from edge.mqtt.envelope import MessageEncoder, mark_historical
from edge.mqtt.homeassistant import CHANNELS_MAX, HomeAssistant, discovery_message, object_id
from edge.mqtt.packets import InboundMessage
from edge.mqtt.presences import make_presence
from tests.brokers import Mosquitto, needs_mosquitto, quick, seated

jinja2 = pytest.importorskip("jinja2", reason="needs jinja2, whose templates Home Assistant uses")
DEVICE = "gw1"
CONFIG = "homeassistant/device/auricle_gw1/config"


def shown(template: str, body: bytes, state: str = "before") -> str:
    """The state of an entity after a message."""
    made = jinja2.Environment(autoescape=True).from_string(template)
    return str(made.render(value_json=json.loads(body), this={"state": state}))


def test_a_stream_has_its_entities() -> None:
    """Each sample stream has entities for novelty, domain, label and drift."""
    made = discovery_message(DEVICE, "1.2", {"cam": None})
    assert set(made) == {"dev", "o", "availability", "cmps"}
    decision = Decision(
        observation_id="c:1",
        stream="cam",
        captured_at_ns=5,
        known=True,
        domain="yard",
        label=None,
        guess="cat",
        score=0.5,
        p_value=0.2,
        window_p=0.1,
        alarm=True,
    )
    worded = MessageEncoder(DEVICE).encode(decision, 1, 1)
    seen: dict[str, str] = {}
    for key, part in made["cmps"].items():
        assert part["unique_id"] == key
        assert part["p"] in {"sensor", "binary_sensor"}
        if part["state_topic"] == worded.topic:
            seen[key] = shown(part["value_template"], worded.body)
            assert shown(part["value_template"], mark_historical(worded.body)) == "before"
    assert seen == {
        "auricle_gw1_cam_novelty": "0.5",
        "auricle_gw1_cam_domain": "yard",
        "auricle_gw1_cam_label": "unknown",
        "auricle_gw1_cam_drift": "ON",
    }


def test_a_lasting_alarm_has_an_entity_with_what_its_answer_needs() -> None:
    """The entity shows how far the stream is above its level; its attributes name the alarm."""
    question = AlarmQuestion(
        alarm_id="cam:9",
        stream="cam",
        captured_at_ns=9,
        from_ns=5,
        domain="yard",
        shift=1.5,
        observation_ids=("cam:8", "cam:9"),
    )
    worded = MessageEncoder(DEVICE).encode(question, 1, 1)
    made = discovery_message(DEVICE, "1", {"cam": None})["cmps"]["auricle_gw1_cam_lasting-alarm"]
    assert worded.topic == made["state_topic"] == "auricle/v1/gw1/alarm-question/cam"
    assert shown(made["value_template"], worded.body) == "1.5"
    attributes = json.loads(shown(made["json_attributes_template"], worded.body))
    assert attributes == {"alarm_id": "cam:9", "stream": "cam", "domain": "yard"}


def test_a_series_has_its_entities() -> None:
    """A series has entities for its last change point, anomalies, and each channel's forecast with
    bounds; NaN is unknown, and channels of two series stay apart."""
    made = discovery_message(DEVICE, "1", {"power": ("volt", "ampere"), "power/volt": ("x",)})
    assert len(made["cmps"]) == 4 + 4 + 3
    place: dict[str, Any] = {"stream": "power", "observation_id": "p:1", "captured_at_ns": 5}
    table = ((230.0, math.nan),)
    forecast = SeriesForecast(
        **place,
        channels=("volt", "ampere"),
        horizons=(1,),
        point=table,
        low=((229.0, 1.0),),
        high=((231.5, 2.0),),
        anomaly_alarm=True,
    )
    change = ChangePoint(
        **place, change="outage", channels=("volt",), severity=0.5, regime=1, late=0
    )
    seen: dict[str, str] = {}
    for message in (forecast, change):
        worded = MessageEncoder(DEVICE).encode(message, 1, 1)
        for key, part in made["cmps"].items():
            if part["state_topic"] == worded.topic:
                seen[key] = shown(part["value_template"], worded.body)
                assert shown(part["value_template"], mark_historical(worded.body)) == "before"
    assert seen == {
        "auricle_gw1_power_volt_forecast": "230.0",
        "auricle_gw1_power_ampere_forecast": "None",
        "auricle_gw1_power_change-point": "outage",
        "auricle_gw1_power_anomaly": "ON",
    }
    volt = made["cmps"]["auricle_gw1_power_volt_forecast"]
    body = MessageEncoder(DEVICE).encode(forecast, 1, 1).body
    bounds = json.loads(html.unescape(shown(volt["json_attributes_template"], body)))
    assert bounds == {"low": 229.0, "high": 231.5, "samples_ahead": 1}


def test_a_wide_series_is_announced_in_part() -> None:
    """Only the first channels of a wide series have an entity."""
    made = discovery_message(DEVICE, "1", {"net": tuple(map(str, range(100)))})
    assert len(made["cmps"]) == 4 + 2 + CHANNELS_MAX


def test_the_connection_stays_available_while_the_device_is_offline() -> None:
    """All entities become unavailable with the device, except the one for its connection."""
    made = discovery_message(DEVICE, "1", {})
    status = b'{"state": "offline"}'
    assert shown(made["availability"][0]["value_template"], status) == "offline"
    connection = made["cmps"]["auricle_gw1_connection"]
    assert shown(connection["availability"][0]["value_template"], status) == "online"
    assert shown(connection["value_template"], status) == "OFF"


@given(st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=2, unique=True))
def test_every_name_has_a_unique_id(names: list[str]) -> None:
    """Ids hold only allowed characters, and differ if the names differ."""
    ids = [object_id("auricle", DEVICE, name, "drift") for name in names]
    assert ids[0] != ids[1]
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", one) for one in ids)
    made = discovery_message(DEVICE, "1", dict.fromkeys(names))
    assert len(made["cmps"]) == 4 + 10


def test_it_is_announced_again_after_home_assistant_starts() -> None:
    """After "online" the device is announced again, a little later; a retained message has no
    effect."""
    settings = HomeAssistantSettings(prefix="ha")
    here = HomeAssistant(settings, DEVICE, "1", dict, draw=lambda: 0.5)

    def arrival(payload: bytes, retained: bool = False) -> InboundMessage:
        return InboundMessage(topic="ha/status", payload=payload, retained=retained, ticket=1)

    assert here.handle(arrival(b"online", retained=True))
    assert here.handle(arrival(b"offline"))
    assert list(here.due(10)) == []
    assert here.handle(arrival(b"online"))
    assert list(here.due(10)) == []
    assert list(here.due(12)) == []
    assert list(here.due(13)) == list(here.birth())
    assert list(here.due(14)) == []
    assert not here.handle(InboundMessage(topic="else", payload=b"online", ticket=1))


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker without access control."""
    with Mosquitto(tmp_path) as one:
        yield one


def presence(settings: MqttSettings) -> Any:
    """The presence that the daemon gives its client."""
    return make_presence(settings, DEVICE, "1", lambda: {"cam": None})


@needs_mosquitto
def test_it_is_announced_removed_and_off_by_default(mosquitto: Mosquitto) -> None:
    """With the section the announcement is retained; enabled = false removes it; without the
    section nothing is published."""
    on = quick(mosquitto.port, homeassistant=HomeAssistantSettings())
    off = quick(mosquitto.port, homeassistant=HomeAssistantSettings(enabled=False))
    with seated(quick(mosquitto.port), "watcher") as watcher:
        watcher.broker.subscribe(["homeassistant/#"])
        watcher.online()
        watcher.until(lambda: watcher.broker.counters.reasons["SUBACK: Granted QoS 1"])
        with seated(quick(mosquitto.port), DEVICE, presence(quick(mosquitto.port))) as plain:
            plain.online().say("done")
        assert watcher.arrivals == []
        with seated(on, DEVICE, presence(on)) as seat:
            seat.online()
            seat.until(lambda: not seat.broker.counters.answered < 2)
            watcher.until(lambda: watcher.arrivals)
            watcher.say("homeassistant/status", b"online")
            watcher.until(lambda: len(watcher.arrivals) == 2)
            assert seat.arrivals == []
        with seated(off, DEVICE, presence(off)) as seat:
            seat.online()
            seat.until(lambda: not seat.broker.counters.answered < 2)
            watcher.until(lambda: len(watcher.arrivals) == 3)
    topics = [(one.topic, bool(one.payload)) for one in watcher.arrivals]
    assert topics == [(CONFIG, True), ("homeassistant/status", True), (CONFIG, False)]
