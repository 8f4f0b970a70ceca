"""Fixtures of the daemon benchmarks: a broker, a home with vectors, and processes."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

DEVICE = "bench"
STREAM = "s"
OBSERVE_TOPIC = f"auricle/v1/{DEVICE}/observe/{STREAM}"
DECISION_TOPIC = f"auricle/v1/{DEVICE}/decision/{STREAM}"
ROOT = Path(__file__).parents[2]
FACTS = 120
"""Chosen by hand; effect not measured."""
PATHS = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"
PYTHON = (sys.executable, "-P")
AURICLE = (*PYTHON, "-c", "from edge.cli.entry import main; main()")
"""The command line of this installation."""


def program(name: str) -> str:
    """Return the path of one of mosquitto's programs."""
    found = shutil.which(name, path=PATHS)
    if found is None:
        raise FileNotFoundError(f"{name}: install mosquitto and its clients")
    return found


def free_port() -> int:
    """Return a free loopback port."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class MosquittoBroker:
    """A mosquitto on a free loopback port that drops no message.  lines: additional settings."""

    def __init__(self, folder: Path, *lines: str) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
            "max_inflight_messages 100\nset_tcp_nodelay true\nuser root\n"
            + "".join(f"{line}\n" for line in lines),
            "utf-8",
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the broker and wait until it listens."""
        self._process = subprocess.Popen(
            [program("mosquitto"), "-c", str(self._config)], stderr=subprocess.DEVNULL
        )
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)

    def kill(self) -> None:
        """Kill the broker."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def vectors(columns: int, count: int, seed: int = 0) -> list[str]:
    """Return vectors of three classes, as JSON."""
    random = np.random.default_rng(seed)
    rows = random.normal((np.arange(count) % 3)[:, None] * 2.0, 1.0, (count, columns)).round(3)
    return ["[" + ",".join(map(repr, row)) + "]" for row in rows.tolist()]


def make_home(folder: Path, port: int, columns: int, facts: int = FACTS) -> None:
    """Create a home with three learned classes that serves one stream of vectors from a topic."""
    from edge import Label, Observation
    from edge.home import Home, create_home, grow_due
    from encoder import calibrate, open_model, vector_card

    random = np.random.default_rng(1)
    rows = random.normal((np.arange(facts) % 3)[:, None] * 2.0, 1.0, (facts, columns))
    rows = rows.astype(np.float32)
    with open_model(vector_card(columns)) as model:
        create_home(folder, calibrate(model, list(rows)), "")
    with Home(folder) as home:
        for number, row in enumerate(rows):
            home.feed(
                Observation(stream="learn", sequence=number, captured_at_ns=number, payload=row)
            )
            home.feed(Label(f"learn:{number}", "abc"[number % 3]))
        home.refit_geometry()
        # Due growth runs now, so no worker runs during the measurement.
        for _ in grow_due(home, _ignore):
            continue
    with (folder / "auricle.toml").open("a", encoding="utf-8") as file:
        file.write(
            f'\n[device]\nname = "{DEVICE}"\n[mqtt]\nhost = "127.0.0.1"\nport = {port}\n'
            "reconnect_s_min = 0.1\nreconnect_s_max = 0.5\n"
            # Messages to the peer must not wait here for the next turn.
            "session_expiry_s = 0\n"
            f'[streams.{STREAM}]\nsource = "topic"\n'
        )


def _ignore(_domain: str) -> None:
    """Ignore the progress of growth."""


def begin(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a program on one thread; its standard error is appended to a file."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    with log.open("ab") as errors:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **threads, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )


@contextmanager
def running(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in the context, and end it in order afterwards."""
    process = begin(command, log)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def daemon_command(home: Path) -> list[str]:
    """Return the command that serves a home."""
    return [*AURICLE, "run", str(home)]


def rss_mib(process_id: int) -> float:
    """Return the resident memory of a process in MiB."""
    text = Path(f"/proc/{process_id}/status").read_text("ascii", "replace")
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def cpu_s(process_id: int) -> float:
    """Return the processor seconds that a process has used."""
    fields = Path(f"/proc/{process_id}/stat").read_text("ascii", "replace").rpartition(")")[2]
    user, system = fields.split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
