"""Serving a home until somebody asks to stop: the daemon, with the signals of a service."""

import signal
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path()
END_S: Final = 5
"""Seconds after which a daemon that was asked to end is ended by the kernel."""

STOPPING: Final = (signal.SIGTERM, signal.SIGINT)


def serve(folder: Path) -> None:
    """Serve the home in a folder until stopped; raises EdgeError where it cannot start at all."""
    from .daemon import Daemon

    daemon = Daemon(folder, output=sys.stdout.buffer)

    def stop(*_: object) -> None:
        # Whatever hangs then (a reader that does not read, a disk that does not answer): the
        # kernel ends it, and the next run finds what a crash leaves.  A second signal must not
        # postpone that.
        if not signal.getitimer(signal.ITIMER_REAL)[0]:
            signal.alarm(END_S)
        daemon.stop()

    for number in STOPPING:
        signal.signal(number, stop)
    signal.signal(signal.SIGHUP, lambda *_: daemon.ask_reload())
    # A reload requested during start-up, which `cli_entry` holds back, is handled now.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))
    try:
        daemon.run()
    finally:
        # Everything is closed.  Python restores default handlers while it exits, and a signal that
        # arrives then would turn an orderly end into a killed process.
        for number in (*STOPPING, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)


def folder_of(path: Path, home: Path) -> Path:
    """Return the home that a verb was given: a folder, its auricle.toml, or --home."""
    given = path if path != HERE else home
    return given.parent if given.suffix == ".toml" and given.is_file() else given
