"""Verbs of the daemon: `auricle run`, `check` and `doctor`."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from .cli_options import HERE, HomeOption, JsonOption
from .serving import folder_of, serve

if TYPE_CHECKING:
    from .checking import Finding

STYLES: Final = {"ok": "", "warning": "yellow", "error": "red"}

FolderArgument = Annotated[
    Path, typer.Argument(help="A home's folder, or its auricle.toml.", show_default=False)
]


def run(path: FolderArgument = HERE, home: HomeOption = HERE) -> None:
    """Serve: take measurements in, decide, and tell a broker, until stopped."""
    serve(folder_of(path, home))


def check(
    path: FolderArgument = HERE,
    home: HomeOption = HERE,
    broker: Annotated[bool, typer.Option("--broker", help="Also connect to the broker.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say whether the settings, and all they name, can be used.  Exit status 1 if not."""
    from .checking import check_home

    _show(check_home(folder_of(path, home), broker=broker), as_json=as_json)


def doctor(
    path: FolderArgument = HERE, home: HomeOption = HERE, as_json: JsonOption = False
) -> None:
    """Say whether this machine is fit for a daemon.  Exit status 1 if not."""
    from .examining import examine

    _show(examine(folder_of(path, home)), as_json=as_json)


def _show(findings: "Iterable[Finding]", *, as_json: bool) -> None:
    """Show findings as they come; ends with status 1 where one is an error."""
    from . import views
    from .logs import set_up_logs

    # What a broker says is a finding, in its turn.
    set_up_logs("critical")
    failed = False
    for one in findings:
        failed = failed or one.state == "error"
        if as_json:
            views.show_json(one)
            continue
        views.say(f"{one.state:8}{one.what}: {one.detail}", style=STYLES[one.state])
        if one.hint and one.state != "ok":
            views.say(f"        hint: {one.hint}")
    if failed:
        raise typer.Exit(1)
