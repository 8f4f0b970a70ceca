"""The daemon as a service: signals request a stop or a reload."""

import signal
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path()
"""The default of a command line's folder argument."""

END_S: Final = 8
"""Seconds from a stop signal until the kernel ends the process: twice `daemon.STOP_S`, since
closing takes longer on a busy machine (with five, a stop was seen cut short), and less than the ten
after which systemd and Docker do so."""

STOPPING: Final = (signal.SIGTERM, signal.SIGINT)


def serve(folder: Path) -> None:
    """Serve the home in a folder until stopped; raises EdgeError if it cannot start at all."""
    from .daemon import Daemon

    daemon = Daemon(folder, output=sys.stdout.buffer)

    def stop(*_: object) -> None:
        # If closing hangs (a blocked reader or disk), the kernel ends the process, and the next
        # run recovers as after a crash.  A second signal must not postpone that.
        if not signal.getitimer(signal.ITIMER_REAL)[0]:
            signal.alarm(END_S)
        daemon.stop()

    for number in STOPPING:
        signal.signal(number, stop)
    signal.signal(signal.SIGHUP, lambda *_: daemon.request_reload())
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
    """Return the home of a command line: a folder, its auricle.toml, or --home."""
    given = path if path != HERE else home
    return given.parent if given.suffix == ".toml" and given.is_file() else given
