"""Time from start to readiness: the daemon compared with a bare script that uses the same encoder
and broker.

`python -m benchmarks.daemon.start PORT` is that script; it sends READY=1 as systemd expects.  Both
run from compiled bytecode, as an installed package does: a first round, which compiles, is not
counted.  Processor time is reported as well as wall time: it hardly depends on other load.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from ..hotpath.serving import MODEL, open_bare
from .fixture import PYTHON, ROOT, MosquittoBroker, cpu_s, daemon_command

ROUNDS = 5
"""Starts, taken in turns after one that warms the file cache; the median counts."""
READY_S = 60.0
"""Generous, so that a slow machine does not fail."""


def start_ratio(folder: Path) -> tuple[float, list[tuple[str, str, float]]]:
    """Return the daemon's time divided by the bare script's, and the time of each (medians, in
    turns)."""
    folder.mkdir()
    broker = MosquittoBroker(folder)
    broker.start()
    home = folder / "home"
    _make_home(home, broker.port)
    bare = [*PYTHON, "-m", "benchmarks.daemon.start", str(broker.port)]
    commands = {"daemon": daemon_command(home), "bare paho": bare}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for turn in range(1 + ROUNDS):
        for name, command in commands.items():
            taken = _seconds_to_ready(command, folder)
            found[name] += [taken] if turn else []
    broker.kill()
    rows = []
    for name, times in found.items():
        passed, used = (median(column) for column in zip(*times, strict=True))
        rows += [(name, "start_s", passed), (name, "start_cpu_s", used)]
    return rows[0][2] / rows[2][2], rows


def _make_home(home: Path, port: int) -> None:
    from edge.home import create_home

    create_home(home, None, MODEL)
    with (home / "auricle.toml").open("a", encoding="utf-8") as file:
        file.write(
            f'\n[mqtt]\nhost = "127.0.0.1"\nport = {port}\n'
            '[streams.cam]\nsource = "topic"\nformat = "image"\n'
        )


def _seconds_to_ready(command: Sequence[str], folder: Path) -> tuple[float, float]:
    """Return the wall seconds until a program reports readiness, and its processor seconds."""
    path = folder / "notify"
    path.unlink(missing_ok=True)
    bytecode = {"PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    # Auricle disables the telemetry of onnxruntime, which takes time; so does the bare script.
    quiet = {"ORT_DISABLE_TELEMETRY": "1"}
    given = {"NOTIFY_SOCKET": str(path), "PYTHONPATH": str(ROOT), **bytecode, **threads, **quiet}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(READY_S)
        begun = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | given,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while b"READY=1" not in manager.recv(1 << 12):
                continue
            return time.monotonic() - begun, cpu_s(process.pid)
        finally:
            process.terminate()
            process.wait()


def _main(port: int) -> None:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    session = open_bare()
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
    assert session is not None
    client.loop_forever()


if __name__ == "__main__":
    _main(int(sys.argv[1]))
