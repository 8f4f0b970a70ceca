"""The latest actions of people in a home, and whether they can be undone."""

import msgspec

from ..core import Action
from .home import Home


class DoneAction(msgspec.Struct, frozen=True, kw_only=True):
    """An action of a person.  text: a sentence about it."""

    undo_id: str
    verb: str
    at_ns: int
    text: str
    undoable: bool
    expires_at_ns: int


def done_actions(home: Home, now_ns: int) -> tuple[DoneAction, ...]:
    """Return the actions of the last ten minutes, newest first."""
    return tuple(_shown(*one, now_ns) for one in home.store.action_records.heads())


def _shown(action: Action, facts: int, now_ns: int) -> DoneAction:
    said = action.text(action.restored if action.undone else facts)
    return DoneAction(
        undo_id=action.id,
        verb=action.verb,
        at_ns=action.at_ns,
        text=f"{said} (undone)" if action.undone else said,
        undoable=not action.undone and not action.expired(now_ns),
        expires_at_ns=action.expires_at_ns,
    )
