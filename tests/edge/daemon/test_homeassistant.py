"""Controls of Home Assistant against a running daemon, over a real broker."""

from __future__ import annotations

import io
import json
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edge.daemon.daemon import Daemon
from edge.daemon.homeassistant import (
    ANNOUNCED_STREAMS_MAX,
    ANSWERS_MAX,
    CONTROLS_PER_MINUTE,
    PICTURE_PIXELS,
    HomeAssistantPanel,
    small_picture,
)
from edge.mqtt.homeassistant.controls import LabelControl
from tests.brokers import Mosquitto, Seat, needs_mosquitto, quick, seated
from tests.drifts import SECOND_NS, SHIFT, samples, timed_home

pytestmark = needs_mosquitto
WINDOW = 16
SETTINGS = """
[mqtt]
host = "127.0.0.1"
port = {port}

[mqtt.homeassistant]
controls = true

[streams."{stream}"]
source = "topic"
"""
STREAM = "cam/1 {{ 'x' }} 😀"
BASE = "auricle/v1/gw1"
PLACE = "cam%2F1 {{ 'x' }} 😀"


class Here:
    """A daemon in a thread, and a client that receives what it publishes."""

    def __init__(self, watcher: Seat, daemon: Daemon) -> None:
        self.watcher, self.daemon = watcher, daemon
        self._at = 0

    def see(self, count: int, shift: int, seed: int) -> None:
        """Publish samples, and wait for the decisions."""
        before = len(self.found("decision"))
        for row in samples(count, shift, seed):
            self._at += 1
            body = {"values": [float(one) for one in row], "captured_at_ns": self._at * SECOND_NS}
            self.watcher.say(f"{BASE}/observe/{PLACE}", json.dumps(body).encode())
        self.watcher.until(lambda: len(self.found("decision")) == before + count)

    def found(self, kind: str) -> list[dict[str, Any]]:
        """The messages of a kind about the stream."""
        topics = {f"{BASE}/{kind}/{PLACE}", f"{BASE}/{kind}"}
        return [json.loads(one.payload) for one in self.watcher.arrivals if one.topic in topics]

    @property
    def flagged(self) -> dict[str, Any]:
        """The newest flagged state."""
        return self.found("homeassistant/flagged")[-1]

    def control(self, kind: str, *, retain: bool = False, **fields: object) -> None:
        """Publish a control."""
        body = json.dumps(fields).encode()
        self.watcher.say(f"{BASE}/control/{kind}", body, retain=retain)

    def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Publish a control, and wait for its answer."""
        before = len(self.found("homeassistant/answer"))
        self.control(kind, **fields)
        self.watcher.until(lambda: len(self.found("homeassistant/answer")) > before)
        return self.found("homeassistant/answer")[-1]


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    """A daemon that knows one place, and controls of a stream with a hostile name."""
    with Mosquitto(tmp_path / "broker") as mosquitto:
        streams = SETTINGS.format(port=mosquitto.port, stream=STREAM)
        home = timed_home(tmp_path / "home", streams)
        running: list[Daemon] = []
        thread = threading.Thread(target=serve, args=(home, running))
        with seated(quick(mosquitto.port), "watcher") as watcher:
            watcher.broker.subscribe(["auricle/#"])
            watcher.online()
            watcher.until(lambda: watcher.broker.counters.reasons["SUBACK: Granted QoS 1"])
            thread.start()
            watcher.until(lambda: running)
            made = Here(watcher, running[0])
            watcher.until(lambda: made.found("homeassistant/flagged"))
            yield made
            running[0].stop()
            thread.join(10)
            assert not thread.is_alive()


def serve(home: Path, running: list[Daemon]) -> None:
    """Run a daemon; SQLite requires that its thread opens the files."""
    running.append(Daemon(home))
    running[0].run()


def test_not_new_answers_the_lasting_alarm_that_was_shown(here: Here) -> None:
    """While a lasting alarm waits, the button calls it harmless; the alarm ends, and the question
    with it.  Pressed once more with the old alarm it is refused."""
    here.see(2 * WINDOW, 0, 1)
    here.see(3 * WINDOW, SHIFT, 2)
    here.watcher.until(lambda: here.flagged["alarm_id"])
    shown = {one: here.flagged[one] for one in ("stream", "observation_id", "alarm_id")}
    assert shown["stream"] == STREAM
    assert here.flagged["shift"] > 0
    answer = here.ask("not-new", **shown)
    assert answer == {
        "done": True,
        "control": "not-new",
        "text": f"the lasting alarm of {STREAM} is harmless",
        "hint": "",
    }
    here.watcher.until(lambda: here.flagged["alarm_id"] == "")
    assert here.found("alarm")[-1]["raised"] is False
    (event,) = history(here, "alarm-answer")
    assert (event["stream"], event["text"]) == (
        STREAM,
        f"The alarm of {STREAM} was answered: harmless",
    )
    assert here.ask("not-new", **shown)["done"] is False


def test_an_answer_is_about_the_observation_that_was_shown(here: Here) -> None:
    """A flagged observation stays until it is answered, so that no other one is labelled; then the
    next one replaces it, and a guess on the former is not confirmed any more."""
    here.see(2, 120, 3)
    here.watcher.until(lambda: here.flagged["observation_id"])
    first = here.flagged["observation_id"]
    here.see(2, 120, 4)
    assert here.flagged["observation_id"] == first
    labelled = {"stream": STREAM, "observation_id": first, "label": '"unknown"'}
    assert here.ask("label", **labelled)["text"] == f"{first} is unknown"
    here.watcher.until(lambda: here.flagged["label"] == "unknown")
    here.see(1, -120, 5)
    here.watcher.until(lambda: here.flagged["observation_id"] not in {"", first})
    late = here.ask("not-new", stream=STREAM, observation_id=first)
    assert (late["done"], late["text"]) == (
        False,
        "there is no guess to confirm; give it a label",
    )
    second = here.flagged
    press = {"stream": STREAM, "observation_id": second["observation_id"]}
    assert here.ask("not-new", **press)["text"] == f"{press['observation_id']} is {second['guess']}"


def test_the_rate_is_written_into_the_settings(here: Here) -> None:
    """The rate takes effect at once and stays: the file holds it, with its comments; one that the
    file cannot take is refused, and changes nothing."""
    path = here.daemon.folder / "auricle.toml"
    before = path.read_text("utf-8")
    assert here.ask("false-alarm-rate", home="", percent=5)["done"] is True
    assert path.read_text("utf-8") == before.replace(
        "false_alarm_rate = 0.01 ", "false_alarm_rate = 0.05 "
    )
    here.watcher.until(lambda: '"rate":5.0' in state(here))
    home = here.daemon.homes[""].home
    assert home is not None
    assert home.runtime.config.false_alarm_rate == 0.05
    assert [one["text"] for one in history(here, "command")] == [
        "The false-alarm rate was set to 5 %"
    ]
    path.write_text(f"{before}\nbroken", "utf-8")
    refused = here.ask("false-alarm-rate", home="", percent=7)
    assert refused["done"] is False
    assert "broken" in path.read_text("utf-8")
    path.write_text(before, "utf-8")
    assert here.ask("false-alarm-rate", home="attic", percent=7)["done"] is False
    assert tomllib.loads(path.read_text("utf-8"))["detector"]["false_alarm_rate"] == 0.01


def history(here: Here, kind: str) -> list[dict[str, Any]]:
    """The events of a kind in the history."""
    line = json.dumps({"verb": "history", "id": f"h-{kind}", "kinds": [kind]})
    answer = json.loads(here.daemon.listeners.control.answer(line.encode()))
    found: list[dict[str, Any]] = answer["body"]["events"]
    return found


def state(here: Here) -> str:
    """The newest retained state."""
    topic = f"{BASE}/homeassistant/state"
    return [one.payload for one in here.watcher.arrivals if one.topic == topic][-1].decode()


def test_a_forgotten_observation_leaves_home_assistant(here: Here) -> None:
    """Its state is replaced; the retained messages of the device never named it."""
    here.see(2, 120, 3)
    here.watcher.until(lambda: here.flagged["observation_id"])
    first = here.flagged["observation_id"]
    here.ask("label", stream=STREAM, observation_id=first, label="x")
    answer = here.daemon.listeners.control.answer(
        json.dumps({"verb": "forget", "id": "f1", "select": {"ids": [first]}}).encode()
    )
    assert json.loads(answer)["done"] is True
    here.watcher.until(lambda: here.flagged["observation_id"] == "")
    assert first not in state(here)


def test_a_retained_control_is_not_carried_out_again(here: Here) -> None:
    """The broker delivers it at each connection; only its arrival when it was sent counts."""
    here.control("label", retain=True, stream="else", observation_id="x", label="y")
    here.watcher.until(lambda: here.found("homeassistant/answer"))
    path = here.daemon.folder / "auricle.toml"
    text = path.read_text("utf-8")
    path.write_text(text.replace("[mqtt]\n", "[mqtt]\nkeepalive_s = 50\n"), "utf-8")
    here.daemon.request_reload()
    here.watcher.until(lambda: len(here.found("status")) >= 3)
    answer = here.ask("label", stream="late", observation_id="x", label="y")
    assert answer["text"] == "there is no stream 'late'"
    assert len(here.found("homeassistant/answer")) == 2


def test_a_flood_of_controls_is_limited(tmp_path: Path) -> None:
    """Beyond the limit controls are refused, and the answers that wait are bounded."""
    daemon = Daemon(timed_home(tmp_path / "home"), output=io.BytesIO())
    panel = HomeAssistantPanel(
        "gw1", "1", lambda: daemon.loop, lambda: daemon.handler, clock=lambda: 0.0
    )
    seen = []
    for _ in range(CONTROLS_PER_MINUTE + 1):
        panel.control(LabelControl("else", "x", "y"))
        seen += [one.text for one in panel.answers()]
    assert seen[:-1] == ["there is no stream 'else'"] * CONTROLS_PER_MINUTE
    assert "in a minute" in seen[-1]
    for _ in range(2 * ANSWERS_MAX):
        panel.control(LabelControl("else", "x", "y"))
    assert len(list(panel.answers())) == ANSWERS_MAX
    daemon.close()


def jpeg(width: int, height: int, **more: Any) -> bytes:
    """A picture as a file, whose upper half is white."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2] = 255
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "JPEG", **more)
    return written.getvalue()


def test_a_picture_is_small_and_upright_without_metadata() -> None:
    """It has at most so many pixels a side, EXIF data is applied and dropped, pixels and files both
    work, and other payloads give none."""
    exif = Image.Exif()
    exif[0x0112] = 6  # stored rotated by 90 degrees
    exif[0x010F] = "Maker of the camera"
    found = small_picture(jpeg(3000, 1000, exif=exif.tobytes()))
    assert found is not None
    made = Image.open(io.BytesIO(found))
    assert made.size == (PICTURE_PIXELS * 1000 // 3000, PICTURE_PIXELS)
    assert b"Maker" not in found
    assert small_picture(np.zeros((40, 30, 3), np.uint8)) is not None
    for nothing in (b"", b"no picture", np.zeros(3), jpeg(30, 30)[:50], {"a": 1.0}):
        assert small_picture(nothing) is None


def test_nothing_is_watched_without_the_section(tmp_path: Path) -> None:
    """Without [mqtt.homeassistant] the loop calls no panel."""
    daemon = Daemon(timed_home(tmp_path / "home"), output=io.BytesIO())
    assert daemon.loop.watch is None
    assert isinstance(daemon.panel, HomeAssistantPanel)
    daemon.close()


def test_many_streams_are_announced_in_part(tmp_path: Path) -> None:
    """Streams beyond the bound have no entities; the device links to its console by name."""
    streams = "".join(f'[streams.s{n}]\nsource = "stdin"\n' for n in range(100))
    web = '[web]\nenabled = true\nnames = ["hall.local"]\n'
    daemon = Daemon(timed_home(tmp_path / "home", streams + web), output=io.BytesIO())
    made = daemon.panel.announced()
    assert len(made.streams) == len(daemon.panel.flagged()) == ANNOUNCED_STREAMS_MAX
    assert made.console == "http://hall.local:9465/"
    daemon.close()
