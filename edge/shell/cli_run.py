"""Verbs of the daemon: `auricle run`, `check` and `doctor`."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from .cli_options import HERE, HomeOption

FolderArgument = Annotated[
    Path, typer.Argument(help="A home's folder, or its auricle.toml.", show_default=False)
]


def run(path: FolderArgument = HERE, home: HomeOption = HERE) -> None:
    """Serve: take measurements in, decide, and tell a broker, until stopped."""
    from .daemon.daemon import Daemon

    daemon = Daemon(folder_of(path, home), output=sys.stdout.buffer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: daemon.stop())
    signal.signal(signal.SIGHUP, lambda *_: daemon.ask_reload())
    daemon.run()


def folder_of(path: Path, home: Path) -> Path:
    """Return the home that a verb was given: a folder, a file in it, or --home."""
    given = path if path != HERE else home
    return given.parent if given.is_file() else given
