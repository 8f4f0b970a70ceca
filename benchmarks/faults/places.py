"""Environment faults: full and failing disks, clock jumps, broken connections; the daemon during
each and afterwards.

Each case reports the decisions during and after the fault, the numbers neither received nor
reported lost, and the reason if it cannot run here.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ..daemon.fixture import MosquittoBroker, begin, daemon_command, make_home
from .driver import COLUMNS, FaultDriver

FAULT_S = 4.0
"""Seconds of work during the fault.  Chosen by hand."""
AFTER_S = 8.0
"""Seconds of work after the fault: covers the daemon's backoff.  Chosen by hand."""
DISK_MIB = 32
"""Small enough to be filled in a moment, large enough for the home."""
CUT_BYTES = (200, 60_000)
"""Bytes after which a connection is cut: within the first messages, or after hundreds."""
EROFS, EIO = 30, 5
"""Linux, errno.h."""
JUMP_S, JUMP_SLACK_S = 30 * 365.25 * 86_400, 30 * 86_400.0
"""Thirty years, and what leap years and the program's own idea of a year may make of them."""


@dataclass(frozen=True, kw_only=True)
class EnvironmentOutcome:
    """The result of a case.  during, after: decisions received.  refused, labelled: labels rejected
    during the fault and accepted afterwards.  unreported: numbers that neither arrived nor were
    reported lost, and clock jumps without a report.  ended: the daemon did not survive."""

    name: str
    during: int = 0
    after: int = 0
    refused: int = 0
    labelled: int = 0
    unreported: int = 0
    ended: bool = False
    skipped: str = ""

    @property
    def survived(self) -> bool:
        """Whether the daemon kept deciding, accepts labels again, and accounts for every number."""
        whole = self.during and self.after and self.labelled
        return bool(whole) and not (self.unreported or self.ended or self.skipped)


class EnvironmentTrial:
    """A daemon with a temporary fault.  wrap: changes the daemon's command."""

    def __init__(self, name: str, folder: Path, *, port: int = 0) -> None:
        self.name, self.folder = name, folder
        folder.mkdir()
        self.broker = MosquittoBroker(folder)
        self.broker.start()
        self.home = folder / "home"
        make_home(self.home, port or self.broker.port, COLUMNS)
        with (self.home / "auricle.toml").open("a", encoding="utf-8") as file:
            file.write('\n[commands]\nenabled = ["label"]\nper_minute = 100000\n')
            file.write("[outbox]\nreplay_per_s = 2000\n")
        self.driver = FaultDriver(self.broker.port)

    def run(
        self, command: list[str], strike: Callable[[int], None], mend: Callable[[int], None]
    ) -> EnvironmentOutcome:
        """Serve, inject the fault, remove it, and count."""
        process = begin(command, self.folder / "log")
        driver = self.driver
        try:
            driver.await_decision()
            before = (
                driver.received.decisions,
                driver.received.refused,
                len(driver.received.confirmed),
            )
            strike(process.pid)
            driver.run_load(FAULT_S)
            during = (
                driver.received.decisions,
                driver.received.refused,
                len(driver.received.confirmed),
            )
            mend(process.pid)
            driver.run_load(AFTER_S)
            driver.await_silence()
            ended = process.poll() is not None
        finally:
            process.terminate()
            process.wait()
            driver.receive(0.5)
            driver.close()
            self.broker.kill()
        received = driver.received
        return EnvironmentOutcome(
            name=self.name,
            during=during[0] - before[0],
            after=received.decisions - during[0],
            refused=during[1] - before[1],
            labelled=len(received.confirmed) - during[2],
            unreported=received.unreported(),
            ended=ended,
        )


def disk_full(folder: Path) -> EnvironmentOutcome:
    """Fill a disk of a few MiB to the last byte, then clear it."""
    if os.geteuid() or shutil.which("unshare") is None:
        return EnvironmentOutcome(name="disk full", skipped="needs root, and unshare")
    trial = EnvironmentTrial("disk full", folder / "full")
    template = trial.home.rename(trial.folder / "template")
    trial.home.mkdir()
    mount = f"mount -t tmpfs -o size={DISK_MIB}m tmpfs {trial.home}"
    script = f'{mount} && cp -r {template}/. {trial.home} && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", *daemon_command(trial.home)]

    def inside(pid: int) -> Path:
        return Path(f"/proc/{pid}/root{trial.home}/filler")

    def fill(pid: int) -> None:
        with inside(pid).open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))

    return trial.run(command, fill, lambda pid: inside(pid).unlink())


def failing_calls(folder: Path, name: str, call: str, error: int) -> EnvironmentOutcome:
    """Make a system call fail for a while."""
    program = shutil.which("fiu-ctrl")
    if program is None:
        return EnvironmentOutcome(name=name, skipped="needs fiu-run")
    trial = EnvironmentTrial(name, folder / name.replace(" ", "-"))
    command = ["fiu-run", "-x", "-f", str(trial.folder / "fiu"), *daemon_command(trial.home)]

    def control(pid: int, order: str) -> None:
        subprocess.run(
            [program, "-f", str(trial.folder / "fiu"), "-c", order, str(_daemon_process(pid))],
            check=True,
            timeout=20,
        )

    return trial.run(
        command,
        lambda pid: control(pid, f"enable name={call},failinfo={error}"),
        lambda pid: control(pid, f"disable name={call}"),
    )


def clock_jumps(folder: Path) -> EnvironmentOutcome:
    """Set the wall clock thirty years back, then right again."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        return EnvironmentOutcome(name="clock jumps", skipped="needs faketime")
    trial = EnvironmentTrial("clock jumps", folder / "clock")
    offset = trial.folder / "offset"
    offset.write_text("+0\n", "ascii")
    environment = {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": offset,
        "FAKETIME_NO_CACHE": 1,
        "FAKETIME_DONT_FAKE_MONOTONIC": 1,
    }
    words = [f"{key}={value}" for key, value in environment.items()]
    found = trial.run(
        ["env", *words, *daemon_command(trial.home)],
        lambda _pid: _write(offset, "-30y\n"),
        lambda _pid: _write(offset, "+0\n"),
    )
    return replace(
        found, unreported=found.unreported + unreported_jumps(trial.driver.received.jumps)
    )


def unreported_jumps(jumps: list[float]) -> int:
    """Count how many of the two jumps, thirty years back and forth, were not reported correctly."""
    back = [one for one in jumps if abs(one + JUMP_S) < JUMP_SLACK_S]
    forth = [one for one in jumps if abs(one - JUMP_S) < JUMP_SLACK_S]
    return (not back) + (not forth)


def connection_cuts(folder: Path, seed: int) -> EnvironmentOutcome:
    """Cut the connection to the broker at random bytes, repeatedly."""
    with cutting_proxy(random.Random(seed)) as line:
        trial = EnvironmentTrial("line cut at random bytes", folder / "line", port=line.port)
        line.to = trial.broker.port
        return trial.run(
            daemon_command(trial.home),
            lambda _pid: setattr(line, "cutting", True),
            lambda _pid: setattr(line, "cutting", False),
        )


class CuttingProxy:
    """A TCP proxy to another port; while `cutting`, each connection ends after some bytes."""

    def __init__(self, chance: random.Random) -> None:
        self.to, self.cutting, self.cuts = 0, False, 0
        self._chance = chance
        self._ear = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._ear.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop accepting connections."""
        self._ear.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._ear.accept()
                try:
                    there = socket.create_connection(("127.0.0.1", self.to), 5)
                except OSError:
                    here.close()
                    continue
                for one, other in ((here, there), (there, here)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        left = self._chance.randrange(*CUT_BYTES)
        with suppress(OSError):
            while chunk := one.recv(65_536):
                if self.cutting and len(chunk) >= left:
                    self.cuts += 1
                    other.sendall(chunk[:left])
                    break
                left -= len(chunk) if self.cutting else 0
                other.sendall(chunk)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def cutting_proxy(chance: random.Random) -> Iterator[CuttingProxy]:
    """A proxy that is closed at the end of the context."""
    line = CuttingProxy(chance)
    try:
        yield line
    finally:
        line.close()


def trials(folder: Path, seed: int) -> list[EnvironmentOutcome]:
    """Run all cases."""
    return [
        disk_full(folder),
        failing_calls(folder, "fsync fails", "posix/io/sync/fdatasync", EIO),
        failing_calls(folder, "disk read only", "posix/io/rw/pwrite", EROFS),
        clock_jumps(folder),
        connection_cuts(folder, seed),
    ]


def _write(path: Path, text: str) -> None:
    """Replace a file atomically."""
    others_topics = path.with_suffix(".new")
    others_topics.write_text(text, "ascii")
    others_topics.replace(path)


def _daemon_process(pid: int) -> int:
    """Return the process of the daemon: this one, or its child if a script wraps it."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        if "python" in Path(f"/proc/{pid}/exe").readlink().name:
            return pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split():
            return _daemon_process(int(child))
    return pid
