"""The web console as a child of the daemon: started, restarted with growing pauses, ended with it.

The child's standard input is a pipe.  The console ends when the pipe closes, so it never outlives
the daemon, even one that was killed.
"""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..config import WebSettings
from ..extras import WEB_PACKAGES, install_command
from ..logs import log

if TYPE_CHECKING:
    import subprocess

PART: Final = "web"
"""Name in the daemon's problems."""

PAUSE_S: Final = 1.0
"""First pause before a restart; each further one is twice as long."""

PAUSE_S_MAX: Final = 60.0
"""Longest pause before a restart; a console that has run for as long works.  Chosen by hand; effect
not measured."""

STOP_S: Final = 1.0
"""Seconds for the console to end, of the daemon's four; then it is killed, which loses no work."""

SERVED: Final = 3
"""Exit status of a console that found another one (edge/web/process.py)."""


class ConsoleSupervisor:
    """Runs the console of a home while [web] enables it.

    problems: of the daemon, by part; updated in place.  clock: monotonic seconds.
    """

    def __init__(
        self, folder: Path, problems: dict[str, str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder, self._problems, self._clock = folder, problems, clock
        self._settings = WebSettings()
        self._process: subprocess.Popen[bytes] | None = None
        self._pause_s = PAUSE_S
        self._started_s = self._next_s = 0.0

    @property
    def pid(self) -> int:
        """The console's process, 0 while none runs."""
        return self._process.pid if self._process is not None else 0

    def apply(self, settings: WebSettings) -> None:
        """Start or stop by new settings; a console that runs starts again with them."""
        self.stop()
        self._settings = settings
        self._pause_s, self._next_s = PAUSE_S, 0.0
        self._problems.pop(PART, None)
        self.maintain()

    def maintain(self) -> None:
        """Start the console if it should run and does not; call it about once a second."""
        if not self._settings.enabled:
            return
        if self._process is not None:
            status = self._process.poll()
            if status is None:
                if self._clock() - self._started_s > PAUSE_S_MAX:
                    self._pause_s = PAUSE_S
                    self._problems.pop(PART, None)
                return
            self._ended(status)
        if self._clock() >= self._next_s:
            self._start()

    def stop(self) -> None:
        """End the console; within `STOP_S`."""
        process, self._process = self._process, None
        if process is None:
            return
        import subprocess

        with suppress(OSError):
            process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()

    def _start(self) -> None:
        if any(find_spec(name) is None for name in WEB_PACKAGES):
            self._fail(f"its packages are not installed: {install_command('web')}", PAUSE_S_MAX)
            return
        import subprocess

        words = ["-P", "-m", "edge.web", str(self._folder), "-", "child"]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, fixed words
                [sys.executable, *words],
                stdin=subprocess.PIPE,
                # Messages of a daemon without a broker go to its standard output.
                stdout=subprocess.DEVNULL,
            )
        except OSError as error:
            self._fail(f"it cannot be started: {error.strerror}", self._pause_s)
            return
        self._started_s = self._clock()
        log.info("console_started", pid=self._process.pid)

    def _ended(self, status: int) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
        if status == SERVED:
            # A console that was started by hand serves the home already.
            self._next_s = self._clock() + PAUSE_S_MAX
            return
        self._fail(f"it has ended with status {status}; its reason is in the log", self._pause_s)
        self._pause_s = min(2 * self._pause_s, PAUSE_S_MAX)

    def _fail(self, reason: str, pause_s: float) -> None:
        self._next_s = self._clock() + pause_s
        if self._problems.get(PART) != f"console: {reason}":
            log.warning("console_not_running", reason=reason)
        self._problems[PART] = f"console: {reason}"
