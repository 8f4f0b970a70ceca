"""Signals to a daemon in every order and at every moment: it must reload or end in time, and
account for every number.

Each sequence of one to three of SIGHUP, SIGTERM and SIGINT is sent in each phase of a daemon's
life, with random delays.  A daemon that received neither SIGTERM nor SIGINT must still decide
afterwards.  Homes are reused from run to run, as on a real device, so that a lost number is noticed
at the end.
"""

from __future__ import annotations

import json
import os
import random
import re
import select
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from queue import Empty, SimpleQueue
from signal import SIGALRM, SIGHUP, SIGINT, SIGKILL, SIGTERM, Signals

from ..daemon.fixture import PYTHON, ROOT, make_home, vectors
from .driver import COLUMNS, ReceivedMessages

LENGTHS = (1, 2, 3)
"""Signals of a sequence: a reload, a stop and an impatient second stop are three."""

PHASES = ("start-up", "idle", "load", "reloading", "stopping")
AT_ONCE = 4
"""Daemons at a time: signals meet a daemon that is short of processor time, too."""

GAPS_S = (0.0, 0.0005, 0.02)
"""Longest delays between two signals: none, about a turn of the loop, about a reload."""

PHASE_S = 0.05
"""Longest delay before the first signal in a phase; a start or a stop takes about as long."""

END_S = 10.0
"""A daemon that has not ended by then hangs: the kernel ends it 8 s after the first SIGTERM."""

START_S = 0.4
"""Longest delay before the first signal at start-up; after 0.2 s a daemon usually serves."""

SLOW_S = 3.0
"""An idle daemon ends in 0.1 s; one that takes so long has waited in vain for something."""

HANGS = (-SIGALRM, -SIGKILL)
"""Exit statuses of a daemon that was ended by its own alarm, or by this run."""

EARLY = (-SIGTERM, -SIGINT)
"""Exit statuses of a daemon that was ended before it handled signals: nothing was begun."""

WAIT_S = 30.0
"""Longest wait for a daemon to be ready, or to decide; it takes 0.2 s on an idle machine."""

FACTS = 24
"""Few, so that a home opens in little time: the moments that matter come more often."""

LINES_S = 0.005
"""Pause between two blocks of lines under load: the daemon decides on about as many in it."""

LINES = 30
"""Lines of a block: no longer than a write to a pipe that is never torn, see pipe(7)."""

PIPE_BYTES = 1 << 20
"""No less than a pipe holds by default, see pipe(7)."""

POLL_S = 0.001
"""Pause between two looks at a process; a daemon takes some 0.2 s to start."""

MASKS = re.compile(r"Sig(?:Blk|Cgt):\s*(\w+)")
"""Signals that a process blocks, and that it handles, see proc_pid_status(5)."""

SECTIONS = '\n[device]\nname = "signals"\n[streams.line]\nsource = "stdin"\n'
WINDOWS = ("window = 16", "window = 8")
"""The detector's window before and after a reload, which opens the home again."""


@dataclass(frozen=True)
class Trial:
    """Signals to send in a phase."""

    phase: str
    signals: tuple[Signals, ...]

    @property
    def name(self) -> str:
        """The signals in order."""
        return " ".join(one.name for one in self.signals)

    @property
    def ends(self) -> bool:
        """Whether the daemon has to end: SIGHUP alone does not end it."""
        return self.phase == "stopping" or SIGTERM in self.signals or SIGINT in self.signals


@dataclass(kw_only=True)
class Outcome:
    """The runs of a phase.  codes: exit statuses.  bad: runs that did not end in order, by signals
    and exit status.  hangs: daemons that did not end in time, or were ended by the kernel.  slow:
    slower than `SLOW_S`.  silent: daemons that received only SIGHUP and stopped deciding.
    slowest_s: the longest time to end."""

    runs: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)
    hangs: int = 0
    slow: int = 0
    silent: int = 0
    slowest_s: float = 0.0

    def note(self, trial: Trial, code: int, took_s: float, *, decides: bool) -> None:
        """Record a run."""
        self.runs += 1
        self.codes[code] += 1
        self.hangs += code in HANGS
        self.slow += took_s > SLOW_S
        self.silent += not decides
        self.slowest_s = max(self.slowest_s, took_s)
        fine = {0, *EARLY} if trial.phase == "start-up" and trial.ends else {0}
        if code not in fine or not decides:
            self.bad[f"{trial.phase}: {trial.name}: {code}"] += 1


@dataclass(kw_only=True)
class SignalOutcome:
    """All runs.  unreported, conflicts: numbers that neither arrived nor were reported lost, or
    arrived with two contents.  messages: numbers that arrived.  gaps: numbers reported lost."""

    phases: dict[str, Outcome] = field(default_factory=lambda: {name: Outcome() for name in PHASES})
    unreported: int = 0
    conflicts: int = 0
    messages: int = 0
    gaps: int = 0
    seconds: float = 0.0

    def record_output(self, received: ReceivedMessages) -> None:
        """Process the output of a home's daemons."""
        self.unreported += received.unreported()
        self.conflicts += received.conflicts
        self.messages += len(received.by_number)
        self.gaps += len(received.gaps)

    @property
    def bad(self) -> Counter[str]:
        """Return the runs that did not end in order, by phase, signals and exit status."""
        return sum((one.bad for one in self.phases.values()), Counter())


def sequences() -> list[tuple[Signals, ...]]:
    """Return every sequence of signals that a daemon handles."""
    return [one for length in LENGTHS for one in product((SIGHUP, SIGTERM, SIGINT), repeat=length)]


def trials(each: int) -> list[Trial]:
    """Return each sequence `each` times, spread over the phases."""
    return [
        Trial(PHASES[number % len(PHASES)], signals)
        for signals in sequences()
        for number in range(each)
    ]


def send_signals(
    folder: Path, trials: list[Trial], seed: int, at_once: int = AT_ONCE
) -> SignalOutcome:
    """Run trials in random order, each with random delays."""
    waiting: SimpleQueue[Trial] = SimpleQueue()
    for trial in random.Random(seed).sample(trials, len(trials)):
        waiting.put(trial)
    begun = time.monotonic()
    signalled = SignalOutcome()
    with ThreadPoolExecutor(at_once) as pool:
        homes = [
            pool.submit(_work, folder / f"home-{number}", waiting, signalled, seed + number)
            for number in range(at_once)
        ]
        for home in homes:
            signalled.record_output(home.result())
    signalled.seconds = time.monotonic() - begun
    return signalled


def _work(
    folder: Path, waiting: SimpleQueue[Trial], signalled: SignalOutcome, seed: int
) -> ReceivedMessages:
    """Run trials in a home until none is left; returns the output of its daemons."""
    with closing(Host(folder, seed)) as host:
        with suppress(Empty):
            while True:
                trial = waiting.get_nowait()
                host.run(trial, signalled.phases[trial.phase])
        # One more daemon reports the losses of the last one.
        host.run(Trial("idle", (SIGTERM,)), Outcome())
        return host.received


class Host:
    """A home, and the daemons that serve it one after another."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.received = ReceivedMessages()
        self._folder, self._chance = folder, random.Random(seed)
        make_home(folder, 1, COLUMNS, FACTS)
        text = (folder / "auricle.toml").read_text("utf-8").partition("[device]")[0] + SECTIONS
        self._texts = [text, text.replace(*WINDOWS)]
        self._requests = self._pid = 0
        self._write_settings()
        os.mkfifo(folder / "in")
        # Held open for both: the daemons neither wait for a writer nor see the end of input.
        self._input = os.open(folder / "in", os.O_RDWR | os.O_NONBLOCK)
        lines = vectors(COLUMNS, LINES)
        self._line, self._block = lines[0], "\n".join([*lines, ""]).encode()
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.bind(str(folder / "notify"))
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        self._forker = subprocess.Popen(
            [*PYTHON, "-m", "benchmarks.faults.fork"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # `select` does not see a line in a buffer
            cwd=ROOT,
            env={
                **os.environ,
                **threads,
                "PYTHONPATH": str(ROOT),
                "NOTIFY_SOCKET": str(folder / "notify"),
            },
        )

    def close(self) -> None:
        """End the forking process; a running daemon ends with it."""
        with self._forker:
            self._forker.kill()
        self._manager.close()
        os.close(self._input)

    def run(self, trial: Trial, outcome: Outcome) -> None:
        """Serve, send the signals of a trial, and record the result."""
        (self._folder / "out").unlink(missing_ok=True)
        with suppress(BlockingIOError):
            os.read(self._input, PIPE_BYTES)
        daemon = self._begin()
        decides = True
        with closing_descriptor(daemon), self._loaded(on=trial.phase == "load"):
            self._enter(trial.phase, daemon)
            for one in trial.signals:
                send(daemon, one)
                time.sleep(self._chance.uniform(0.0, self._chance.choice(GAPS_S)))
            if not trial.ends:
                decides = self._decides(daemon)
                send(daemon, SIGTERM)
            begun = time.monotonic()
            code = self._end(daemon)
        outcome.note(trial, code, time.monotonic() - begun, decides=decides)
        self._read_output()

    def _begin(self) -> int:
        """Start to serve; returns a descriptor of the process."""
        assert self._forker.stdin is not None
        self._forker.stdin.write(os.fsencode(self._folder) + b"\n")
        self._pid = int(self._read_answer(WAIT_S))
        return os.pidfd_open(self._pid)

    def _enter(self, phase: str, daemon: int) -> None:
        """Bring the daemon into a phase, and wait for a random moment in it."""
        if phase == "start-up":
            self._await_hold()
            time.sleep(self._chance.uniform(0.0, START_S))
            return
        self._await_ready()
        if phase == "reloading":
            self._write_settings()
            send(daemon, SIGHUP)
        if phase == "stopping":
            send(daemon, SIGTERM)
        time.sleep(self._chance.uniform(0.0, PHASE_S))

    def _await_hold(self) -> None:
        """Wait until the process blocks or handles SIGHUP: before that only the interpreter has
        run."""
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            text = Path(f"/proc/{self._pid}/status").read_text("ascii", "replace")
            if any(int(mask, 16) & 1 << SIGHUP - 1 for mask in MASKS.findall(text)):
                return
            time.sleep(POLL_S)

    def _await_ready(self) -> None:
        self._manager.settimeout(WAIT_S)
        while b"READY=1" not in self._manager.recv(4096):
            continue

    def _write_settings(self) -> None:
        """Write settings that differ from the previous ones."""
        self._texts.reverse()
        (self._folder / "auricle.toml").write_text(self._texts[0], "utf-8")

    @contextmanager
    def _loaded(self, *, on: bool) -> Iterator[None]:
        """Send lines in the context, as fast as they are read."""
        over = threading.Event()

        def send_lines() -> None:
            while not over.wait(LINES_S):
                with suppress(BlockingIOError):
                    os.write(self._input, self._block)

        thread = threading.Thread(target=send_lines)
        if on:
            thread.start()
        try:
            yield
        finally:
            over.set()
            if on:
                thread.join()

    def _decides(self, daemon: int) -> bool:
        """Return whether the daemon decides on a new line."""
        self._requests += 1
        name = f"alive-{self._requests}"
        line = f'{{"id":"{name}","values":{self._line}}}\n'.encode()
        until = time.monotonic() + WAIT_S
        out = self._folder / "out"
        while time.monotonic() < until and not select.select([daemon], [], [], 0.01)[0]:
            if line:
                with suppress(BlockingIOError):
                    os.write(self._input, line)
                    line = b""
            if out.exists() and name.encode() in out.read_bytes():
                return True
        return False

    def _end(self, daemon: int) -> int:
        """Wait for the daemon to end; returns its exit status."""
        try:
            return int(self._read_answer(END_S))
        except TimeoutError:
            send(daemon, SIGKILL)
            return int(self._read_answer(WAIT_S))

    def _read_answer(self, wait_s: float) -> bytes:
        """Read a line of the forking process."""
        assert self._forker.stdout is not None
        if not select.select([self._forker.stdout], [], [], wait_s)[0]:
            raise TimeoutError
        return self._forker.stdout.readline()

    def _read_output(self) -> None:
        """Read the daemon's output, and discard its messages to the service manager."""
        out = self._folder / "out"
        printed = out.read_bytes() if out.exists() else b""
        for line in printed.splitlines(keepends=True):
            if line.endswith(b"\n"):
                self.received.record(json.loads(line))
        self._manager.setblocking(False)  # noqa: FBT003 - its name
        with suppress(BlockingIOError):
            while True:
                self._manager.recv(4096)


def send(daemon: int, number: Signals) -> None:
    """Send a signal to a process that may have ended."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(daemon, number)


@contextmanager
def closing_descriptor(descriptor: int) -> Iterator[None]:
    """Close a descriptor at the end of the context."""
    try:
        yield
    finally:
        os.close(descriptor)
