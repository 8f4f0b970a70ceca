"""Serving a home until somebody asks to stop: the daemon, with the signals of a service."""

import signal
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path()
END_S: Final = 5
"""Seconds after which a daemon that was asked to end is ended by the kernel."""


def serve(folder: Path) -> None:
    """Serve the home in a folder until stopped; raises EdgeError where it cannot start at all."""
    from .daemon.daemon import Daemon

    daemon = Daemon(folder, output=sys.stdout.buffer)

    def stop(*_: object) -> None:
        # Whatever hangs then (a reader that does not read, a disk that does not answer): the
        # kernel ends it, and the next run finds what a crash leaves.
        signal.alarm(END_S)
        daemon.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    signal.signal(signal.SIGHUP, lambda *_: daemon.ask_reload())
    daemon.run()


def folder_of(path: Path, home: Path) -> Path:
    """Return the home that a verb was given: a folder, its auricle.toml, or --home."""
    given = path if path != HERE else home
    return given.parent if given.suffix == ".toml" and given.is_file() else given
