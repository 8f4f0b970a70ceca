"""Verbs that show a running daemon and answer its questions: `auricle status`, `top`, `label`,
`confirm`."""

import secrets
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from ...analysis import AnalysisClient
from ...commands import StatusCommand, response_body, send_to_daemon
from ...core import AlarmQuestion, ConfigError, EdgeError, StateError
from ...mqtt import DaemonStatus
from ..label_client import open_label_client
from ..name_prompt import confirm_name
from ..options import Number, home_option, json_option
from ..views import alarms as alarm_view
from ..views import common as views
from ..views import label as label_view
from ..views import status as top_view


@click.command
@home_option
@json_option
def status(*, home: Path, as_json: bool) -> None:
    """Show the state of a home's daemon.

    Exit status 3 if no daemon answers, 4 if it is degraded.
    """
    shown = _require_status(home)
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
    help="Seconds between updates.",
)
def top(*, home: Path, every_s: float) -> None:
    """Show the daemon of a home live: streams, novelty, drift, adaptors, outbox.  ^C ends."""
    _require_status(home)
    top_view.follow_status(lambda: _fetch_status(home), every_s)


@click.command
@click.argument("observation", default="", help="Id of an observation; default: all, one by one.")
@click.argument("name", metavar="[LABEL]", default="", help="Its label.")
@home_option
@click.option("--domain", default="", help="Domain of the label; default: as routed.")
@json_option
def label(*, observation: str, name: str, home: Path, domain: str, as_json: bool) -> None:
    """Label observations that the runtime requests labels for (active learning).

    Without OBSERVATION it shows them one by one and reads labels.  Works through
    the home's daemon if one runs.  With --json it lists the waiting ones.
    At the end it shows what the next labels of each domain will probably gain.
    """
    if observation and not name:
        raise ConfigError(
            f"labelling {observation}: the label is missing", "auricle label ID LABEL"
        )
    with open_label_client(home) as client:
        if observation:
            known = client.waiting().names
            name = confirm_name("label", name, known.labels, ask=not as_json)
            domain = confirm_name("domain", domain, known.domains, ask=not as_json)
            learned = client.label(observation, name, domain)
            if as_json:
                views.show_json({"observation_id": observation, "learned": learned})
            else:
                views.say(f"{observation}: {learned}")
        elif as_json:
            views.show_json(msgspec.to_builtins(client.waiting()))
        else:
            label_view.read_labels(client, domain)
    if not (observation or as_json):
        _show_outlooks(home)


def _show_outlooks(home: Path) -> None:
    """Show whether more labels help; an error ends nothing, since the labels are stored."""
    analysis = AnalysisClient(home)
    try:
        label_view.show_outlooks(analysis.ask("enough"))
    except EdgeError as error:
        views.show_error(error.message, error.hint)
    finally:
        analysis.close()


@click.command
@click.argument("alarm", default="", help="A stream, or an alarm's id; default: the only one.")
@click.option(
    "--harmless/--real",
    "harmless",
    default=None,
    help="Whether the change is harmless; without it a terminal asks.",
)
@home_option
@json_option
def confirm(*, alarm: str, harmless: bool | None, home: Path, as_json: bool) -> None:
    """Answer whether a lasting alarm is a harmless change or a real one.

    Harmless puts the level of the stream where the stream is now, and the alarm
    ends.  Real keeps the alarm and closes the question.
    """
    with open_label_client(home) as client:
        one = _chosen(alarm, client.waiting().alarms)
        if harmless is None:
            if as_json or not sys.stdin.isatty():
                raise ConfigError(
                    f"confirming the alarm on {one.stream}: the answer is missing",
                    "give --harmless or --real",
                )
            alarm_view.answer_questions(client, (one,))
            return
        detail = client.confirm(one, harmless=harmless)
    if as_json:
        views.show_json({"stream": one.stream, "alarm_id": one.alarm_id, "detail": detail})
    else:
        views.say(f"{one.stream}: {detail}")


def _chosen(name: str, alarms: tuple[AlarmQuestion, ...]) -> AlarmQuestion:
    """Return the one question that a stream or an id names; any, if there is only one."""
    found = [one for one in alarms if name in {"", one.stream, one.alarm_id}]
    if len(found) == 1:
        return found[0]
    if not alarms:
        raise ConfigError(
            "confirming an alarm: no alarm waits for an answer",
            "a running daemon asks once an alarm has lasted; see `auricle status`",
        )
    streams = ", ".join(sorted({one.stream for one in alarms}))
    raise ConfigError(
        f"confirming an alarm: expected one of the streams {streams}, found {name or 'none'!r}",
        "name the stream",
    )


def _require_status(home: Path) -> DaemonStatus:
    if not home.is_dir():
        raise StateError(
            f"reading the status of {home}: there is no such folder", "name it with --home"
        )
    shown = _fetch_status(home)
    if shown is None:
        views.show_error(
            f"no daemon answers at {home.absolute()}",
            "start one: auricle run; if one runs, its log says why it does not listen",
        )
        raise SystemExit(3)
    return shown


def _fetch_status(home: Path) -> DaemonStatus | None:
    answer: dict[str, Any] | None = send_to_daemon(home, StatusCommand(id=secrets.token_hex(8)))
    if answer is None:
        return None
    return msgspec.convert(response_body(answer), DaemonStatus)
