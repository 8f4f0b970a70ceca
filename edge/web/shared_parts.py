"""Parts of pages that all open pages show alike: rendered once for each poll of the daemon, so that
ten open pages cost what one does."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from microdot import Response

if TYPE_CHECKING:
    from .console import Console

CSRF: Final = secrets.token_hex(16)
"""Stands for a session's token in a shared part, until the part is sent."""

Key = tuple[str, str]
"""Template and role."""

Content = Callable[["Console"], Awaitable[Mapping[str, Any]]]
"""Returns the values of a template, which must follow from the live data and the role alone."""


class SharedParts:
    """The parts of the newest poll, by template and role.  Bounded: a console has few of both."""

    def __init__(self) -> None:
        self._polls = -1
        self._parts: dict[Key, asyncio.Task[str]] = {}

    async def render(self, console: "Console", template: str, content: Content) -> Response:
        """Return a part of a page.

        Raises DaemonOfflineError without a daemon, and what `content` raises.
        """
        live, session = console.parts.live, console.session
        await live.refresh()
        if live.polls != self._polls:
            self._polls, self._parts = live.polls, {}
        parts, key = self._parts, (template, session.role if session else "")
        task = parts.get(key)
        if task is None:
            task = parts[key] = asyncio.create_task(_text(console, template, content))
        try:
            # A page that is closed must not cancel the part of the others.
            text = await asyncio.shield(task)
        except Exception:
            parts.pop(key, None)
            raise
        return console.page(text.replace(CSRF, session.csrf if session else ""))


async def _text(console: "Console", template: str, content: Content) -> str:
    return console.text(template, **{**await content(console), "csrf": CSRF})
