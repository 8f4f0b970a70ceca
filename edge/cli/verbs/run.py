"""Verbs that run a daemon and check its surroundings: `auricle run`, `check`, `doctor`."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from ...daemon import folder_of, serve
from ..options import folder_argument, home_option, json_option

if TYPE_CHECKING:
    from ...daemon import CheckFinding

STYLES: Final = {"ok": "", "warning": "yellow", "error": "red"}


@click.command
@folder_argument
@home_option
def run(*, path: Path, home: Path) -> None:
    """Run the daemon: read measurements, decide, and publish, until stopped."""
    serve(folder_of(path, home))


@click.command
@folder_argument
@home_option
@click.option("--broker", is_flag=True, help="Also connect to the broker.")
@click.option("--proposed", is_flag=True, help="Check settings on standard input instead.")
@json_option
def check(*, path: Path, home: Path, broker: bool, proposed: bool, as_json: bool) -> None:
    """Check the settings and everything they refer to.  Exit status 1 for an error."""
    from ...daemon import check_home, check_proposed

    folder = folder_of(path, home)
    if proposed:
        text = sys.stdin.buffer.read().decode("utf-8", "replace")
        _show(check_proposed(text, folder), as_json=as_json)
    else:
        _show(check_home(folder, broker=broker), as_json=as_json)


@click.command
@folder_argument
@home_option
@click.option("--bench", is_flag=True, help="Also time encoding and decisions; about 10 s.")
@json_option
def doctor(*, path: Path, home: Path, bench: bool, as_json: bool) -> None:
    """Check whether this machine suits a daemon.  Exit status 1 for an error."""
    from ...daemon import examine_machine

    _show(examine_machine(folder_of(path, home), bench=bench), as_json=as_json)
    if bench:
        _show_figures(as_json=as_json)


def _show_figures(*, as_json: bool) -> None:
    """Time this machine, and show each figure as it is measured."""
    from ...daemon import measure_machine
    from ..views import common as views

    for one in measure_machine():
        if as_json:
            views.show_json(one)
            continue
        shown = f"{one.median:.4g} {one.unit}"
        if one.repeats > 1:
            shown += f" (fastest {one.fastest:.4g}, of {one.repeats})"
        views.say(f"bench   {one.what}: {shown}: {one.detail}")


def _show(findings: "Iterable[CheckFinding]", *, as_json: bool) -> None:
    """Show findings as they arrive; exit with status 1 if one is an error."""
    from ...logs import set_up_logs
    from ..views import common as views

    # Messages from the broker are findings, not log lines.
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
        raise SystemExit(1)
