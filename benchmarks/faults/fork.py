"""Forks daemons from a process with all imports loaded: a run costs a fork instead of the imports.

Reads the folder of a home per line; for each it prints the process id of a daemon that serves the
home, and later its exit status.  In the folder, the daemon reads `in` and writes `out` and `log`.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
from pathlib import Path

from edge.cli import main as run_command_line
from edge.cli import report_errors
from edge.daemon import Daemon, HomeSlot, serve

LOADED = (report_errors, serve, Daemon, HomeSlot)
"""What a daemon imports late: loaded before the fork, so that each child starts quickly."""

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h."""


def main() -> None:
    """Fork one daemon after another until standard input ends."""
    # Garbage collection in the child must not touch the objects loaded here.
    gc.freeze()
    # A shell makes background processes ignore SIGINT; a service manager does not.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    while line := _read_line():
        child = os.fork()
        if child == 0:
            _become(Path(line))
            run_command_line()
            return
        _, status = os.waitpid(child, 0)
        os.write(1, b"%d\n" % os.waitstatus_to_exitcode(status))


def _read_line() -> str:
    """Return the next line without its end; unbuffered, so that a child inherits no input."""
    line = b""
    while (byte := os.read(0, 1)) not in {b"", b"\n"}:
        line += byte
    return line.decode()


def _become(folder: Path) -> None:
    """Become `auricle run FOLDER` with its files, and report the process id."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    sys.argv = ["auricle", "run", str(folder)]
    write = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    files = {0: ("in", os.O_RDONLY), 1: ("out", write), 2: ("log", write)}
    opened = {to: os.open(folder / name, flags, 0o600) for to, (name, flags) in files.items()}
    # As late as possible: a signal before the daemon's own code runs says nothing about it.
    os.write(1, b"%d\n" % os.getpid())
    for to, descriptor in opened.items():
        os.dup2(descriptor, to)
        os.close(descriptor)


if __name__ == "__main__":
    main()
