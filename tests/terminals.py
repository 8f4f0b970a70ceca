"""A user at a colour pseudo-terminal, who reads the screen and types answers."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from types import TracebackType
from typing import Self

from tests.daemons import DIE_WITH_PARENT
from tests.homes import command

WAIT_S = 60.0
"""A loaded machine with two cores takes ten seconds to start a verb."""

STYLES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""CSI sequences: colours and cursor movements (ECMA-48)."""


class Terminal:
    """A verb that runs at a terminal of `columns` by 50 cells.  `screen`: all that it printed,
    without colours."""

    def __init__(self, *words: object, columns: int = 100) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        left_out = {"NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE"}
        known = {name: value for name, value in os.environ.items() if name not in left_out}
        colours = {"TERM": "xterm-256color", "COLORTERM": "", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command(*words),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=known | colours,
            start_new_session=True,
            preexec_fn=DIE_WITH_PARENT,  # noqa: PLW1509 - a call of C alone
        )
        os.close(theirs)
        self.raw = b""
        self._read = 0

    @property
    def screen(self) -> str:
        """Everything printed so far, as a user reads it."""
        return STYLES.sub("", self.raw.decode("utf-8", "replace")).replace("\r\n", "\n")

    def until(self, text: str) -> str:
        """Read until a text appears; return the screen from the last text read up to it."""
        end = time.monotonic() + WAIT_S
        while text not in self.screen[self._read :]:
            assert time.monotonic() < end, f"{text!r} does not appear: {self.screen}"
            assert self._more(end - time.monotonic()), f"it ended without {text!r}: {self.screen}"
        begun, self._read = self._read, self.screen.index(text, self._read) + len(text)
        return self.screen[begun : self._read]

    def enter(self, text: str) -> None:
        """Type a line."""
        os.write(self._ours, text.encode() + b"\n")

    def end(self) -> int:
        """Read the rest and return the exit status."""
        while self._more(WAIT_S):
            continue
        return self.process.wait(WAIT_S)

    def _more(self, wait_s: float) -> bool:
        """Read the available output; return False at the end."""
        if not select.select([self._ours], [], [], max(wait_s, 0))[0]:
            return True
        try:
            block = os.read(self._ours, 1 << 16)
        except OSError:
            # Linux reports the end of a terminal's last user as EIO.
            return False
        self.raw += block
        return bool(block)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
