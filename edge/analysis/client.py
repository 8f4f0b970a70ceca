"""Starts the analysis process and asks it; this file loads no numpy."""

import os
import selectors
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from ..core import EdgeError, TransportError

Question = Literal["suspicious", "prototypes", "groups", "enough"]
"""What can be asked; docs/reference/commands.md describes the answers."""

ANSWER_BYTES_MAX: Final = 16 << 20
"""Longest answer: 10,000 observations with their groups take one megabyte."""

TIMEOUT_S: Final = 60.0
"""Seconds until a question is given up: 20,000 facts take ten on a small gateway."""


class AnalysisClient:
    """One analysis process for a folder with homes; any thread may ask, one question at a time.

    A process that was killed is started again with the next question.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    @property
    def pid(self) -> int:
        """The id of the process, 0 while none runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else 0

    def ask(self, what: Question, home: str = "", timeout_s: float = TIMEOUT_S) -> Any:
        """Return the answer to a question about a home.

        Raises EdgeError with the reason if the home cannot be read, TransportError if there is no
        answer in time; the process is then ended.
        """
        line = msgspec.json.encode({"what": what, "home": home}) + b"\n"
        with self._lock:
            answer = self._exchange(line, timeout_s)
            if answer is None:
                # It has ended, idle or killed: once more with a new one.
                self._stop()
                answer = self._exchange(line, timeout_s)
            if answer is None:
                self._stop()
                raise TransportError(
                    f"analysing {self._folder}: the analysis process has ended",
                    "it may have run out of memory; see the log, and ask again",
                )
        found: dict[str, Any] = msgspec.json.decode(answer)
        if not found["done"]:
            raise EdgeError(found["reason"], found["hint"])
        return found["body"]

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._stop()

    def _exchange(self, line: bytes, timeout_s: float) -> bytes | None:
        """Send a question and return the answer's line, None if the process has ended."""
        process = self._process
        if process is None or process.poll() is not None:
            self._stop()
            process = self._process = self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(line)
            process.stdin.flush()
            return self._read(process.stdout.fileno(), time.monotonic() + timeout_s)
        except BrokenPipeError:
            return None

    def _read(self, descriptor: int, until: float) -> bytes | None:
        found = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while not found.endswith(b"\n"):
                left = until - time.monotonic()
                if left <= 0 or not selector.select(left) or len(found) > ANSWER_BYTES_MAX:
                    self._stop()
                    raise TransportError(
                        f"analysing {self._folder}: no answer in time",
                        "ask again later; a small machine may be busy with a growth",
                    )
                block = os.read(descriptor, 1 << 16)
                if not block:
                    return None
                found += block
        return bytes(found)

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "edge.analysis", str(self._folder.absolute())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        process.kill()
        process.wait()


_CLIENTS: dict[Path, AnalysisClient] = {}


def ask_analysis(folder: Path, home: str, what: Question, timeout_s: float = TIMEOUT_S) -> Any:
    """Ask the analysis process of a folder, one for each folder and Python process; see
    `AnalysisClient.ask`.  It blocks: call it in a thread from an event loop."""
    return _CLIENTS.setdefault(folder, AnalysisClient(folder)).ask(what, home, timeout_s)
