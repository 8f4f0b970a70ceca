"""Where the program starts, before numpy and the verbs are loaded."""

import gc
import os
import signal
import sys
from pathlib import Path
from typing import Final

THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Where these say nothing else, products run on one thread: those of a decision are small, and
threads that wait for each other on a busy machine take many times longer than one."""


def main() -> None:
    """Run the command line.  A device waits for a plain `auricle run`: it loads no other verb, and
    not what reads options and prints help."""
    for name in THREADS:
        os.environ.setdefault(name, "1")
    if sys.argv[1:2] == ["run"]:
        # Until `serve` handles signals: a reload waits, where by default it would end the process,
        # and SIGINT ends it at once, where an exception inside an import would be a traceback.
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
                from .app import app

                app(prog_name="auricle")
    except KeyboardInterrupt:
        from .error_report import INTERRUPTED

        sys.exit(INTERRUPTED)


def _serve(path: Path, home: Path) -> None:
    # Loading makes no garbage; the daemon lets the collector look again once it serves.
    gc.disable()
    from ..daemon import folder_of, serve
    from .error_report import report_errors

    with report_errors():
        serve(folder_of(path, home))
