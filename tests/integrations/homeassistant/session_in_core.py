"""A session in a real Home Assistant core, on a real broker, with a running daemon.

`test_core.py` starts it in the environment that AURICLE_HA_PYTHON names; `AURICLE_SESSION` is a
JSON file with the broker's port, the pictures to send and where to write what was seen.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from homeassistant.components import mqtt
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import device_registry, entity_registry
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_mock_service

GIVEN: dict[str, Any] = json.loads(Path(os.environ["AURICLE_SESSION"]).read_text("utf-8"))
WAIT_S = 60.0
BASE = "auricle/v1/gw1"


@pytest.fixture
def expected_lingering_timers() -> bool:
    """The client of the broker keeps timers."""
    return True


@pytest.fixture
def expected_lingering_tasks() -> bool:
    """And tasks."""
    return True


@pytest.fixture
async def core(
    hass: HomeAssistant, socket_enabled: None, tmp_path: Path
) -> AsyncIterator[HomeAssistant]:
    """A core whose MQTT integration is connected to the broker."""
    (tmp_path / "configuration.yaml").write_text("", "utf-8")
    hass.config.config_dir = str(tmp_path)
    assert await async_setup_component(hass, "homeassistant", {})
    data = {"broker": "127.0.0.1", "port": GIVEN["port"], "protocol": "5"}
    entry = MockConfigEntry(
        domain=mqtt.DOMAIN,
        data=data,
        version=mqtt.CONFIG_ENTRY_VERSION,
        minor_version=mqtt.CONFIG_ENTRY_MINOR_VERSION,
    )
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    yield hass
    await hass.config_entries.async_unload(entry.entry_id)


async def until(core: HomeAssistant, done: Callable[[], object], what: str) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + WAIT_S
    while not done():
        shown = {one.entity_id: one.state for one in core.states.async_all()}
        assert time.monotonic() < end, f"waited in vain for {what}: {shown}"
        await asyncio.sleep(0.05)


def shown(core: HomeAssistant, key: str) -> State:
    """The state of the entity with a unique id."""
    registry = entity_registry.async_get(core)
    (found,) = [one for one in registry.entities.values() if one.unique_id == key]
    state = core.states.get(found.entity_id)
    assert state is not None, key
    return state


def exists(core: HomeAssistant, key: str) -> bool:
    """Whether an entity with a unique id has a state."""
    registry = entity_registry.async_get(core)
    found = [one for one in registry.entities.values() if one.unique_id == key]
    return bool(found) and core.states.get(found[0].entity_id) is not None


def picture(place: int) -> bytes:
    """A photo of a class that the device does not know."""
    return Path(GIVEN["pictures"][place]).read_bytes()


def report(**found: object) -> None:
    """Tell the test outside what was seen."""
    Path(GIVEN["seen"]).write_text(json.dumps(found, default=str), "utf-8")


async def observe(core: HomeAssistant, stream: str, payload: bytes) -> None:
    """Publish a measurement."""
    topic = f"{BASE}/observe/{stream}"
    await mqtt.async_publish(core, topic, payload)


async def decisions_arrive(core: HomeAssistant, row: list[float]) -> None:
    """Publish a known measurement until its decision shows: Home Assistant subscribes to the topics
    of entities seconds after it has added these, and a daemon may decide before."""
    end = time.monotonic() + WAIT_S
    while shown(core, "auricle_gw1_cam_drift").state in {"unknown", "unavailable"}:
        assert time.monotonic() < end, "no decision arrived"
        await observe(core, "cam", json.dumps({"values": row, "captured_at_ns": 1}).encode())
        await asyncio.sleep(0.5)


async def call(core: HomeAssistant, service: str, key: str, **data: object) -> None:
    """Call a service of an entity, as a button in the browser does."""
    domain, _, name = service.partition(".")
    await core.services.async_call(
        domain, name, {"entity_id": shown(core, key).entity_id, **data}, blocking=True
    )


async def answered(core: HomeAssistant, text: str) -> State:
    """Wait for the answer to a control that has a text in it."""
    key = "auricle_gw1_answer"
    await until(
        core, lambda: text in str(shown(core, key).attributes.get("text")), f"answer {text}"
    )
    return shown(core, key)


def check_device(core: HomeAssistant) -> None:
    """The device page shows what runs there, and links to the console."""
    devices = device_registry.async_get(core).devices.values()
    (device,) = [one for one in devices if one.name == "gw1"]
    assert device.model == GIVEN["model"]
    assert device.sw_version == GIVEN["version"]
    assert device.hw_version
    assert device.configuration_url == GIVEN["console"]


async def choose_rate(core: HomeAssistant) -> None:
    """Set the false-alarm rate, and wait until the device shows it."""
    (rate,) = [
        one.unique_id
        for one in entity_registry.async_get(core).entities.values()
        if one.domain == "number"
    ]
    assert float(shown(core, rate).state) == 1.0
    await call(core, "number.set_value", rate, value=2.5)
    await answered(core, "the false-alarm rate is 2.5 %")
    await until(core, lambda: float(shown(core, rate).state) == 2.5, "the new rate")


@pytest.mark.skipif("pictures" not in GIVEN, reason="another session")
async def test_a_person_answers_in_home_assistant(
    core: HomeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    """Discovery gives every entity a state; services label, confirm and set the rate."""
    await until(core, lambda: exists(core, "auricle_gw1_cam_label-list"), "entities")
    await until(core, lambda: shown(core, "auricle_gw1_cam_novelty").state == "unknown", "source")
    check_device(core)
    await observe(core, "cam", picture(0))
    flagged = "auricle_gw1_cam_flagged"
    await until(core, lambda: shown(core, flagged).attributes.get("observation_id"), "flagged")
    novelty = float(shown(core, "auricle_gw1_cam_novelty").state)
    assert 0 <= novelty <= 100
    names = {"(new)", "(undecided)", "dog", "house", '"unknown"'}
    assert shown(core, "auricle_gw1_cam_label").state in names
    image = core.data["image"].get_entity(shown(core, "auricle_gw1_cam_picture").entity_id)
    await until(core, lambda: shown(core, "auricle_gw1_cam_picture").state != "unknown", "picture")
    jpeg = await image.async_image()
    assert jpeg is not None
    assert jpeg.startswith(b"\xff\xd8\xff")
    assert jpeg != picture(0)

    first = shown(core, flagged).attributes["observation_id"]
    assert set(shown(core, "auricle_gw1_cam_label-list").attributes["options"]) == {
        "dog",
        "house",
        '"unknown"',
    }
    await call(core, "select.select_option", "auricle_gw1_cam_label-list", option='"unknown"')
    await answered(core, f"{first} is unknown")
    label = "auricle_gw1_cam_label-list"
    await until(core, lambda: shown(core, label).state == '"unknown"', "label in the list")
    assert shown(core, "auricle_gw1_cam_label-text").state == '"unknown"'

    seen: list[str] = [first]
    for place, control in ((1, "text"), (2, "button")):
        await observe(core, "cam", picture(place))
        await until(
            core,
            lambda: shown(core, flagged).attributes["observation_id"] not in seen,
            "the next one",
        )
        seen.append(shown(core, flagged).attributes["observation_id"])
        if control == "text":
            await call(
                core, "text.set_value", "auricle_gw1_cam_label-text", value="guitar <b>ö</b>"
            )
            await answered(core, f"{seen[-1]} is guitar <b>ö</b>")
        else:
            guess = shown(core, flagged).state
            await call(core, "button.press", "auricle_gw1_cam_not-new")
            await answered(core, f"{seen[-1]} is {guess.strip(chr(34))}")

    await choose_rate(core)
    await until(
        core,
        lambda: "guitar <b>ö</b>" in shown(core, label).attributes["options"],
        "the new label in the list",
    )
    await mqtt.async_publish(core, f"{BASE}/control/label", "not json")
    assert (await answered(core, "malformed")).attributes["event_type"] == "refused"

    assert not complaints(caplog), "\n".join(complaints(caplog))
    states = core.states.async_all()
    assert all(len(one.state) <= 255 for one in states)
    assert all(len(json.dumps(one.attributes, default=str)) < 16_384 for one in states)
    report(
        labelled=seen,
        states={one.entity_id: [one.state, dict(one.attributes)] for one in states},
    )


async def with_blueprint(core: HomeAssistant, folder: Path) -> None:
    """Set up an automation from the blueprint."""
    place = folder / "blueprints/automation/auricle"
    place.mkdir(parents=True)
    shutil.copy(GIVEN["blueprint"], place / "ask.yaml")
    given = {
        "alarm": shown(core, "auricle_gw1_cam_alarm").entity_id,
        "flagged": shown(core, "auricle_gw1_cam_flagged").entity_id,
        "device": "gw1",
        "notifier": "notify.mobile_app_phone",
        "first_label": "worn bearing",
        "second_label": "loose belt",
    }
    automation = {"use_blueprint": {"path": "auricle/ask.yaml", "input": given}, "alias": "ask"}
    assert await async_setup_component(core, "automation", {"automation": [automation]})
    assert core.states.get("automation.ask") is not None


@pytest.mark.skipif("rows" not in GIVEN, reason="another session")
async def test_an_alarm_is_asked_about(
    core: HomeAssistant, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An alarm becomes an event and a notification, whose button labels; "not new" ends it.  A
    series has forecasts and a change, and a dead device makes everything unavailable."""
    flagged, lasting = "auricle_gw1_cam_flagged", "auricle_gw1_cam_question"
    for key in (flagged, lasting, "auricle_gw1_cam_alarm", "auricle_gw1_power_change"):
        await until(core, partial(exists, core, key), key)
    calls = async_mock_service(core, "notify", "mobile_app_phone")
    await with_blueprint(core, tmp_path)
    await decisions_arrive(core, GIVEN["rows"][0])
    for number, row in enumerate(GIVEN["rows"]):
        body = {"values": row, "captured_at_ns": (number + 1) * 10**9}
        await observe(core, "cam", json.dumps(body).encode())
    await until(core, lambda: shown(core, "auricle_gw1_cam_drift").state == "on", "drift")
    await until(core, lambda: calls, "the notification")
    alarm = shown(core, "auricle_gw1_cam_alarm")
    assert alarm.attributes["event_type"] == "raised"
    assert alarm.attributes["observation_id"]
    notified = calls[0].data
    assert notified["title"] == "gw1: cam"
    assert [one["title"] for one in notified["data"]["actions"]] == [
        "Not new",
        "worn bearing",
        "loose belt",
    ]
    observation = shown(core, flagged).attributes["observation_id"]
    pressed = {"action": notified["data"]["actions"][1]["action"]}
    core.bus.async_fire("mobile_app_notification_action", pressed)
    await answered(core, f"{observation} is worn bearing")

    await until(core, lambda: shown(core, lasting).state == "on", "the question")
    assert float(shown(core, lasting).attributes["shift"]) > 0
    await call(core, "button.press", "auricle_gw1_cam_not-new")
    await answered(core, "the lasting alarm of cam is harmless")
    await until(core, lambda: shown(core, lasting).state == "off", "its answer")
    alarm_key = "auricle_gw1_cam_alarm"
    await until(core, lambda: shown(core, alarm_key).attributes["event_type"] == "ended", "the end")

    for number, value in enumerate(GIVEN["series"]):
        body = {"values": {"volt": value}, "captured_at_ns": (number + 1) * 60 * 10**9}
        await observe(core, "power", json.dumps(body).encode())
    change = "auricle_gw1_power_change"
    await until(core, lambda: shown(core, change).state != "unknown", "the change")
    assert shown(core, change).attributes["channels"] == ["volt"]
    await until(core, lambda: exists(core, "auricle_gw1_power_volt_forecast"), "the forecast")

    os.kill(GIVEN["daemon"], signal.SIGKILL)
    await until(core, lambda: shown(core, flagged).state == "unavailable", "the will")
    assert shown(core, "auricle_gw1_connection").state == "off"
    assert not complaints(caplog), "\n".join(complaints(caplog))
    report(labelled=observation)


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What Home Assistant warned about templates, MQTT and automations."""
    rooms = ("homeassistant.components.mqtt", "homeassistant.helpers", "homeassistant.components")
    return [
        one.getMessage()
        for one in caplog.records
        if one.levelno >= logging.WARNING and one.name.startswith(rooms)
        if "without awaiting" not in one.getMessage()
    ]
