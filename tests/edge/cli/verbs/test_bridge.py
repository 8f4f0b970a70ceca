from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from edge.core.events import Decision
from edge.home.device_port import Attachment, alarm_outputs, attach_port
from edge.home.home import Home
from firmware_bridge import (
    Actuate,
    Command,
    Link,
    LinkConnected,
    LinkGap,
    Reading,
    WireError,
    exchange,
)
from firmware_bridge.transports import SocketTransport
from tests.homes import new_home, run, run_json, write_csv
from tests.terminals import Terminal
from tests.worlds import WIDTH

SECONDS_MAX = 60


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with enough facts of two labels for the default false-alarm rate."""
    made = new_home(tmp_path / "home")
    table = write_csv(tmp_path / "table.csv", per_label=80)
    assert run("learn", table, "--home", made, "--domain", "hall").exit_code == 0
    return made


def reading(number: int, values: object) -> Reading:
    """A reading of stream 0."""
    array = np.asarray(values)
    return Reading(0, array.dtype.name, number, number * 1000, array.tobytes())


def decision(attached: Attachment, result: Reading) -> Decision:
    """The decision on a reading."""
    return next(messages for messages in attached.handle(result) if isinstance(messages, Decision))


def checked_as_printed(stdout: str) -> str:
    """Run the command in the last line of the verb's output in a shell; return its output."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler is installed: the export was not built")
    typed = stdout.splitlines()[-1].removeprefix("check it on this machine: ")
    ran = subprocess.run(["sh", "-c", typed], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def test_both_exports_share_a_folder_and_a_check(tmp_path, home):
    """Knowledge and forecaster in one folder, whose name has spaces, share a test program."""
    out = tmp_path / "for the board"
    assert run("export-c", "--home", home, "--out", out).exit_code == 0
    result = run("export-c", "--forecaster", "shipped", "--out", out)
    assert checked_as_printed(result.stdout).splitlines() == [
        "knowledge: 24 of 24 golden vectors agree",
        "forecaster: 64 of 64 golden vectors agree",
    ]


def test_an_export_is_written_and_agrees(tmp_path, home):
    """The verb writes all files, names the chosen extract, and the golden vectors agree."""
    result = run("export-c", "--home", home, "--out", tmp_path / "out", "--rate", "0.1")
    assert result.exit_code == 0, result.output
    assert "chosen: " in result.stdout
    assert (tmp_path / "out" / "knowledge.bin").read_bytes()[:4] == b"AUR1"
    assert "\nlabelled: " in result.stdout
    assert checked_as_printed(result.stdout) == "knowledge: 24 of 24 golden vectors agree\n"


def test_extracts_are_lists_at_80_columns(tmp_path, home):
    """At a terminal of 80 columns each extract is a list whose names and values stand in one piece
    on lines that fit."""
    words = ("export-c", "--home", home, "--out", tmp_path / "out", "--rate", "0.1", "--bits", 256)
    with Terminal(*words, columns=80) as user:
        assert user.end() == 0, user.screen
        listed = user.screen[: user.screen.index("\nbits: length")]
    assert max(map(len, listed.splitlines())) <= 80
    assert "\nbits 256\n    blocks bits  head 8 bits, per domain  domains 1" in listed
    for name in ("flash bytes", "RAM bytes", "fits yes", "routed 1.000", "detected -"):
        assert any(name in line for line in listed.splitlines()), (name, listed)


def test_a_forecaster_is_written_and_agrees(tmp_path):
    """The shipped forecaster is exported without a home, and its golden vectors agree."""
    result = run("export-c", "--forecaster", "shipped", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    messages = run_json("export-c", "--forecaster", "shipped", "--out", tmp_path / "out")
    assert messages["units"] == 20
    assert "auricle_forecaster.c" in messages["files"]
    agree = "forecaster: 64 of 64 golden vectors agree\n"
    assert checked_as_printed(result.stdout) == agree


def test_other_weights_than_a_liquid_forecasters_are_refused(tmp_path):
    """A missing file and a gated network are errors of two lines."""
    gated = files("edge.core.forecasting") / "weights" / "gru.safetensors"
    for path in (tmp_path / "none", gated):
        result = run("export-c", "--forecaster", path, "--out", tmp_path / "out")
        assert result.exit_code != 0
        assert "hint" in result.output


def test_an_export_lists_its_candidates_in_json(tmp_path, home):
    """With --json candidates, choice and files are one value; --knowledge names the file."""
    words = ("--knowledge", home / "knowledge.db", "--out", tmp_path / "out", "--flash", "64")
    found = run_json("export-c", *words, "--bits", "256")
    assert found["chosen"] in found["candidates"]
    assert {one["bits"] for one in found["candidates"]} == {256}
    assert "auricle_knowledge.c" in found["files"]


def test_an_impossible_export_is_an_error(tmp_path, home):
    """A too small budget and a missing port are errors of two lines."""
    result = run("export-c", "--home", home, "--out", tmp_path / "out", "--flash", "1")
    assert result.exit_code == 1
    assert "nothing fits" in result.stderr
    assert not (tmp_path / "out").exists()
    result = run("bridge", "--home", home, "--port", f"unix:{tmp_path / 'nothing'}")
    assert result.exit_code == 1
    assert "hint" in result.stderr
    assert "--port" in run("bridge", "--home", home).stderr


def test_readings_become_observations(home):
    """Features that the device quantised and numbers for the encoder give the same decision; ids
    go on over a restart of the device, and gaps are counted."""
    with Home(home) as opened:
        attached = attach_port(opened, Link(5), "bench")
        attached.handle(LinkConnected(1, 1, 288, restarted=False))
        values = np.arange(WIDTH, dtype=np.uint8)
        first = decision(attached, reading(0, values))
        second = decision(attached, reading(1, values.astype(np.float32)))
        attached.handle(LinkGap(0, 2, 3))
        attached.handle(LinkConnected(2, 1, 288, restarted=True))
        third = decision(attached, reading(0, values))
    assert first.guess == second.guess == third.guess
    assert first.score == second.score
    names = [one.observation_id for one in (first, second, third)]
    assert len(set(names)) == 3
    assert all(name.startswith("bench:") for name in names)
    assert (attached.readings, attached.gaps) == (3, 3)


def test_an_alarm_sets_the_output(home):
    """A drift alarm sends the device a command to set its output."""
    link = Link(5)
    with Home(home, outputs=alarm_outputs("bench", 4)) as opened:
        attached = attach_port(opened, link, "bench")
        opened.actuate = attached.actuate
        for number in range(200):
            odd = np.full(WIDTH, 255 * (number % 2), np.uint8)
            attached.handle(reading(number, odd))
    assert attached.alarms >= 1


class Device(threading.Thread):
    """A device at the other end of a socket that streams on command."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.heard: list[object] = []
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()

    def run(self) -> None:
        """Serve one connection."""
        connection, _ = self._server.accept()
        transport, link, number = SocketTransport(connection, "device"), Link(9), 0
        end = time.monotonic() + SECONDS_MAX
        try:
            while time.monotonic() < end:
                self.heard += exchange(link, transport, 10_000_000)
                if any(isinstance(one, Command) for one in self.heard) and number < 300:
                    link.send(reading(number, np.full(WIDTH, 255 * (number % 2), np.uint8)))
                    number += 1
        except WireError:
            # The other end has closed the port: it has seen enough.
            return


def test_a_port_is_attached_and_watched(tmp_path, home):
    """Readings over a socket are decided on, and the alarm goes back down; the monitor shows the
    events and the counters."""
    device = Device(tmp_path / "port")
    device.start()
    words = ("--home", home, "--alarm-channel", "2", "--seconds", "6")
    result = run("bridge", "--port", f"unix:{tmp_path / 'port'}", *words)
    assert result.exit_code == 0, result.output
    assert "readings, 0 missed" in result.stdout
    assert "bridge:" in result.stdout
    assert any(isinstance(one, Actuate) and one.channel == 2 for one in device.heard)
    other = Device(tmp_path / "second")
    other.start()
    result = run("bridge", "monitor", f"unix:{tmp_path / 'second'}", "--seconds", "1")
    assert "Connected" in result.stdout
    assert "frames_received" in result.stdout
