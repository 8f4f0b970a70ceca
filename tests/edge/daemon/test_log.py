"""Reports of a daemon process on its streams: in its log, in `auricle status` and in metrics."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edge.core.events import Enrol
from edge.daemon.metrics import Metrics
from edge.extras import install_command
from edge.home.home import Home
from edge.mqtt.messages import DaemonStatus
from tests.brokers import Mosquitto, needs_mosquitto, quick, seated
from tests.daemons import Process, daemon_home, until
from tests.homes import new_home, run, run_json, write_csv
from tests.worlds import WIDTH, fact

STDIN = '[streams.line]\nsource = "stdin"\n'
SERIES = '[streams.line]\nsource = "stdin"\nkind = "series"\n'
TOPIC = """
[mqtt]
host = "127.0.0.1"
port = {port}

[streams.belt]
source = "topic"
"""
TORCHLESS = "import sys\nsys.modules['torch'] = None\n"
"""Run before everything else, it hides an installed torch from a process and its children."""


@contextmanager
def running(folder: Path) -> Iterator[tuple[Process, list[bytes]]]:
    """A daemon's process and its printed lines, read as they come so that no full pipe blocks it.
    It is killed at the end."""
    printed: list[bytes] = []
    daemon = Process(folder)
    assert daemon.process.stdout is not None
    reading = threading.Thread(target=printed.extend, args=(daemon.process.stdout,))
    reading.start()
    try:
        yield daemon, printed
    finally:
        daemon.process.kill()
        daemon.process.wait()
        reading.join()
        for pipe in (daemon.process.stdin, daemon.process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()


def lines(daemon: Process, event: str) -> list[dict[str, Any]]:
    """The lines of an event in a daemon's log."""
    result = map(json.loads, daemon.log.read_text("utf-8").splitlines())
    return [one for one in result if one["event"] == event]


def stream_of(folder: Path) -> dict[str, Any]:
    """The only stream, as in `auricle status --json`."""
    shown = json.loads(run("status", "--home", folder, "--json").stdout)
    return dict(shown["streams"][0])


def test_rejected_lines_are_in_the_log_and_the_stream_is_not_fine(tmp_path: Path) -> None:
    """212 unusable lines cause one or two lines of the log with the reason, and `auricle status`
    shows it with exit status 4; the next answered measurement clears it."""
    folder = daemon_home(tmp_path, STDIN)
    with running(folder) as (daemon, _):
        for _ in range(212):
            daemon.say('{"vals": [1]}')
        until(lambda: stream_of(folder)["rejected"] == 212)
        found = until(lambda: lines(daemon, "measurements_rejected"))
        assert (len(found), found[0]["level"], found[0]["stream"]) == (1, "warning", "line")
        assert "vals" in found[0]["reason"]
        until(lambda: run("status", "--home", folder).exit_code == 4)
        shown = run("status", "--home", folder).stdout
        assert "all 212 measurements were rejected" in shown
        assert "fine" not in next(one for one in shown.splitlines() if one.startswith("line "))
        daemon.say(json.dumps([1] * WIDTH))
        until(lambda: stream_of(folder)["decided"] == 1)
        assert stream_of(folder)["input_problem"] == ""
        until(lambda: run("status", "--home", folder).exit_code == 0)


def test_a_series_counts_in_the_status(tmp_path: Path) -> None:
    """Forecasts count as answers, with their rate, and a change point is a line of the log."""
    folder = daemon_home(tmp_path, SERIES)
    rows = 1000 + np.cumsum(np.random.default_rng(0).normal(size=(300, 2)), axis=0)
    rows[250:] += 400
    with running(folder) as (daemon, _):
        for row in rows:
            daemon.say(json.dumps(row.tolist()))
        shown = until(lambda: (one := stream_of(folder))["forecasts"] == 300 and one)
        assert (shown["decided"], shown["rejected"]) == (0, 0)
        assert until(lambda: stream_of(folder)["per_second"]) > 0
        assert stream_of(folder)["change_points"] >= 1
        (row,) = [
            one
            for one in run("status", "--home", folder).stdout.splitlines()
            if one.startswith("line ")
        ]
        assert "300" in row.split()
        snapshot = msgspec.convert(run_json("status", "--home", folder), DaemonStatus)
        metrics = Metrics(lambda: snapshot).text().decode()
        assert 'auricle_stream_forecasts_total{stream="line"} 300.0' in metrics
        assert 'auricle_stream_input_problem{stream="line"} 0.0' in metrics
        found = until(lambda: lines(daemon, "series_changed"))
        assert found[0]["stream"] == "line"
        assert set(found[0]["channels"]) <= {"0", "1"}


@needs_mosquitto
def test_an_alarm_and_a_stray_message_are_in_the_log(tmp_path: Path) -> None:
    """Through a real broker: a drift alarm, and a message at a misspelled topic, each cause a line
    of the log and count in the status."""
    with Mosquitto(tmp_path / "broker") as broker, seated(quick(broker.port), "ear") as ear:
        ear.online()
        folder = new_home(tmp_path / "home")
        table = write_csv(tmp_path / "table.csv", per_label=80)
        assert run("learn", table, "--home", folder).exit_code == 0
        with (folder / "auricle.toml").open("a", encoding="utf-8") as file:
            file.write('[device]\nname = "gw1"\n' + TOPIC.format(port=broker.port))
        with running(folder) as (daemon, _):
            until(lambda: run_json("status", "--home", folder)["broker"]["online"])
            ear.say("auricle/v1/gw1/observe/bolt", b"[1]")
            until(lambda: run_json("status", "--home", folder)["unrouted"])
            for number in range(100):
                odd = [255 * ((number + place) % 2) for place in range(WIDTH)]
                ear.say("auricle/v1/gw1/observe/belt", json.dumps(odd).encode())
                ear.broker.pump(0.01)
            until(lambda: stream_of(folder)["alarms"])
            (alarm,) = until(lambda: lines(daemon, "alarm_raised"))
            assert (alarm["stream"], alarm["count"]) == ("belt", 1)
            (stray,) = until(lambda: lines(daemon, "messages_unrouted"))
            assert stray["topic"].endswith("observe/bolt")


def test_without_torch_no_growth_is_started(tmp_path: Path, monkeypatch: Any) -> None:
    """A domain that is due keeps its head, nothing is reported as rejected, and the status names
    the missing package; a request for growth gets the same answer."""
    folder = daemon_home(tmp_path / "home", STDIN)
    with Home(folder) as home:
        facts = [fact(f"g{n}", "ab"[n % 2], at=n) for n in range(40)]
        home.feed(Enrol(tuple(facts)))
    (tmp_path / "sitecustomize.py").write_text(TORCHLESS, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with running(folder) as (daemon, printed):
        daemon.say(json.dumps([1] * WIDTH))
        until(lambda: stream_of(folder)["decided"] == 1)
        shown = run("status", "--home", folder)
        assert "torch is not installed" in shown.stdout
        assert shown.exit_code == 0
        assert [one["reason"][:5] for one in lines(daemon, "no_growth")] == ["torch"]
        result = run("command", "grow", "--set", "domain=home", "--home", folder)
        assert result.exit_code == 1
        assert install_command("grow") in result.output.replace("\n", "")
        time.sleep(1.5)
    assert [one for one in printed if b"auricle/v1/growth" in one] == []
