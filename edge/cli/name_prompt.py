"""Asking back about a new label or domain that is probably a typo."""

import sys
from collections.abc import Sequence

from ..core import ConfigError
from ..home import likely_typo, warning_of
from .views import common as views


def settled_name(kind: str, name: str, known: Sequence[str], *, ask: bool) -> str:
    """Return the name to use.  A person at a terminal is asked whether a probable typo is meant;
    elsewhere, or without `ask`, the name stays and a warning is printed.

    kind: "label" or "domain".  known: names in use.
    """
    near = likely_typo(name, known)
    if not near:
        return name
    if ask and sys.stdin.isatty() and views.console.is_terminal:
        try:
            return views.choose_name(name, near)
        except EOFError:
            raise ConfigError(
                f"choosing the {kind}: there was no answer, and nothing was changed",
                f"write {near!r}, or answer the question",
            ) from None
    views.show_warning(warning_of(kind, name, near))
    return name
