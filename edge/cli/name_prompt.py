"""Prompts about a new label or domain that is probably a typo of a known one."""

import sys
from collections.abc import Sequence

from ..core import ConfigError
from ..home import likely_typo, warning_of
from .views import common as views


def confirm_name(kind: str, name: str, known: Sequence[str], *, ask: bool) -> str:
    """Return the name to use.  At a terminal the user confirms a probable typo; elsewhere, or
    without `ask`, the name is used as given, with a warning.

    kind: "label" or "domain".  known: names in use.  Raises ConfigError if there is no answer.
    """
    near = likely_typo(name, known)
    if not near:
        return name
    if ask and sys.stdin.isatty() and views.console.is_terminal:
        try:
            return choose_name(name, near)
        except EOFError:
            raise ConfigError(
                f"choosing the {kind}: there was no answer, and nothing was changed",
                f"write {near!r}, or answer the question",
            ) from None
    views.show_warning(warning_of(kind, name, near))
    return name


def choose_name(name: str, near: str) -> str:
    """Ask whether a new name is intended or the similar known one; return the choice.

    Enter chooses the known one.  Raises EOFError or KeyboardInterrupt if there is no answer.
    """
    views.say(f"  {name!r} is new. Did you mean {near!r}?")
    while True:
        question = views.plain(f"  [Y]es, use {near} / [n]o, create {name}: ")
        answer = views.console.input(question, markup=False, emoji=False)
        match answer.strip().lower():
            case "" | "y" | "yes":
                return near
            case "n" | "no":
                return name
