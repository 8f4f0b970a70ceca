from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.events import AlarmQuestion, ChangePoint, Decision, DriftAlarm, SeriesForecast
from edge.mqtt.envelope import MessageEncoder, mark_historical
from edge.mqtt.homeassistant.device import (
    AnnouncedDevice,
    AnnouncedHome,
    AnnouncedStream,
    FlaggedState,
    InstalledBundle,
)
from edge.mqtt.homeassistant.discovery import (
    CHANGES,
    CHANNELS_MAX,
    OPTIONS_BYTES_MAX,
    discovery_message,
    object_id,
    options_of,
)
from edge.mqtt.homeassistant.states import state_of

pytest.importorskip("jinja2", reason="needs jinja2, whose templates Home Assistant uses")

from tests.edge.mqtt.homeassistant.panels import DEVICE, device, sent, shown

HOME = {"auricle_gw1_home__rate-shown"}
OF_DEVICE = 5
OF_STREAM = 8


def entities(made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The entities of an announcement."""
    found: dict[str, dict[str, Any]] = made["cmps"]
    return found


def decision(**more: Any) -> Decision:
    """A decision on an observation of the stream cam."""
    usual: dict[str, Any] = {
        "observation_id": "c:1",
        "stream": "cam",
        "captured_at_ns": 5,
        "known": True,
        "domain": "yard",
        "label": "cat",
        "guess": "cat",
        "score": 0.5,
        "p_value": 0.0175,
        "window_p": 0.1,
        "alarm": True,
    }
    return Decision(**usual | more)


def states_after(made: dict[str, Any], message: Any) -> dict[str, str]:
    """The states of the entities that a message changes; replayed later, it changes none."""
    worded = MessageEncoder(DEVICE).encode(message, 1, 1)
    seen: dict[str, str] = {}
    for key, part in entities(made).items():
        if part.get("state_topic") != worded.topic:
            continue
        seen[key.removeprefix("auricle_gw1_")] = shown(part["value_template"], worded.body)
        replayed = shown(part["value_template"], mark_historical(worded.body))
        assert replayed in {"before", ""}
    return seen


def test_a_decision_changes_the_entities_of_its_stream() -> None:
    """Novelty is the share of known samples that are less novel, in percent."""
    made = discovery_message(device({"cam": None}))
    assert set(made) == {"dev", "o", "availability", "cmps"}
    assert all(part["unique_id"] == key for key, part in entities(made).items())
    assert states_after(made, decision()) == {
        "cam_novelty": "98.25",
        "cam_domain": "yard",
        "cam_label": "cat",
        "cam_drift": "ON",
    }
    assert entities(made)["auricle_gw1_cam_novelty"]["unit_of_measurement"] == "%"


@pytest.mark.parametrize(
    ("fields", "label", "novelty"),
    [
        ({"label": "unknown"}, '"unknown"', "98.25"),
        ({"label": "None", "p_value": math.nan}, '"None"', "None"),
        ({"label": None, "known": False, "p_value": 0.0}, "(new)", "100.0"),
        ({"label": None, "known": None}, "(undecided)", "98.25"),
        ({"label": "(new)"}, '"(new)"', "98.25"),
    ],
)
def test_no_label_is_taken_for_a_state_of_home_assistant(
    fields: dict[str, Any], label: str, novelty: str
) -> None:
    """A label called unknown survives, and the states without a label are no label's."""
    seen = states_after(discovery_message(device({"cam": None})), decision(**fields))
    assert (seen["cam_label"], seen["cam_novelty"]) == (label, novelty)


def test_an_alarm_is_an_event() -> None:
    """Raised and ended are event types, with the fields that an automation needs."""
    made = discovery_message(device({"cam": None}))
    alarm = DriftAlarm(
        stream="cam",
        observation_id="c:1",
        captured_at_ns=5,
        raised=True,
        window_p=0.001,
        domain="yard's",
    )
    seen = states_after(made, alarm)
    fields = json.loads(seen["cam_alarm"])
    assert fields == {"event_type": "raised", "domain": "yard's", "observation_id": "c:1"}
    assert fields["event_type"] in entities(made)["auricle_gw1_cam_alarm"]["event_types"]


def test_controls_answer_for_what_is_shown() -> None:
    """A label, a press and a rate carry the ids that Home Assistant showed at that moment."""
    shows = device({"cam": None}, ["cat", "none"])
    assert not any("command_topic" in one for one in entities(discovery_message(shows)).values())
    made = entities(discovery_message(shows, controls=True))
    state = FlaggedState(stream="cam", observation_id="c:7", guess="cat", alarm_id="c:3")
    attributes = {one: getattr(state, one) for one in state.__struct_fields__}
    choose = made["auricle_gw1_cam_label-list"]
    assert choose["options"] == ["cat", '"none"']
    for key in ("label-list", "label-text"):
        body = sent(made[f"auricle_gw1_cam_{key}"]["command_template"], '"none"', attributes)
        assert body == {"stream": "cam", "observation_id": "c:7", "label": '"none"'}
    pressed = sent(made["auricle_gw1_cam_not-new"]["command_template"], "PRESS", attributes)
    assert pressed == {"stream": "cam", "observation_id": "c:7", "alarm_id": "c:3"}
    early = sent(choose["command_template"], "cat", {})
    assert early == {"stream": "", "observation_id": "", "label": "cat"}


def test_a_home_with_any_name_has_its_rate_and_its_bundle() -> None:
    """The name of a home cannot become an expression of a template."""
    name = "it's {{ 1/0 }} 😀"
    bundle = InstalledBundle(installed="own knowledge", latest="ops 3", title="b.bundle")
    home = AnnouncedHome(name=name, rate=0.025, bundle=bundle)
    made = discovery_message(
        AnnouncedDevice(name=DEVICE, version="1", homes=(home,)), controls=True
    )
    (rate,) = [one for one in entities(made).values() if one["p"] == "number"]
    (update,) = [one for one in entities(made).values() if one["p"] == "update"]
    assert sent(rate["command_template"], 1.5, {}) == {"home": name, "percent": 1.5}
    key = object_id("home", name)
    state = {"homes": {key: {"rate": 2.5, "bundle": {"installed_version": "a"}}}}
    assert shown(rate["value_template"], json.dumps(state).encode()) == "2.5"
    assert json.loads(shown(update["value_template"], json.dumps(state).encode())) == {
        "installed_version": "a"
    }
    assert "command_topic" not in update


def test_a_series_has_its_entities() -> None:
    """A series has events for changes and anomalies, and each channel's forecast with bounds; NaN
    is unknown, and channels of two series stay apart."""
    made = discovery_message(device({"power": ("volt", "ampere"), "power/volt": ("x",)}))
    assert len(entities(made)) == OF_DEVICE + 6 + 5
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
    assert states_after(made, forecast) == {
        "power_volt_forecast": "230.0",
        "power_ampere_forecast": "None",
        "power_anomaly": "ON",
    }
    volt = entities(made)["auricle_gw1_power_volt_forecast"]
    body = MessageEncoder(DEVICE).encode(forecast, 1, 1).body
    bounds = json.loads(shown(volt["json_attributes_template"], body))
    assert bounds == {"low": 229.0, "high": 231.5, "samples_ahead": 1}
    change = ChangePoint(
        **place, change="outage", channels=("volt",), severity=0.5, regime=1, late=0
    )
    fields = json.loads(states_after(made, change)["power_change"])
    assert fields["event_type"] == "outage"
    assert fields["channels"] == ["volt"]
    assert fields["event_type"] in CHANGES


def test_a_lasting_alarm_has_an_entity_with_what_its_answer_needs() -> None:
    """It is on while the question waits; its attributes name the alarm."""
    made = entities(discovery_message(device({"cam": None})))["auricle_gw1_cam_question"]
    assert made["state_topic"] == made["json_attributes_topic"]
    question = AlarmQuestion(
        alarm_id="cam:9",
        stream="cam",
        captured_at_ns=9,
        from_ns=5,
        domain="yard",
        shift=1.5,
        observation_ids=("cam:8", "cam:9"),
    )
    assert shown(made["value_template"], json.dumps({"alarm_id": question.alarm_id}).encode()) == (
        "ON"
    )
    assert shown(made["value_template"], b'{"alarm_id": ""}') == "OFF"


def test_much_is_announced_in_part() -> None:
    """Channels and labels beyond a bound have no entity; a label can still be typed."""
    wide = entities(discovery_message(device({"net": tuple(map(str, range(100)))})))
    assert len(wide) == OF_DEVICE + 4 + CHANNELS_MAX
    options = options_of(f"{n:0200}" for n in range(1_000))
    assert 0 < len(json.dumps(options)) <= OPTIONS_BYTES_MAX


def test_the_connection_stays_available_while_the_device_is_offline() -> None:
    """All entities become unavailable with the device, except the one for its connection."""
    made = discovery_message(device({}))
    status = b'{"state": "offline"}'
    assert shown(made["availability"][0]["value_template"], status) == "offline"
    connection = entities(made)["auricle_gw1_connection"]
    assert shown(connection["availability"][0]["value_template"], status) == "online"
    assert shown(connection["value_template"], status) == "OFF"


@pytest.mark.parametrize(
    ("state", "available", "problem"),
    [("online", "online", "OFF"), ("rejecting", "online", "ON"), ("offline", "offline", "ON")],
)
def test_a_stream_is_unavailable_while_its_source_cannot_measure(
    state: str, available: str, problem: str
) -> None:
    """Its entities become unavailable; the one for the source stays, and shows the problem."""
    made = entities(discovery_message(device({"cam": None})))
    body = json.dumps({"streams": {"auricle_gw1_cam": state}}).encode()
    novelty = made["auricle_gw1_cam_novelty"]
    assert novelty["availability_mode"] == "all"
    assert shown(novelty["availability"][1]["value_template"], body) == available
    assert shown(made["auricle_gw1_cam_source"]["value_template"], body) == problem


def test_health_expires() -> None:
    """Its values expire once three health messages are missing."""
    made = entities(discovery_message(AnnouncedDevice(name=DEVICE, version="1", health_s=2.5)))
    assert made["auricle_gw1_waiting"]["expire_after"] == 8


@given(st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=2, unique=True))
def test_every_name_has_a_unique_id(names: list[str]) -> None:
    """Ids hold only allowed characters, and differ if the names differ."""
    ids = [object_id("auricle", DEVICE, name, "drift") for name in names]
    assert ids[0] != ids[1]
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", one) for one in ids)
    made = discovery_message(device(dict.fromkeys(names)))
    assert len(entities(made)) == OF_DEVICE + 2 * OF_STREAM


def test_a_picture_needs_an_image_and_the_setting() -> None:
    """Only streams of images have one, and only where pictures are published."""
    cam = AnnouncedStream(name="cam", pictures=True)
    here = AnnouncedDevice(name=DEVICE, version="1", streams=(cam,))
    assert "auricle_gw1_cam_picture" not in entities(discovery_message(here))
    made = entities(discovery_message(here, pictures=True))["auricle_gw1_cam_picture"]
    assert made["image_topic"] == "auricle/v1/gw1/homeassistant/picture/cam"


def test_options_are_states() -> None:
    """The options of a list are the states that its selection shows."""
    assert options_of(["unknown", "cat"]) == [state_of("unknown"), "cat"]
