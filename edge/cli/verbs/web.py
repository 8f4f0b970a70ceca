"""Verbs of the web console: `auricle web`, `auricle web link`."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from ...core import ConfigError, StateError
from ...extras import WEB_PACKAGES, install_command
from ...web import ROLES, make_link, print_link, running_address
from ..options import VerbGroup, home_option


@click.group(cls=VerbGroup, invoke_without_command=True)
@home_option
@click.option(
    "--port", type=click.IntRange(0, 65_535), help="Instead of [web] port; 0: any free one."
)
@click.pass_context
def web(ctx: click.Context, *, home: Path, port: int | None) -> None:
    """Serve the web console, and print a link that opens it once."""
    if ctx.invoked_subcommand is not None:
        return
    if any(find_spec(name) is None for name in WEB_PACKAGES):
        raise ConfigError(
            "starting the web console: its packages are not installed", install_command("web")
        )
    # The verbs' packages are not needed any more: a new program in this process is half as large.
    words = ["-P", "-m", "edge.web", str(home), "-" if port is None else str(port), "terminal"]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *words])  # noqa: S606 - this interpreter


@web.command
@home_option
@click.option(
    "--role",
    type=click.Choice(ROLES),
    default="viewer",
    show_default=True,
    help="Permissions of the link.",
)
def link(*, home: Path, role: str) -> None:
    """Print another link for a console that runs; it opens once, within an hour."""
    if not running_address(home):
        raise StateError(f"making a link: no console serves {home.absolute()}", "auricle web")
    print_link(home, make_link(home, ROLES[ROLES.index(role)]), role)
