"""Daemons for tests: in this process, driven step by step, or in a process that can be killed."""

from __future__ import annotations

import ctypes
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from edge.core.events import Enrol
from edge.daemon.daemon import Daemon
from edge.home.home import Home
from tests.homes import new_home
from tests.worlds import fact

WAIT_S = 20.0
READY_S = 120.0
LOOK_S = 0.5
"""How often a daemon that starts is looked at: one that has ended fails its test at once."""
PR_SET_PDEATHSIG = 1
DIE_WITH_PARENT = partial(ctypes.CDLL(None).prctl, PR_SET_PDEATHSIG, signal.SIGKILL)
"""Runs in a daemon's process: the kernel kills it when the tests end for any reason."""
ROOT = Path(__file__).parent.parent


def daemon_home(folder: Path, more: str = "", facts: int = 8) -> Path:
    """Return a home with some facts, without automatic growth, and with more settings."""
    new_home(folder)
    with Home(folder) as home:
        home.feed(Enrol(tuple(fact(f"f{n}", "ab"[n % 2], at=n) for n in range(facts))))
    with (folder / "auricle.toml").open("a", encoding="utf-8") as file:
        file.write(f'\n[device]\nname = "gw1"\n{more}')
    return folder


class Served:
    """A daemon in this process, whose messages are lines of JSON."""

    def __init__(self, folder: Path) -> None:
        self.output = io.BytesIO()
        self.daemon = Daemon(folder, output=self.output)
        self.daemon.start()

    def until(self, done: Callable[[], object]) -> None:
        """Run turns until a condition holds; fail after `WAIT_S`."""
        end = time.monotonic() + WAIT_S
        while not done():
            assert time.monotonic() < end, "waited in vain"
            self.daemon.loop.turn(0.01)

    @property
    def published(self) -> list[dict[str, Any]]:
        """Every message so far."""
        return [json.loads(line) for line in self.output.getvalue().splitlines()]

    def kinds(self, kind: str) -> list[dict[str, Any]]:
        """The messages of a kind."""
        return [one for one in self.published if one["schema"] == f"auricle/v1/{kind}"]


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """Yield a daemon that is closed at the end."""
    made = Served(folder)
    try:
        yield made
    finally:
        made.daemon.close()


START = "from edge.cli.entry import main; main()"

HELD = f"""
from edge.home.home import Home
goes_on = Home.advances_forget.fget
def held(home):
    return (home.folder / ("erasing" if home.runtime.erasing else "deriving")).exists()
Home.advances_forget = property(lambda home: not held(home) and goes_on(home))
{START}
"""
"""A daemon whose forget requests wait before each step while a file of its name is there."""


def until(done: Callable[[], Any]) -> Any:
    """Wait until a value is true, and return it; fails after a time."""
    end = time.monotonic() + WAIT_S
    while not (found := done()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return found


class Process:
    """A daemon in its own process, ready once created.  start: code that runs the program."""

    def __init__(self, folder: Path, start: str = START) -> None:
        self.folder = folder
        place = folder / "notify"
        place.unlink(missing_ok=True)
        self.log = folder / "log"
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
            self.log.open("ab") as log,
        ):
            manager.bind(str(place))
            manager.settimeout(LOOK_S)
            self.process = subprocess.Popen(
                [sys.executable, "-c", start, "run", folder],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "NOTIFY_SOCKET": str(place), "OMP_NUM_THREADS": "1"},
                preexec_fn=DIE_WITH_PARENT,  # noqa: PLW1509 - a call of C alone
            )
            self._wait_until_ready(manager)

    def _wait_until_ready(self, manager: socket.socket) -> None:
        end, heard = time.monotonic() + READY_S, b""
        while b"READY=1" not in heard:
            try:
                heard = manager.recv(4096)
            except TimeoutError:
                if self.process.poll() is None and time.monotonic() < end:
                    continue
                self.process.kill()
                raise AssertionError(f"it is not ready: {self.log.read_text('utf-8')}") from None

    def say(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """Return the next numbered message that it prints."""
        assert self.process.stdout is not None
        message: dict[str, Any] = {"sequence": 0}
        while not message["sequence"]:
            line = self.process.stdout.readline()
            assert line, f"it has ended: {self.log.read_text('utf-8')}"
            message = json.loads(line)
        return message

    def kill(self) -> list[dict[str, Any]]:
        """Kill it; return the messages that were printed but not read."""
        self.process.kill()
        assert self.process.stdout is not None
        rest = self.process.stdout.read()
        self.process.wait()
        return [json.loads(line) for line in rest.splitlines(keepends=True) if line[-1:] == b"\n"]

    def stop(self) -> float:
        """Terminate it; return the seconds it took."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(WAIT_S) == 0
        return time.monotonic() - begun
