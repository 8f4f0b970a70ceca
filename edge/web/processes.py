"""Other programs that the console starts: verbs of the command line, and a daemon on request.

Whatever needs the encoder or numpy runs in a process of its own and ends, so that the console stays
small.
"""

import asyncio
import sys
from collections.abc import Sequence
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

STOP_S: Final = 6.0
"""Seconds for a daemon to stop: one more than it takes itself (`service.END_S`)."""


@dataclass(frozen=True)
class Output:
    """What a verb printed.  status: its exit status, -1 if it did not end in time."""

    status: int
    out: str
    err: str


class Programs:
    """Runs verbs for one home, and a daemon.  folder: the home."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._free = asyncio.Semaphore(VERBS_MAX)
        self._daemon: asyncio.subprocess.Process | None = None

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
            self._daemon = await asyncio.create_subprocess_exec(
                *PROGRAM,
                *_run_words(self._folder),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=log,
            )

    @property
    def daemon_runs(self) -> bool:
        """Whether a daemon runs that this console started."""
        return self._daemon is not None and self._daemon.returncode is None

    def daemon_log(self) -> str:
        """Return the last lines of that daemon's log."""
        with suppress(OSError):
            text = (self._folder / "console" / "daemon.log").read_text("utf-8", "replace")
            return "\n".join(text.splitlines()[-20:])
        return ""

    async def stop(self) -> None:
        """Stop the daemon that this console started."""
        if self._daemon is None or self._daemon.returncode is not None:
            return
        with suppress(ProcessLookupError):
            self._daemon.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await self._daemon.wait()
        except TimeoutError:
            self._daemon.kill()
            await self._daemon.wait()


def _run_words(folder: Path) -> Sequence[str]:
    return ("run", "--home", str(folder))


def _text(err: bytes) -> str:
    return err.decode("utf-8", "replace").strip()
