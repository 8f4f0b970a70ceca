"""Verbs that look at a running daemon: `auricle status`, `top`, and `label`."""

import secrets
from pathlib import Path
from typing import Any

import click
import msgspec

from ...commands import StatusCommand, ask_daemon, body_of
from ...core import ConfigError, StateError
from ...mqtt import DaemonStatus
from ..label_client import OpenedLabelClient
from ..name_prompt import settled_name
from ..options import Number, home_option, json_option
from ..views import common as views
from ..views import label as label_view
from ..views import status as top_view


@click.command
@home_option
@json_option
def status(*, home: Path, as_json: bool) -> None:
    """Show what the daemon of a home does.  Exit status 3 where none answers, 4 if in trouble."""
    shown = _fetch(home)
    if as_json:
        views.show_json(msgspec.to_builtins(shown))
    else:
        top_view.show_status(shown)
    if shown.state == "degraded":
        raise SystemExit(4)


@click.command
@home_option
@click.option(
    "--every",
    "every_s",
    type=Number(0.2, 60),
    default=1.0,
    show_default=True,
    help="Seconds between looks.",
)
def top(*, home: Path, every_s: float) -> None:
    """Watch the daemon of a home live: streams, novelty, drift, adaptors, outbox.  ^C ends."""
    _fetch(home)
    top_view.follow_status(lambda: _look(home), every_s)


@click.command
@click.argument("observation", default="", help="Id of an observation; else one by one.")
@click.argument("name", metavar="[LABEL]", default="", help="Its label.")
@home_option
@click.option("--domain", default="", help="Domain, where it is not the one it was seen in.")
@json_option
def label(*, observation: str, name: str, home: Path, domain: str, as_json: bool) -> None:
    """Show flagged observations one by one and take labels; or give one label.

    Goes through the daemon where one runs.  With --json it lists what waits.
    """
    if observation and not name:
        raise ConfigError(f"labelling {observation}: there is no label", "auricle label ID LABEL")
    with OpenedLabelClient(home) as desk:
        if observation:
            known = desk.waiting().names
            name = settled_name("label", name, known.labels, ask=not as_json)
            domain = settled_name("domain", domain, known.domains, ask=not as_json)
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
        raise SystemExit(3)
    return shown


def _look(home: Path) -> DaemonStatus | None:
    answer: dict[str, Any] | None = ask_daemon(home, StatusCommand(id=secrets.token_hex(8)))
    if answer is None:
        return None
    return msgspec.convert(body_of(answer), DaemonStatus)
