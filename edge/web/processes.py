"""Other programs that the console starts: verbs of the command line, and a daemon on request.

Whatever needs the encoder or numpy runs in a process of its own and ends, so that the console stays
small.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROGRAM: Final = (
    sys.executable or "python3",
    # The working folder must not provide modules.
    "-P",
    "-c",
    "from edge.cli.entry import main; main()",
)
"""The command line of this installation."""

OUTPUT_BYTES_MAX: Final = 1 << 20
"""Output of a verb that is read.  Chosen by hand; effect not measured."""

VERBS_MAX: Final = 2
"""Verbs at once: each may take a core and 100 MiB.  Chosen by hand; effect not measured."""

LOG_BYTES_MAX: Final = 1 << 20
"""Size of the log of a daemon that the console started, before it is begun again."""

NICENESS: Final = 10
"""As a worker's (`worker.NICENESS`): on a busy core the daemon's decisions come first."""

STOP_S: Final = 9.0
"""Seconds for a daemon to stop: one more than it takes itself (`service.END_S`)."""


@dataclass(frozen=True)
class Output:
    """What a verb printed.  status: its exit status, -1 if it did not end in time."""

    status: int
    out: str
    err: str


def lower_priority() -> ThreadPoolExecutor:
    """Lower the priority of the calling thread, the threads that it starts and their programs;
    return a thread that keeps the present one, for programs that must not inherit the lower one.

    Linux keeps the niceness of each thread by itself (nice(2)), and only root may raise it again.
    """
    launcher = ThreadPoolExecutor(1, "launcher")
    # The thread has to exist before.
    launcher.submit(os.getpid).result()
    os.nice(NICENESS)
    return launcher


class Programs:
    """Runs verbs for one home, and a daemon.  folder: the home.  launcher: the thread that starts
    the daemon, which inherits its priority."""

    def __init__(self, folder: Path, launcher: ThreadPoolExecutor) -> None:
        self._folder, self._launcher = folder, launcher
        self._free = asyncio.Semaphore(VERBS_MAX)
        self._daemon: subprocess.Popen[bytes] | None = None

    async def run(self, *words: str, wait_s: float = 60.0, given: bytes = b"") -> Output:
        """Run a verb, such as ("check", "--json"), and return its output."""
        async with self._free:
            process = await asyncio.create_subprocess_exec(
                *PROGRAM,
                *words,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=OUTPUT_BYTES_MAX,
            )
            try:
                async with asyncio.timeout(wait_s):
                    out, err = await process.communicate(given)
            except (TimeoutError, asyncio.CancelledError) as error:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
                if isinstance(error, asyncio.CancelledError):
                    raise
                return Output(-1, "", f"it did not end within {wait_s:g} s")
        assert process.returncode is not None
        return Output(process.returncode, out.decode("utf-8", "replace"), _text(err))

    async def start_daemon(self) -> None:
        """Start a daemon for the home, unless this console's daemon runs.  Raises OSError."""
        if self.daemon_runs:
            return
        path = self._folder / "console" / "daemon.log"
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
            path.unlink()
        with path.open("ab") as log:

            def start() -> "subprocess.Popen[bytes]":
                return subprocess.Popen(  # noqa: S603 - this interpreter, fixed words
                    [*PROGRAM, *_run_words(self._folder)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                )

            loop = asyncio.get_running_loop()
            self._daemon = await loop.run_in_executor(self._launcher, start)

    @property
    def daemon_runs(self) -> bool:
        """Whether a daemon runs that this console started."""
        return self._daemon is not None and self._daemon.poll() is None

    def daemon_log(self) -> str:
        """Return the last lines of that daemon's log, the newest first."""
        with suppress(OSError):
            text = (self._folder / "console" / "daemon.log").read_text("utf-8", "replace")
            return "\n".join(text.splitlines()[:-21:-1])
        return ""

    async def stop(self) -> None:
        """Stop the daemon that this console started."""
        daemon = self._daemon
        if daemon is None or daemon.poll() is not None:
            return
        daemon.terminate()
        try:
            await asyncio.to_thread(daemon.wait, STOP_S)
        except subprocess.TimeoutExpired:
            daemon.kill()
            await asyncio.to_thread(daemon.wait)


def _run_words(folder: Path) -> Sequence[str]:
    return ("run", "--home", str(folder))


def _text(err: bytes) -> str:
    return err.decode("utf-8", "replace").strip()
