"""The daemon through a real broker, compared with bare paho: rate, latency, memory, start-up, idle
load.

Vectors arrive and decisions leave with QoS 1 through a private mosquitto on loopback.  The peer
answers each vector with a message of a decision's size and does nothing else.  The same programs
drive both in turns: mosquitto's own clients at full speed, and one client at half of the daemon's
rate.  `cpu_us` is the processor time of the process itself per vector: it hardly depends on the
load of the machine.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from ..report import BenchmarkReport, BenchmarkRow
from .driver import LoadDriver, Pace, flood
from .fixture import (
    PYTHON,
    MosquittoBroker,
    cpu_s,
    daemon_command,
    make_home,
    rss_mib,
    running,
    vectors,
)
from .start import start_ratio

COLUMNS = (16, 128)
"""Columns of a small sensor, and of a spectrum."""
VECTORS = 10_000
"""Chosen by hand: some seconds of work."""
ROUNDS = 3
"""Contestants take turns; the median of three counts."""
OBSERVATIONS = 100_000
"""Enough that a leak of ten bytes an observation would show as a megabyte."""
SETTLED = 10_000
"""Vectors before memory is measured first: caches and allocator have grown by then."""
RECONNECTS = 10
"""Connections cut while memory is watched.  Chosen by hand; effect not measured."""
PACED_S = 5
"""Seconds that latency is measured over.  Chosen by hand."""
IDLE_S = 10.0
"""Seconds that CPU time is measured over while idle; several of the daemon's timers fire."""


def run(_data: Path | None, observations: int = OBSERVATIONS) -> BenchmarkReport:
    """Run the benchmark; observations: number of observations over which memory is measured."""
    rows: list[BenchmarkRow] = []
    summary: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for columns in COLUMNS:
            figures = _side_by_side(folder / str(columns), columns)
            rows += [BenchmarkRow(who, f"{what}, {columns} columns", v) for who, what, v in figures]
            if columns == COLUMNS[0]:
                summary |= _summary(figures)
        memory = _memory(folder / "memory", observations)
        rows += [BenchmarkRow("daemon", name, value) for name, value in memory.items()]
        summary |= memory
        ratio, taken = start_ratio(folder / "start")
        rows += [BenchmarkRow(*one) for one in taken]
        summary["start_ratio"] = ratio
    return BenchmarkReport("daemon", tuple(rows), summary)


Figure = tuple[str, str, float]


def _side_by_side(folder: Path, columns: int) -> list[Figure]:
    folder.mkdir()
    lines = folder / "vectors"
    vector = vectors(columns, VECTORS)
    lines.write_text("\n".join(vector) + "\n", "ascii")
    broker = MosquittoBroker(folder)
    broker.start()
    home = folder / "home"
    make_home(home, broker.port, columns)
    size = _answer_size(broker, home, vector[0], folder)
    bare = [*PYTHON, "-m", "benchmarks.daemon.peers", str(broker.port), str(size)]
    commands = {"daemon": daemon_command(home), "bare paho": bare}
    rates: dict[str, list[float]] = {name: [] for name in commands}
    costs: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            with running(command, folder / f"{name}.log") as process:
                _awake(broker.port, vector[0])
                used = cpu_s(process.pid)
                rates[name].append(flood(broker.port, lines, VECTORS))
                costs[name].append((cpu_s(process.pid) - used) / VECTORS * 1e6)
    half = median(rates["daemon"]) / 2
    figures = [(name, "per_s", median(found)) for name, found in rates.items()]
    figures += [(name, "cpu_us", median(found)) for name, found in costs.items()]
    for name, command in commands.items():
        with running(command, folder / f"{name}.log") as process:
            pace = _paced(broker.port, vector, half)
            figures += [(name, "p50_ms", pace.p50_ms), (name, "p99_ms", pace.p99_ms)]
            figures.append((name, "idle_cpu_percent", _idle(process.pid)))
    broker.kill()
    return figures


def _answer_size(broker: MosquittoBroker, home: Path, vector: str, folder: Path) -> int:
    with running(daemon_command(home), folder / "size.log"):
        driver = LoadDriver(broker.port)
        driver.await_answer(vector)
        driver.close()
        return driver.length


def _awake(port: int, vector: str) -> None:
    driver = LoadDriver(port)
    driver.await_answer(vector)
    driver.close()


def _paced(port: int, vector: list[str], per_second: float) -> Pace:
    driver = LoadDriver(port)
    driver.await_answer(vector[0])
    pace = driver.pace(vector[: int(per_second * PACED_S)], per_second)
    driver.close()
    return pace


def _idle(process_id: int) -> float:
    used, begun = cpu_s(process_id), time.monotonic()
    time.sleep(IDLE_S)
    return 100 * (cpu_s(process_id) - used) / (time.monotonic() - begun)


def _summary(figures: list[Figure]) -> dict[str, float]:
    found = {(who, what): value for who, what, value in figures}
    ours: Callable[[str], float] = lambda what: found["daemon", what]  # noqa: E731
    return {
        "decisions_per_s": ours("per_s"),
        "overhead_vs_bare_paho": ours("per_s") / found["bare paho", "per_s"],
        "p50_ms": ours("p50_ms") - found["bare paho", "p50_ms"],
        "p99_ms": ours("p99_ms") - found["bare paho", "p99_ms"],
        "idle_cpu_percent": ours("idle_cpu_percent"),
    }


def _memory(folder: Path, observations: int) -> dict[str, float]:
    """Return resident memory after the first observations and after all; the broker is killed in
    between."""
    folder.mkdir()
    lines = folder / "vectors"
    part = max(observations - SETTLED, SETTLED) // RECONNECTS
    lines.write_text("\n".join(vectors(COLUMNS[0], SETTLED)) + "\n", "ascii")
    more = folder / "more"
    more.write_text("\n".join(vectors(COLUMNS[0], part, seed=2)) + "\n", "ascii")
    broker = MosquittoBroker(folder)
    broker.start()
    home = folder / "home"
    make_home(home, broker.port, COLUMNS[0])
    with running(daemon_command(home), folder / "daemon.log") as process:
        _awake(broker.port, vectors(COLUMNS[0], 1)[0])
        flood(broker.port, lines, SETTLED)
        start = rss_mib(process.pid)
        for _ in range(RECONNECTS):
            broker.kill()
            broker.start()
            _awake(broker.port, vectors(COLUMNS[0], 1)[0])
            flood(broker.port, more, part)
        end = rss_mib(process.pid)
    broker.kill()
    return {"rss_start_mib": start, "rss_end_mib": end}
