"""Entry point of the program; runs before numpy and the verbs are imported."""

import gc
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Final

THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Variables set to one thread unless the user sets them: the matrix products of a decision are
small, and on a busy machine threads that wait for each other take many times longer than one."""


def main() -> None:
    """Run the command line.  A plain `auricle run` imports neither other verbs nor click, so that a
    device starts quickly."""
    for name in THREADS:
        os.environ.setdefault(name, "1")
    if sys.argv[1:2] == ["run"]:
        # Until `serve` handles signals: SIGHUP is blocked, because it would end the process, and
        # SIGINT ends it at once, because KeyboardInterrupt inside an import prints a traceback.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        home = Path(os.environ.get("AURICLE_HOME") or ".")
        match sys.argv[1:]:
            case ["run"]:
                _serve(home, home)
            case ["run", folder] if folder and not folder.startswith("-"):
                _serve(Path(folder), home)
            case ["run", "--home", folder] if folder:
                _serve(Path(folder), home)
            case _:
                # Temporary files are deleted and worker processes end, as after an interrupt.
                signal.signal(signal.SIGTERM, _end)
                from .app import app

                app(prog_name="auricle")
    except KeyboardInterrupt:
        # While the verbs are imported: nothing has begun.
        from .error_report import INTERRUPTED

        sys.stderr.write("error: interrupted\n")
        sys.exit(INTERRUPTED)


def _end(number: int, _frame: FrameType | None) -> None:
    """End with the exit status that POSIX shells report for a process that a signal ended."""
    sys.exit(128 + number)


def _serve(path: Path, home: Path) -> None:
    # Imports create no garbage; the daemon enables the collector again once it serves.
    gc.disable()
    from ..home import keep_memory_small

    keep_memory_small()
    from ..daemon import folder_of, serve
    from .error_report import report_errors

    with report_errors():
        serve(folder_of(path, home))
