"""The daemon as a whole: in this process without a broker, with a real one, and killed."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from edge.config.device import OutboxSettings
from edge.core.errors import ConfigError, StateError
from edge.core.events import ForgetRequest, Label
from edge.core.facts import Selector
from edge.daemon import health
from edge.daemon.daemon import Daemon
from edge.daemon.loop import REJECTIONS_PER_S
from edge.daemon.systemd import SystemdNotifier
from edge.mqtt.packets import InboundMessage
from edge.outbox.outbox import Outbox
from edge.sources.measurement import InvalidMeasurement, Measurement, MeasurementMetadata
from tests.brokers import Mosquitto, needs_mosquitto, quick, seated
from tests.daemons import Process, Served, daemon_home, served
from tests.worlds import WIDTH, vector

STDIN = '[streams.line]\nsource = "stdin"\n'
HTTP = '[streams.door]\nsource = "http"\n'


def measure(number: int = 0, stream: str = "door", **given: object) -> Measurement:
    """A valid measurement."""
    metadata = MeasurementMetadata(**given)  # type: ignore[arg-type]
    return Measurement(stream, vector(number), metadata)


def test_measurements_become_decisions_with_numbers(tmp_path: Path):
    """Each is decided once, under its own id, with consecutive numbers."""
    with served(daemon_home(tmp_path, HTTP)) as here:
        for number in range(3):
            here.daemon.inbox.offer(measure(number))
        here.daemon.inbox.offer(measure(7, id="mine", captured_at_ns=5))
        here.until(lambda: len(here.kinds("decision")) == 4)
        messages = here.kinds("decision")
        assert [one["observation_id"] for one in messages] == [
            "door:1-1",
            "door:1-2",
            "door:1-3",
            "mine",
        ]
        assert messages[-1]["captured_at_ns"] == 5
        numbers = [one["sequence"] for one in here.published]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        (stream,) = here.daemon.status().streams
        assert (stream.received, stream.decided, stream.dropped) == (4, 4, 0)


def test_a_labelled_observation_keeps_its_time_and_recording(tmp_path: Path):
    """A fact learned from a live observation has the observation's own time and recording, else the
    recording of its stream and day; a time that cannot be is rejected."""
    day_ns = 86_400 * 10**9
    with served(daemon_home(tmp_path, HTTP)) as here:
        for number, at_ns in enumerate((5, day_ns + 7)):
            here.daemon.inbox.offer(measure(number, id=f"o{number}", captured_at_ns=at_ns))
        here.daemon.inbox.offer(measure(3, id="odd", captured_at_ns=10**30))
        here.daemon.inbox.offer(measure(4, id="o2", captured_at_ns=9, recording="night"))
        here.until(lambda: len(here.kinds("decision")) == 3 and here.kinds("rejected"))
        for number in range(3):
            here.daemon.loop.feed("", Label(f"o{number}", "cup"))
        home = here.daemon.loop.homes[""].home
        assert home is not None
        store = home.store
        facts = [store.get(f"o{number}") for number in range(3)]
        assert [(one.captured_at_ns, one.recording) for one in facts if one] == [
            (5, "door 1970-01-01"),
            (day_ns + 7, "door 1970-01-02"),
            (9, "night"),
        ]
        here.daemon.loop.feed(
            "",
            ForgetRequest(
                request_id="r", selector=Selector(recording="door 1970-01-02"), requested_at_ns=1
            ),
        )
        assert (store.get("o0"), store.get("o1")) == (facts[0], None)


def test_an_invalid_measurement_is_rejected_with_a_reason(tmp_path: Path):
    """Unreadable input, and input that the encoder rejects, changes nothing."""
    with served(daemon_home(tmp_path, HTTP)) as here:
        here.daemon.inbox.reject("door", InvalidMeasurement("it is not json", "send json"))
        here.daemon.inbox.offer(Measurement("door", vector(1)[: WIDTH - 1]))
        here.until(lambda: len(here.kinds("rejected")) == 2)
        reasons = " ".join(one["reason"] for one in here.kinds("rejected"))
        assert "not json" in reasons
        assert "vector" in reasons
        assert here.daemon.status().streams[0].rejected == 2


def test_a_run_has_ids_of_its_own(tmp_path: Path):
    """The same stream in a second run repeats no id and no number."""
    folder = daemon_home(tmp_path, HTTP)
    seen = []
    for _ in range(2):
        with served(folder) as here:
            here.daemon.inbox.offer(measure())
            here.until(partial(here.kinds, "decision"))
            seen += here.kinds("decision")
    assert [one["observation_id"] for one in seen] == ["door:1-1", "door:2-1"]
    assert seen[0]["sequence"] < seen[1]["sequence"]


def test_a_message_of_an_unknown_stream_is_rejected_with_a_reason(tmp_path: Path):
    """A message at a misspelled topic is rejected with the list of streams, a few times a
    second."""
    with served(daemon_home(tmp_path, HTTP)) as here:
        for name in ("observe/dooor", "command", "observe/door") * 20:
            topic = f"auricle/v1/gw1/{name}"
            here.daemon.loop.receive(InboundMessage(topic=topic, payload=b"{}"))
        here.until(lambda: here.kinds("rejected"))
        messages = here.kinds("rejected")
        assert messages[0]["subject_id"] == "auricle/v1/gw1/observe/dooor"
        assert "none" in messages[0]["hint"]
        assert len(messages) == REJECTIONS_PER_S
        assert here.daemon.loop.unrouted == 60


def test_a_broken_home_leaves_the_others_serving(tmp_path: Path, monkeypatch):
    """Its streams are rejected with the reason, the status has it too, and the home serves once
    repaired."""
    other = daemon_home(tmp_path / "other")
    hidden = (other / "card.toml").rename(other / "hidden.toml")
    streams = HTTP + '[streams.far]\nsource = "http"\nhome = "other"\n[homes]\nother = "other"\n'
    with served(daemon_home(tmp_path, streams)) as here:
        here.daemon.inbox.offer(measure(stream="far"))
        here.daemon.inbox.offer(measure())
        here.until(lambda: here.kinds("decision") and here.kinds("rejected"))
        assert "other" in here.kinds("rejected")[0]["reason"]
        monkeypatch.setattr(health, "STARTING_S", 0.0)
        status = here.daemon.status()
        assert (status.state, "card" in status.problems[0]) == ("degraded", True)
        hidden.rename(other / "card.toml")
        here.until(lambda: here.daemon.homes["other"].home)
        here.daemon.inbox.offer(measure(stream="far"))
        here.until(lambda: len(here.kinds("decision")) == 2)


def test_forgetting_reaches_waiting_messages(tmp_path: Path):
    """A decision that still waits for the broker is erased with its observation; its number is
    reported as lost."""
    with served(daemon_home(tmp_path, HTTP)) as here:
        here.daemon.connection.problem = "blocked"
        here.daemon.inbox.offer(measure(id="secret-one"))
        here.until(lambda: here.daemon.outbox.entries)
        here.daemon.loop.feed(
            "",
            ForgetRequest(
                request_id="r1", selector=Selector(ids=frozenset({"secret-one"})), requested_at_ns=1
            ),
        )
        assert [loss.reason for loss in here.daemon.outbox.losses] == ["forgotten"]
        assert b"secret-one" not in (tmp_path / "outbox.db").read_bytes()
        here.daemon.connection.problem = ""
        here.until(lambda: here.kinds("gap") and here.kinds("receipt"))
        assert here.kinds("gap")[0]["reason"] == "forgotten"
        assert here.kinds("decision") == []


def test_observations_forgotten_offline_leave_the_outbox_at_the_start(tmp_path: Path):
    """An observation that was forgotten while no daemon ran is not published afterwards."""
    from edge.home.home import Home

    folder = daemon_home(tmp_path, HTTP)
    here = Served(folder)
    here.daemon.connection.problem = "blocked"
    here.daemon.inbox.offer(measure(id="secret-two"))
    here.until(lambda: here.daemon.outbox.entries)
    here.daemon.close()
    with Home(folder) as home:
        home.store.apply(_erasure("secret-two"))
    with served(folder) as again:
        again.until(lambda: again.kinds("gap"))
        assert again.kinds("decision") == []


def _erasure(key: str):
    from edge.core.events import EraseFacts
    from edge.core.receipt import Receipt

    receipt = Receipt(
        request_id="r",
        requested_at_ns=1,
        selector=Selector(ids=frozenset({key})),
        facts_forgotten=0,
        concepts_touched=(),
        digest_before="",
        digest_after="",
        rebuilt=(),
        evicted_before=0,
        not_covered=(),
    )
    return EraseFacts((key,), receipt)


def test_settings_are_read_again(tmp_path: Path):
    """New streams start, unchanged ones keep their counters, and changes that need a restart are
    named."""
    folder = daemon_home(tmp_path, HTTP)
    with served(folder) as here:
        here.daemon.inbox.offer(measure())
        here.until(lambda: here.kinds("decision"))
        text = (folder / "auricle.toml").read_text("utf-8")
        changed = text.replace('"gw1"', '"gw2"') + '[streams.new]\nsource = "http"\n'
        (folder / "auricle.toml").write_text(changed, "utf-8")
        did = here.daemon.reload()
        assert "streams: changed" in did
        assert any("restart" in one for one in did)
        here.daemon.inbox.offer(measure(stream="new"))
        here.until(lambda: len(here.kinds("decision")) == 2)
        assert {one.name: one.decided for one in here.daemon.status().streams} == {
            "door": 1,
            "new": 1,
        }


def test_broken_settings_change_nothing_and_are_named(tmp_path: Path):
    """The last good settings hold, at a reload and at a start, and the status has the reason."""
    folder = daemon_home(tmp_path, HTTP)
    with served(folder) as here:
        with (folder / "auricle.toml").open("a", encoding="utf-8") as file:
            file.write("[outbox]\nbytes_mux = 1\n")
        with pytest.raises(ConfigError, match="bytes_mux") as caught:
            here.daemon.reload()
        assert caught.value.hint == "did you mean bytes_max?"
        assert "bytes_mux" in here.daemon.status().problems[0]
    with served(folder) as again:
        assert "last-good" in again.daemon.status().problems[0]
        again.daemon.inbox.offer(measure())
        again.until(lambda: again.kinds("decision"))


def test_a_home_is_opened_again_when_its_settings_change(tmp_path: Path):
    """Another window gives another runtime, without a restart."""
    folder = daemon_home(tmp_path, HTTP)
    with served(folder) as here:
        text = (folder / "auricle.toml").read_text("utf-8")
        (folder / "auricle.toml").write_text(text.replace("window = 16", "window = 8"), "utf-8")
        assert any("opened again" in one for one in here.daemon.reload())
        home = here.daemon.homes[""].home
        assert home is not None
        assert home.settings.detector.window == 8


def test_two_daemons_never_share_a_home(tmp_path: Path):
    """The second is refused, and the first is undisturbed."""
    folder = daemon_home(tmp_path, HTTP)
    with served(folder), pytest.raises(StateError, match="another process"):
        Served(folder)


def test_lines_go_in_and_come_out_of_a_process(tmp_path: Path):
    """`auricle run` without a broker is a filter; SIGTERM ends it in order, well within 5 s."""
    process = Process(daemon_home(tmp_path, STDIN))
    process.say(json.dumps(vector(1).tolist()))
    while (messages := process.hear())["schema"] != "auricle/v1/decision":
        continue
    assert messages["stream"] == "line"
    process.process.send_signal(signal.SIGHUP)
    assert process.stop() < 5
    assert '"event": "reloaded"' in process.log.read_text("utf-8")


def test_killed_at_any_moment_every_number_is_accounted_for(tmp_path: Path):
    """After kill -9 the next run continues after every number that was given out, and reports the
    gap: each number has arrived or is in the gap; a repeated message is identical."""
    folder = daemon_home(tmp_path, STDIN)
    arrived: dict[int, dict[str, object]] = {}
    lost: list[tuple[int, int]] = []
    for burst in (3, 17, 40):
        process = Process(folder)
        for number in range(burst):
            process.say(json.dumps(vector(number).tolist()))
        heard = [process.hear() for _ in range(burst)]
        heard += [one for one in process.kill() if one["sequence"]]
        for messages in heard:
            messages.pop("historical")
            assert arrived.setdefault(messages["sequence"], messages) == messages
            if messages["schema"] == "auricle/v1/gap":
                lost.append((messages["first"], messages["last"]))
    with Outbox(folder / "outbox.db", OutboxSettings()) as left:
        lost += [(loss.first, loss.last) for loss in left.losses]
        waiting = {entry.sequence for entry in left.waiting()}
        # A gap that was written but not published before the kill also waits, with its own report.
        bodies = [json.loads(one.body) for one in left.waiting() if one.topic.endswith("/gap")]
        lost += [(body["first"], body["last"]) for body in bodies]
        top = left.next_number()
    reported_lost = {number for first, last in lost for number in range(first, last + 1)}
    assert set(range(1, top)) <= arrived.keys() | reported_lost | waiting


@needs_mosquitto
def test_vectors_go_in_by_a_topic_and_decisions_out(tmp_path: Path):
    """Through a real broker: decisions made while it is dead arrive later, none is lost, and those
    that it had confirmed just before arrive again, because it may not have saved them."""
    with Mosquitto(tmp_path / "broker") as broker:
        more = (
            f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\nreconnect_s_min = 0.05\n'
            'reconnect_s_max = 0.2\n[streams.press]\nsource = "topic"\n'
            '[streams.door]\nsource = "http"\n'
        )
        with (
            served(daemon_home(tmp_path / "home", more)) as here,
            seated(quick(broker.port), "ear") as ear,
        ):
            ear.broker.subscribe(["auricle/v1/gw1/decision/+", "auricle/v1/gw1/gap"])
            ear.online()
            here.until(lambda: here.daemon.connection.online)
            ear.say("auricle/v1/gw1/observe/press", json.dumps(vector(1).tolist()).encode())
            _both(here, ear, lambda: len(ear.arrivals) == 1)
            broker.kill()
            here.until(lambda: not here.daemon.connection.online)
            for number in range(5):
                here.daemon.inbox.offer(measure(number))
            here.until(lambda: here.daemon.outbox.entries == 6)
            ear.until(lambda: not ear.broker.online)
            broker.start()
            ear.online()
            _both(here, ear, lambda: ear.broker.online and len(ear.arrivals) >= 7)
            messages = [json.loads(one.payload) for one in ear.arrivals]
            assert len({one["sequence"] for one in messages}) == 6
            assert [one["historical"] for one in messages if one["stream"] == "press"] == [
                False,
                True,
            ]
            assert [one["stream"] for one in messages].count("door") == 5
            assert not any(one["schema"].endswith("gap") for one in messages)


def _both(here: Served, ear, done) -> None:
    """Turn the daemon and the listener until a condition holds."""
    end = time.monotonic() + 20
    while not done():
        assert time.monotonic() < end, "waited in vain"
        here.daemon.loop.turn(0.01)
        ear.broker.pump(0.01)


def test_the_watchdog_is_fed_by_the_loop_alone(tmp_path: Path):
    """A turn of the loop feeds it; time without a turn does not."""
    folder = daemon_home(tmp_path, HTTP)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(0.3)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        daemon = Daemon(folder, output=io.BytesIO(), notifier=SystemdNotifier(environment))
        daemon.start()
        notifications = _notifications(manager)
        assert b"READY=1" in notifications
        assert b"WATCHDOG=1" not in notifications
        for _ in range(5):
            daemon.loop.turn(0.06)
        assert _notifications(manager).count(b"WATCHDOG=1") >= 2
        daemon.close()
        assert b"STOPPING=1" in _notifications(manager)


def _notifications(manager: socket.socket) -> list[bytes]:
    """Every notification that waits for the manager."""
    notifications = []
    with suppress(TimeoutError):
        while True:
            notifications.append(manager.recv(4096))
    return notifications


def test_a_second_signal_hurries(tmp_path: Path):
    """A second stop skips waiting for acknowledgements, and still writes all that waits."""
    process = Process(daemon_home(tmp_path, STDIN))
    process.say(json.dumps(vector(1).tolist()))
    process.hear()
    process.process.send_signal(signal.SIGINT)
    assert process.stop() < 5
    with Outbox(tmp_path / "outbox.db", OutboxSettings()) as left:
        assert not list(left.losses)


SIGNALLED = """
import os, signal, sys
from edge.cli.entry import main

class Finder:
    def find_spec(self, name, path, target=None):
        if name == "numpy":
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.NUMBER)

sys.meta_path.insert(0, Finder())
main()
"""
"""Runs the program, and sends it a signal while it loads."""


def test_a_reload_requested_while_the_program_loads_waits(tmp_path: Path):
    """SIGHUP does not end it: it serves, reads its settings again, and ends in order."""
    process = Process(daemon_home(tmp_path, STDIN), SIGNALLED.replace("NUMBER", "SIGHUP"))
    process.say(json.dumps(vector(1).tolist()))
    assert process.hear()["schema"].startswith("auricle/v1/")
    assert process.stop() < 5
    assert '"event": "reloaded"' in process.log.read_text("utf-8")


def test_an_interrupt_while_the_program_loads_ends_it_without_a_traceback(tmp_path: Path):
    """SIGINT ends it at once, by the signal, without output."""
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED.replace("NUMBER", "SIGINT"), "run", tmp_path],
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


def test_it_ends_in_time_with_a_blocked_reader(tmp_path: Path):
    """A blocked reader of its output stops the loop, but the process still ends eight seconds after
    the first SIGTERM, whatever signals follow."""
    process = Process(daemon_home(tmp_path, STDIN))
    line = json.dumps(vector(1).tolist()).encode() + b"\n"
    assert process.process.stdin is not None
    os.set_blocking(process.process.stdin.fileno(), False)
    # It blocks once both pipes and the buffers between them are full.
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < 1.0:
        try:
            os.write(process.process.stdin.fileno(), line * 10)
            quiet_since = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
    begun = time.monotonic()
    process.process.send_signal(signal.SIGTERM)
    time.sleep(3)
    process.process.send_signal(signal.SIGTERM)
    assert process.process.wait(12) == -signal.SIGALRM
    assert time.monotonic() - begun < 10
