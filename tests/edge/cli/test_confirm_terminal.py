"""A lasting alarm put to a person at a terminal, through a daemon that runs: the whole way."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from edge.home.home import Home
from tests.brokers import Mosquitto, needs_mosquitto, quick, seated
from tests.daemons import Process
from tests.drifts import SECOND_NS, SHIFT, samples, timed_home
from tests.homes import raw_bytes, run, run_json
from tests.terminals import Terminal

WINDOW = 16
"""Samples of a window, as by default."""
START_NS = 1_000 * SECOND_NS


class Camera:
    """A daemon whose stream cam gets samples; `run` names their ids."""

    def __init__(self, home: Path, run: str) -> None:
        self.daemon, self._run, self._sent = Process(home), run, 0

    def see(self, count: int, shift: int, seed: int) -> list[dict[str, Any]]:
        """Send samples and return the messages up to the last decision, and what follows it."""
        found: list[dict[str, Any]] = []
        for row in samples(count, shift, seed):
            self._sent += 1
            body = {
                "values": [int(value) for value in row],
                "id": f"{self._run}-{self._sent}",
                "subject": "ann",
                "captured_at_ns": START_NS + self._sent * SECOND_NS,
            }
            self.daemon.say(json.dumps(body))
            found.append(self.daemon.hear())
            while found[-1]["schema"] != "auricle/v1/decision":
                found.append(self.daemon.hear())
        return found


def alarmed(messages: list[dict[str, Any]]) -> list[bool]:
    """Whether the stream was in alarm, by decision."""
    return [one["alarm"] for one in messages if one["schema"] == "auricle/v1/decision"]


def questions(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The questions among messages."""
    return [one for one in messages if one["schema"] == "auricle/v1/alarm-question"]


def status_of(home: Path) -> dict[str, Any]:
    """The status of the stream once the daemon's snapshot has the question."""
    end = time.monotonic() + 20
    while True:
        stream: dict[str, Any] = run_json("status", "--home", home)["streams"][0]
        if stream["question_at_ns"]:
            return stream
        assert time.monotonic() < end, stream


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home of facts in time order."""
    return timed_home(tmp_path / "home")


def test_a_harmless_change_is_confirmed_once_and_for_all(home: Path):
    """The daemon asks once about a lasting alarm; the answer `h` at a terminal ends it, also after
    a killed daemon; a forget request brings it back and leaves no trace of the observations."""
    camera = Camera(home, "first")
    calm = camera.see(3 * WINDOW, 0, 1)
    assert not any(alarmed(calm))
    (asked,) = questions(camera.see(3 * WINDOW, SHIFT, 2))
    assert (asked["stream"], asked["domain"]) == ("cam", "hall")
    assert asked["shift"] > 1
    assert len(asked["observation_ids"]) == WINDOW // 2
    stream = status_of(home)
    assert stream["question_at_ns"] == asked["from_ns"]
    assert 0 <= stream["observed_low"] <= stream["observed_rate"] <= stream["observed_high"] <= 1
    with Terminal("status", "--home", home, columns=160) as person:
        assert person.end() == 0, person.screen
        assert "lasting alarm: auricle confirm" in person.screen
        assert "95 % interval" in person.screen
    with Terminal("confirm", "cam", "--home", home) as person:
        shown = person.until("harmless or real: ")
        assert "lasting alarm on cam since 1970-01-01" in shown
        assert "nearest to hall" in shown
        person.enter("perhaps")
        person.until("harmless or real: ")
        person.enter("h")
        assert person.end() == 0, person.screen
        assert "the level was re-based" in person.screen
    assert not any(alarmed(camera.see(3 * WINDOW, SHIFT, 3))[1:])
    camera.daemon.kill()

    camera = Camera(home, "second")
    assert not any(alarmed(camera.see(3 * WINDOW, SHIFT, 4)))
    camera.daemon.stop()
    trace = f"{asked['observation_ids'][0]}".encode()
    assert trace in raw_bytes(home / "knowledge.db")

    receipt = run_json("forget", "--home", home, "--subject", "ann", "--yes")
    assert (receipt["facts_forgotten"], "recalibration" in receipt["rebuilt"]) == (0, True)
    with Home(home, writable=False) as opened:
        assert opened.store.recalibrations() == {}
        assert opened.store.check() == ()
    assert trace not in raw_bytes(home / "knowledge.db")
    camera = Camera(home, "third")
    assert any(alarmed(camera.see(3 * WINDOW, SHIFT, 5)))
    camera.daemon.kill()


def test_the_label_session_asks_about_alarms_first(home: Path):
    """`auricle label` asks about a lasting alarm before it shows observations; `r` keeps the alarm
    and closes the question."""
    camera = Camera(home, "run")
    camera.see(WINDOW, 0, 1)
    camera.see(3 * WINDOW, SHIFT, 2)
    with Terminal("label", "--home", home) as person:
        assert "1 alarm lasts; h if the change is harmless" in person.until("harmless or real: ")
        person.enter("r")
        assert "the alarm stays" in person.until("wait for a label")
        person.until("label: ")
        person.enter("q")
        assert person.end() == 0, person.screen
    assert run_json("label", "--home", home)["alarms"] == []
    more = camera.see(2 * WINDOW, SHIFT, 3)
    assert all(alarmed(more))
    assert questions(more) == []
    camera.daemon.kill()


def test_an_answer_as_an_option_is_printed(home: Path):
    """--harmless answers without a question, for a stream or an alarm id; an unknown stream, a
    missing answer and a second answer are refused with what is possible."""
    camera = Camera(home, "run")
    assert "no alarm waits" in run("confirm", "--harmless", "--home", home).stderr
    camera.see(WINDOW, 0, 1)
    (asked,) = questions(camera.see(3 * WINDOW, SHIFT, 2))
    assert "expected one of the streams cam" in run("confirm", "door", "--home", home).stderr
    assert "--harmless or --real" in run("confirm", "cam", "--home", home).stderr
    done = run_json("confirm", asked["alarm_id"], "--harmless", "--home", home)
    assert done == {
        "stream": "cam",
        "alarm_id": asked["alarm_id"],
        "detail": "the level was re-based",
    }
    assert "no alarm waits" in run("confirm", "cam", "--harmless", "--home", home).stderr
    camera.daemon.kill()


COMMANDS = """
[mqtt]
port = {port}

[commands]
enabled = ["confirm"]

[commands.keys]
ann = "{key}"

[streams.cam]
source = "stdin"
"""


@needs_mosquitto
def test_a_signed_answer_arrives_through_a_broker(tmp_path: Path):
    """The question is published at its topic; an unsigned answer is refused, a signed one ends the
    alarm, and the same command again is answered without effect."""
    public = run("keygen", tmp_path / "ann.key").stdout.split('"')[1]
    with Mosquitto(tmp_path / "broker") as broker, seated(quick(broker.port), "ann") as ann:
        home = timed_home(tmp_path / "home", COMMANDS.format(port=broker.port, key=public))
        ann.online().broker.subscribe(["auricle/v1/gw1/#"])
        daemon = Process(home)
        try:
            for row in [*samples(WINDOW, 0, 1), *samples(3 * WINDOW, SHIFT, 2)]:
                daemon.say(json.dumps([int(value) for value in row]))
            where = "auricle/v1/gw1/alarm-question/cam"
            ann.until(lambda: [one for one in ann.arrivals if one.topic == where])
            (found,) = [one for one in ann.arrivals if one.topic == where]
            asked = json.loads(found.payload)
            fields = ("--set", f"alarm_id={asked['alarm_id']}", "--set", "harmless=true")
            words = ("command", "confirm", "--device", "gw1", *fields)
            to_broker = (*words, "--broker", f"127.0.0.1:{broker.port}")
            assert "not signed" in run(*to_broker).stdout
            key = ("--key", tmp_path / "ann.key", "--id", "answer-1")
            first = json.loads(run(*to_broker, *key).stdout)
            assert (first["done"], first["body"]["detail"]) == (True, "the level was re-based")
            for row in samples(2 * WINDOW, SHIFT, 3):
                daemon.say(json.dumps([int(value) for value in row]))
            decided = "auricle/v1/gw1/decision/cam"
            ann.until(lambda: len([o for o in ann.arrivals if o.topic == decided]) == 6 * WINDOW)
            last = [json.loads(one.payload) for one in ann.arrivals if one.topic == decided][-1]
            assert last["alarm"] is False
            assert last["observed_low"] <= last["observed_rate"] <= last["observed_high"]
        finally:
            daemon.process.kill()
            daemon.process.communicate()
