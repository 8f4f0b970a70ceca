"""SIGKILL of the daemon and its broker at random moments, with every number counted; then signals,
broken messages, failing disks, clocks and connections.

A driver sends vectors and labels through a real mosquitto, in a persistent session, and receives
all messages of the device.  First only the daemon is killed, then only the broker; after each, all
queues drain, and each number up to the last must have arrived or lie in a reported gap; a confirmed
label must be in the knowledge file, and a number must have one content.  If mosquitto restores a
session that stays silent, a new one starts, and is counted: messages into the silent session are
lost beyond the daemon's control, and are counted separately.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

from ..daemon.fixture import MosquittoBroker, begin, daemon_command, make_home
from ..report import BenchmarkReport, BenchmarkRow
from .driver import COLUMNS, FaultDriver
from .fuzz import Fuzzer, FuzzOutcome
from .places import EnvironmentOutcome, trials
from .signals import SignalOutcome, send_signals
from .signals import trials as signal_trials

KILLS = 30
"""Chosen by hand: each takes seconds."""
BROKER_KILLS = 10
"""Chosen by hand: each takes seconds."""
MESSAGES = 20_000
"""Chosen by hand: a run takes minutes."""
SIGNALS = 20
"""Runs of each sequence of signals: 780 in all, which take some four minutes."""

BURST_S = (0.2, 1.2)
"""Shortest and longest work before a kill, in seconds: start-up and steady state are both hit."""
DURABLE = (
    "persistence true",
    "autosave_on_changes true",
    "autosave_interval 1",
)


def run(
    _data: Path | None,
    kills: int = KILLS,
    broker_kills: int = BROKER_KILLS,
    messages: int = MESSAGES,
    signals: int = SIGNALS,
    seed: int = 0,
) -> BenchmarkReport:
    """Kill daemon and broker, send each sequence of signals and a number of broken messages, and
    run every environment fault."""
    rows: list[BenchmarkRow] = []
    summary: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if kills or broker_kills:
            _kill_all(
                folder,
                kills,
                broker_kills=broker_kills,
                chance=random.Random(seed),
                rows=rows,
                summary=summary,
            )
        if signals:
            _note_signals(
                send_signals(folder / "signals", signal_trials(signals), seed), rows, summary
            )
        if messages:
            fuzz = folder / "fuzz"
            fuzz.mkdir()
            _note_fuzz(Fuzzer(fuzz, seed).run(messages), rows, summary)
        _note_places(trials(folder, seed), rows, summary)
    return BenchmarkReport("faults", tuple(rows), summary)


def _kill_all(
    folder: Path,
    kills: int,
    broker_kills: int,
    chance: random.Random,
    rows: list[BenchmarkRow],
    summary: dict[str, float],
) -> None:
    broker = MosquittoBroker(folder, *DURABLE, f"persistence_location {folder}/")
    broker.start()
    home = folder / "home"
    make_home(home, broker.port, COLUMNS)
    with (home / "auricle.toml").open("a", encoding="utf-8") as file:
        file.write('\n[commands]\nenabled = ["label"]\nper_minute = 100000\n')
        file.write("[outbox]\nreplay_per_s = 2000\n")
    driver = FaultDriver(broker.port)
    begun = time.monotonic()
    for _ in range(kills):
        process = begin(daemon_command(home), folder / "log")
        driver.await_decision()
        driver.run_load(chance.uniform(*BURST_S))
        process.kill()
        process.wait()
    _run_out(driver, home, folder)
    received = driver.received
    unreported, gaps = received.unreported(), len(received.gaps)
    silent, beyond = _kill_broker(
        driver, broker, home=home, folder=folder, chance=chance, kills=broker_kills
    )
    driver.close()
    broker.kill()
    summary |= {
        "kill9_runs": float(kills),
        "broker_kills": float(broker_kills),
        "acknowledged_lost": float(_lost_labels(home, received.confirmed)),
        "duplicates_after_dedup": float(received.conflicts),
        "gaps_unreported": float(received.unreported() - beyond),
    }
    counts = {
        "vectors sent": driver.sent,
        "messages received": len(received.by_number),
        "messages repeated": received.repeated,
        "labels confirmed": len(received.confirmed),
        "gaps reported": gaps,
        "numbers unreported after the daemon's kills": unreported,
        "sessions that the broker restored silent": silent,
        "numbers published into these": beyond,
        "seconds": int(time.monotonic() - begun),
    }
    rows += [BenchmarkRow("kills", name, float(count)) for name, count in counts.items()]


def _run_out(driver: FaultDriver, home: Path, folder: Path) -> None:
    """Let the daemon deliver all waiting messages and end in order."""
    process = begin(daemon_command(home), folder / "log")
    driver.await_decision()
    driver.await_silence()
    process.terminate()
    process.wait()
    driver.receive(1.0)


def _kill_broker(
    driver: FaultDriver,
    broker: MosquittoBroker,
    home: Path,
    folder: Path,
    chance: random.Random,
    kills: int,
) -> tuple[int, int]:
    """Kill the broker while the daemon serves.  Returns how often the driver's session was silent
    afterwards, and how many numbers were lost through that."""
    process = begin(daemon_command(home), folder / "log")
    driver.await_decision()
    silent = beyond = 0
    for _ in range(kills):
        driver.run_load(chance.uniform(*BURST_S))
        before = driver.received.unreported()
        broker.kill()
        driver.receive(chance.uniform(0.0, 0.3))
        broker.start()
        if driver.is_receiving():
            continue
        silent += 1
        driver.close()
        driver.start_session()
        driver.await_decision()
        driver.await_silence()
        beyond += driver.received.unreported() - before
    driver.await_silence()
    process.terminate()
    process.wait()
    _run_out(driver, home, folder)
    return silent, beyond


def _lost_labels(home: Path, confirmed: dict[str, str]) -> int:
    """Count confirmed labels that are missing in the knowledge file."""
    from edge import Store

    with Store.open(home / "knowledge.db", writable=False) as store:
        found = {name: store.get(name) for name in confirmed}
    return sum(fact is None or fact.label != confirmed[name] for name, fact in found.items())


def _note_signals(
    signalled: SignalOutcome, rows: list[BenchmarkRow], summary: dict[str, float]
) -> None:
    phases = signalled.phases
    summary |= {
        "signal_runs": float(sum(one.runs for one in phases.values())),
        "signal_hangs": float(sum(one.hangs for one in phases.values())),
        "signal_bad_ends": float(signalled.bad.total()),
        "signal_gaps_unreported": float(signalled.unreported),
        "signal_duplicates_after_dedup": float(signalled.conflicts),
    }
    for phase, one in phases.items():
        name = f"signals, {phase}"
        counts = ("runs", "hangs", "slow", "silent", "slowest_s")
        rows += [BenchmarkRow(name, count, float(getattr(one, count))) for count in counts]
        rows += [
            BenchmarkRow(name, f"exit status {code}", float(n))
            for code, n in sorted(one.codes.items())
        ]
    rows += [BenchmarkRow("signals, bad ends", case, float(n)) for case, n in signalled.bad.items()]
    counted = {"messages received": signalled.messages, "gaps reported": signalled.gaps}
    rows += [BenchmarkRow("signals", count, float(n)) for count, n in counted.items()]
    rows.append(BenchmarkRow("signals", "seconds", round(signalled.seconds, 1)))


def _note_fuzz(fuzzed: FuzzOutcome, rows: list[BenchmarkRow], summary: dict[str, float]) -> None:
    summary |= {
        "fuzz_messages": float(fuzzed.messages),
        "fuzz_crashes": float(fuzzed.crashes + fuzzed.bugs),
        "fuzz_unexplained": float(fuzzed.unexplained),
        "fuzz_growth_mib": round(fuzzed.growth_mib, 2),
    }
    rows += [BenchmarkRow("fuzz", door, float(count)) for door, count in fuzzed.by_door.items()]


def _note_places(
    outcomes: list[EnvironmentOutcome], rows: list[BenchmarkRow], summary: dict[str, float]
) -> None:
    for one in outcomes:
        key = "enospc" if one.name == "disk full" else one.name.replace(" ", "_")
        if one.skipped:
            rows.append(BenchmarkRow(one.name, f"skipped: {one.skipped}", 0.0))
            continue
        summary[f"{key}_survived"] = float(one.survived)
        names = ("during", "after", "refused", "labelled", "unreported", "ended")
        rows += [BenchmarkRow(one.name, name, float(getattr(one, name))) for name in names]
