"""How long the daemon takes from its start to being ready, against a bare script with the same
encoder that connects to the same broker.

`python -m benchmarks.daemon.start PORT` is that script; it says READY=1 as systemd wants it.  Both
run from compiled bytecode, as what is installed does: a first round, which compiles, is not
counted.  Processor time is told beside the time that passed: others on the machine hardly change
it.
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
READY_S = 60.0


def start_ratio(folder: Path) -> tuple[float, list[tuple[str, str, float]]]:
    """The daemon's time over the bare script's, and what each took (medians, in turns)."""
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
    """Seconds that pass until a program says that it is ready, and those of processor it takes."""
    path = folder / "notify"
    path.unlink(missing_ok=True)
    bytecode = {"PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    # Auricle has onnxruntime report to nobody, which takes time: the bare script gains by it, too.
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
