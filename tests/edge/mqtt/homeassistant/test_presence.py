from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.config.mqtt import HomeAssistantSettings, MqttSettings
from edge.mqtt.homeassistant.controls import InvalidControl, LabelControl
from edge.mqtt.homeassistant.device import ControlAnswer, FlaggedState
from edge.mqtt.homeassistant.presence import ANNOUNCE_S, BLANK, HomeAssistant
from edge.mqtt.packets import InboundMessage, OutboundMessage
from edge.mqtt.presences import make_presence

pytest.importorskip("jinja2", reason="needs jinja2, whose templates Home Assistant uses")

from tests.brokers import Mosquitto, needs_mosquitto, quick, seated
from tests.edge.mqtt.homeassistant.panels import DEVICE, Panel, device

CONFIG = "homeassistant/device/auricle_gw1/config"
STATE = "auricle/v1/gw1/homeassistant/state"
FLAGGED = "auricle/v1/gw1/homeassistant/flagged/cam"
PICTURE = "auricle/v1/gw1/homeassistant/picture/cam"
BOTH = HomeAssistantSettings(controls=True, images=True)


def made(settings: HomeAssistantSettings = BOTH) -> tuple[HomeAssistant, Panel]:
    """A presence and its device, after its birth."""
    panel = Panel(device({"cam": None}, ["cat"]))
    panel.flags["cam"] = FlaggedState(stream="cam")
    here = HomeAssistant(settings, DEVICE, panel, draw=lambda: 0.5)
    list(here.birth())
    return here, panel


def arrival(topic: str, payload: bytes, *, retained: bool = False) -> InboundMessage:
    """A message from the broker."""
    return InboundMessage(topic=topic, payload=payload, retained=retained, ticket=1)


def topics(messages: Any) -> list[str]:
    """The topics of messages."""
    return [one.topic for one in messages]


def test_it_is_announced_again_after_home_assistant_starts() -> None:
    """After "online" everything is published again, a little later; a retained message has no
    effect."""
    here, panel = made(HomeAssistantSettings(prefix="ha"))
    assert here.handle(arrival("ha/status", b"online", retained=True))
    assert here.handle(arrival("ha/status", b"offline"))
    assert list(here.due(10)) == []
    assert here.handle(arrival("ha/status", b"online"))
    assert list(here.due(10)) == []
    assert list(here.due(12)) == []
    again = list(here.due(13))
    assert again == list(here.birth())
    assert topics(again) == ["ha/device/auricle_gw1/config", STATE, FLAGGED]
    assert list(here.due(14)) == []
    assert not here.handle(arrival("else", b"online"))
    assert panel.received == []


def test_what_is_flagged_is_not_stored_by_the_broker() -> None:
    """A flagged observation and its picture are published when they change, neither retained nor
    queued; the picture of a forgotten one is replaced."""
    here, panel = made()
    panel.flags["cam"] = FlaggedState(stream="cam", observation_id="c:1", guess="cat")
    panel.images["cam"] = "c:1", b"jpeg"
    found = list(here.due(1))
    assert [(one.topic, one.retain, one.qos) for one in found] == [
        (FLAGGED, False, 0),
        (PICTURE, False, 0),
    ]
    assert json.loads(found[0].payload)["observation_id"] == "c:1"
    assert list(here.due(2)) == []
    panel.flags["cam"] = FlaggedState(stream="cam")
    panel.images.clear()
    cleared, picture = here.due(3)
    assert json.loads(cleared.payload)["observation_id"] == ""
    assert picture == OutboundMessage(PICTURE, BLANK, qos=0)


def test_pictures_stay_here_unless_they_are_allowed() -> None:
    """By default no picture is published."""
    here, panel = made(HomeAssistantSettings(controls=True))
    panel.images["cam"] = "c:1", b"jpeg"
    assert topics(here.due(1)) == []


def test_controls_are_off_by_default_and_never_retained() -> None:
    """Without the setting nothing is subscribed to; a retained control is ignored."""
    body = b'{"stream": "cam", "observation_id": "c:1", "label": "cat"}'
    off, _ = made(HomeAssistantSettings())
    assert not any("control" in one for one in off.filters())
    assert not off.handle(arrival("auricle/v1/gw1/control/label", body))
    here, panel = made()
    assert "auricle/v1/gw1/control/+" in here.filters()
    assert here.handle(arrival("auricle/v1/gw1/control/label", body, retained=True))
    assert panel.received == []
    assert here.handle(arrival("auricle/v1/gw1/control/label", body))
    assert here.handle(arrival("auricle/v1/gw1/control/forget", body))
    assert panel.received[0] == LabelControl("cam", "c:1", "cat")
    assert isinstance(panel.received[1], InvalidControl)
    panel.outcomes.append(ControlAnswer(done=True, control="label", text="c:1 is cat"))
    (answer,) = here.due(1)
    assert json.loads(answer.payload)["done"] is True
    assert answer.retain is False


def test_a_new_label_extends_the_list_without_haste() -> None:
    """A changed announcement is published, at most once every few seconds."""
    here, panel = made()
    assert topics(here.due(1)) == []
    panel.shown = device({"cam": None}, ["cat", "dog"])
    panel.flags["cam"] = FlaggedState(stream="cam", observation_id="c:1", label="dog")
    flagged, announced = here.due(2)
    options = json.loads(announced.payload)["cmps"]["auricle_gw1_cam_label-list"]["options"]
    assert (announced.topic, options) == (CONFIG, ["cat", "dog"])
    assert json.loads(flagged.payload)["listed"] == ""
    panel.shown = device({"cam": None}, ["cat", "dog", "eel"])
    (again,) = here.due(3)
    assert json.loads(again.payload)["listed"] == "dog"
    (later,) = here.due(2 + ANNOUNCE_S)
    assert later.topic == CONFIG


def test_entities_that_are_gone_are_removed() -> None:
    """A stream that was announced before, in this run or an earlier one, leaves no entities."""
    here, panel = made()
    earlier = {"old_id": {"p": "sensor", "unique_id": "old_id"}, "gone": {"p": "sensor"}}
    assert here.handle(arrival(CONFIG, msgspec.json.encode({"cmps": earlier}), retained=True))
    for hostile in (b"", b"[]", b"\xff", b'{"cmps": 3}', b"[" * 10_000):
        assert here.handle(arrival(CONFIG, hostile, retained=True))
    panel.shown = device({"door": None})
    body = json.loads(next(iter(here.birth())).payload)["cmps"]
    assert body["old_id"] == {"p": "sensor"}
    assert body["auricle_gw1_cam_novelty"] == {"p": "sensor"}
    assert "gone" not in body
    assert body["auricle_gw1_door_novelty"]["unique_id"]


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker without access control."""
    with Mosquitto(tmp_path) as one:
        yield one


def presence(settings: MqttSettings) -> Any:
    """The presence that the daemon gives its client."""
    return make_presence(settings, DEVICE, "1", Panel(device({"cam": None})))


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
    found = [(one.topic, bool(one.payload)) for one in watcher.arrivals]
    assert found == [(CONFIG, True), ("homeassistant/status", True), (CONFIG, False)]
