"""Verbs that reverse actions of people: `auricle unlabel` and `auricle undo`."""

import time
from pathlib import Path
from typing import Any

import click
import msgspec

from ...commands import ActionsCommand, Request, UndoCommand, UnlabelCommand, response_body
from ...commands import send_to_daemon as send
from ...core import ConfigError, Undo, Undoable, Unlabel
from ...home import DoneAction, Home, acknowledged, done_actions
from ..label_client import new_id
from ..options import home_option, json_option
from ..views import common as views
from ..views.explanation import format_time


@click.command
@click.argument(
    "observations", nargs=-1, required=True, metavar="ID...", help="Ids of labelled observations."
)
@home_option
@json_option
def unlabel(*, observations: tuple[str, ...], home: Path, as_json: bool) -> None:
    """Take back the labels of observations; they wait for a label again.

    Works through the home's daemon if one runs.
    """
    found = _asked(home, UnlabelCommand(id=new_id(), observation_ids=observations))
    if found is None:
        with Home(home) as opened:
            event = Undoable(Unlabel(observations), new_id(), time.time_ns())
            found = msgspec.to_builtins(acknowledged(opened.feed(event)))
    if as_json:
        views.show_json(found)
        return
    count, detail = found.get("count", 0), found.get("detail", "")
    views.say(f"{count} labels taken back{f' ({detail})' if detail else ''}")


@click.command
@click.argument("action", default="", metavar="[ACTION]", help="Its id; default: the newest one.")
@click.option("--list", "listing", is_flag=True, help="Only list the actions that can be undone.")
@home_option
@json_option
def undo(*, action: str, listing: bool, home: Path, as_json: bool) -> None:
    """Undo an action of the last ten minutes; by default the newest one.

    Labels, corrections, answers to alarms, growth and rollback can be undone, a
    forget cannot.  Works through the home's daemon if one runs.
    """
    found = _asked(home, ActionsCommand(id=new_id()))
    if found is not None:
        actions = msgspec.convert(found["actions"], tuple[DoneAction, ...])
        if listing:
            _show(actions, as_json=as_json)
            return
        chosen = _chosen(action, actions)
        answer = _asked(home, UndoCommand(id=new_id(), undo_id=chosen.undo_id)) or {}
        _show_undone(str(answer.get("text", chosen.text)), chosen, as_json=as_json)
        return
    with Home(home) as opened:
        actions = done_actions(opened, time.time_ns())
        if listing:
            _show(actions, as_json=as_json)
            return
        chosen = _chosen(action, actions)
        ack = acknowledged(opened.feed(Undo(chosen.undo_id, time.time_ns())))
    text = "; ".join(filter(None, (chosen.text, ack.detail)))
    _show_undone(text, chosen, as_json=as_json)


def _asked(home: Path, request: Request) -> dict[str, Any] | None:
    """Return the answer of the home's daemon; None if none runs."""
    answer = send(home, request)
    return None if answer is None else response_body(answer)


def _chosen(action: str, actions: tuple[DoneAction, ...]) -> DoneAction:
    """Return the action of an id, or the newest that can be undone."""
    fits = [one for one in actions if one.undoable and action in {"", one.undo_id}]
    if not fits:
        raise ConfigError(
            f"undoing {action}: no such action can be undone"
            if action
            else "undoing: nothing of the last ten minutes can be undone",
            "list the actions with `auricle undo --list`",
        )
    return fits[0]


def _show(actions: tuple[DoneAction, ...], *, as_json: bool) -> None:
    if as_json:
        views.show_json(msgspec.to_builtins(actions))
    elif not actions:
        views.say("nothing of the last ten minutes can be undone")
    else:
        rows = [(one.undo_id, format_time(one.at_ns), one.text) for one in actions]
        views.show_table(("id", "at", "action"), rows)


def _show_undone(text: str, action: DoneAction, *, as_json: bool) -> None:
    if as_json:
        views.show_json({"undo_id": action.undo_id, "text": text})
    else:
        views.say(f"undone: {text}")
