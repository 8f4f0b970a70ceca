"""A real daemon on the UART of an emulated board: readings come in, alarms set an output."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bridge.board import EMULATOR, M3, build_app, missing_tools
from edge.daemon.daemon import Daemon
from firmware_bridge import write_c
from tests.extracts import Form, extract_of
from tests.homes import new_home, run, write_csv
from tests.worlds import WIDTH

pytestmark = pytest.mark.skipif(
    bool(missing_tools()), reason=f"no board was emulated: {missing_tools()} not installed"
)
SECONDS_MAX = 60
LEDS = 0x40028000
CHANNEL = 1
SETTINGS = """
[streams.press]
source = "port"
port = "unix:{port}"
alarm_channel = 1
"""


class Board:
    """An emulated Cortex-M3 that streams noise as features; the emulator reads its lamps."""

    def __init__(self, folder: Path) -> None:
        self.port, self._monitor = folder / "uart", folder / "monitor"
        noise = np.random.default_rng(5).integers(0, 256, (16, WIDTH)).astype(np.uint8)
        form = Form(WIDTH, 0, 256, 2, 1, columns=False, plane=False, wide=False, seed=1)
        for name, content in write_c(extract_of(form), noise).items():
            (folder / name).write_bytes(content)
        serial = ["-serial", f"unix:{self.port},server=on,wait=off"]
        monitor = ["-monitor", f"unix:{self._monitor},server=on,wait=off", "-display", "none"]
        program = build_app(M3, folder, folder)
        command = [EMULATOR, "-M", M3.machine, *serial, *monitor, "-kernel", str(program)]
        self.process = subprocess.Popen(command)

    def lamp(self, channel: int) -> bool:
        """Whether a lamp of the board is on."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(5)
            monitor.connect(str(self._monitor))
            monitor.sendall(f"xp /1wx {LEDS:#x}\n".encode())
            result = b""
            while not (found := re.search(rb"0*%x: 0x([0-9a-f]{8})" % LEDS, result)):
                result += monitor.recv(4096)
        return bool(int(found[1], 16) >> channel & 1)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    """A running board."""
    folder = tmp_path / "board"
    folder.mkdir()
    made = Board(folder)
    try:
        wait_for(made.port.exists)
        yield made
    finally:
        made.process.kill()
        made.process.wait()


def wait_for(done: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + SECONDS_MAX
    while not done():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def test_an_alarm_lights_a_lamp_on_the_board(tmp_path: Path, board: Board) -> None:
    """The board streams an unknown domain; the daemon raises an alarm and sets the output of the
    stream, and no other."""
    home = new_home(tmp_path / "home")
    table = write_csv(home / "table.csv", per_label=60)
    assert run("learn", table, "--home", home, "--domain", "hall").exit_code == 0
    with (home / "auricle.toml").open("a", encoding="utf-8") as settings:
        settings.write(SETTINGS.format(port=board.port))
    running: list[Daemon] = []

    def serve() -> None:
        running.append(Daemon(home))
        running[0].run()

    assert not board.lamp(CHANNEL)
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        wait_for(lambda: running or not thread.is_alive())
        wait_for(lambda: board.lamp(CHANNEL))
        assert not board.lamp(0)
    finally:
        for daemon in running:
            daemon.stop()
        thread.join(20)
    assert not thread.is_alive()
