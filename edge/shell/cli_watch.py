"""Verbs that look at a running daemon: `auricle status`, `top`, and `label`."""

import secrets
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from ..core import ConfigError, StateError
from . import label_view, top_view, views
from .cli_options import HERE, HomeOption, JsonOption
from .control import ask_daemon, body_of
from .labelling import OpenedDesk
from .status import DaemonStatus


def status(home: HomeOption = HERE, as_json: JsonOption = False) -> None:
    """Show what the daemon of a home does.  Exit status 3 where none answers, 4 if in trouble."""
    shown = _fetch(home)
    if as_json:
        views.show_json(msgspec.to_builtins(shown))
    else:
        top_view.show_status(shown)
    if shown.state == "degraded":
        raise typer.Exit(4)


def top(
    home: HomeOption = HERE,
    every_s: Annotated[
        float, typer.Option("--every", min=0.2, max=60, help="Seconds between looks.")
    ] = 1.0,
) -> None:
    """Watch the daemon of a home live: streams, novelty, drift, adaptors, outbox.  ^C ends."""
    _fetch(home)
    top_view.follow(lambda: _look(home), every_s)


def label(
    observation: Annotated[str, typer.Argument(help="Id of an observation; else one by one.")] = "",
    name: Annotated[str, typer.Argument(metavar="LABEL", help="What it is.")] = "",
    home: HomeOption = HERE,
    domain: Annotated[
        str, typer.Option(help="Domain, where it is not the one it was seen in.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Show flagged observations one by one and take labels; or give one label.

    Goes through the daemon where one runs.  With --json it lists what waits.
    """
    if observation and not name:
        raise ConfigError(f"labelling {observation}: there is no label", "auricle label ID LABEL")
    with OpenedDesk(home) as desk:
        if observation:
            said = desk.label(observation, name, domain)
            views.show_json({"observation_id": observation, "learned": said}) if as_json else (
                views.say(f"{observation}: {said}")
            )
        elif as_json:
            views.show_json(msgspec.to_builtins(desk.waiting()))
        else:
            label_view.take_labels(desk, domain)


def _fetch(home: Path) -> DaemonStatus:
    if not home.is_dir():
        raise StateError(f"looking at {home}: there is no such folder", "name it with --home")
    shown = _look(home)
    if shown is None:
        views.show_error(
            f"no daemon answers at {home.absolute()}",
            "start one: auricle run; where one runs, its log says why it does not listen",
        )
        raise typer.Exit(3)
    return shown


def _look(home: Path) -> DaemonStatus | None:
    answer: dict[str, Any] | None = ask_daemon(home, {"verb": "status", "id": secrets.token_hex(8)})
    if answer is None:
        return None
    return msgspec.convert(body_of(answer), DaemonStatus)
