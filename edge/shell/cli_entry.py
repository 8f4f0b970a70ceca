"""Where the program starts, before numpy and the verbs are loaded."""

import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import typer

THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Where these say nothing else, products run on one thread: those of a decision are small, and
threads that wait for each other on a busy machine take many times longer than one."""


def main() -> None:
    """Run the command line.  A device waits for `auricle run`: it loads no other verb."""
    for name in THREADS:
        os.environ.setdefault(name, "1")
    if sys.argv[1:2] == ["run"]:
        app = _serving()
    else:
        from .cli import app
    try:
        app()
    except KeyboardInterrupt:
        from .cli_verbs import INTERRUPTED

        sys.exit(INTERRUPTED)


def _serving() -> "typer.Typer":
    import typer

    from .cli_run import run
    from .cli_verbs import Verbs

    app = typer.Typer(
        cls=Verbs, name="auricle", rich_markup_mode=None, pretty_exceptions_enable=False
    )
    app.callback()(_nothing)
    app.command()(run)
    return app


def _nothing() -> None:
    """One verb among others keeps its name only where there is something above it."""
