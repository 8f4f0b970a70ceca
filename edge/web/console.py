"""What a handler of a screen works with: the session of one request, the daemon, the templates."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment
from microdot import Request, Response

from ..pages import sentence
from .access import Sessions, WebSession
from .client import AskError, DaemonClient
from .links import Role, allows
from .live import Live
from .processes import Programs
from .screen import Screen
from .shared_parts import SharedParts
from .static_files import StaticFiles

ROLE_OF: Final[dict[str, Role]] = {
    **dict.fromkeys(
        (
            "actions",
            "adaptors",
            "agreeing",
            "columns",
            "explain",
            "feed",
            "fleet",
            "gallery",
            "health",
            "history",
            "kept-labels",
            "knowledge",
            "raw",
            "receipts",
            "series",
            "status",
            "values",
        ),
        "viewer",
    ),
    **dict.fromkeys(
        (
            "confirm",
            "fit-geometry",
            "keep-label",
            "label",
            "label-many",
            "relabel",
            "undo",
            "unlabel",
            "undo-merge",
        ),
        "labeller",
    ),
}
"""Who may send a command to the daemon; every other one is for owners."""


class NotAllowedError(AskError):
    """An action that the session's role does not include."""


@dataclass(kw_only=True)
class Parts:
    """What all requests share."""

    folder: Path
    environment: Environment
    client: DaemonClient
    live: Live
    shared: SharedParts
    sessions: Sessions
    static: StaticFiles
    programs: Programs
    screens: tuple[Screen, ...]


class Console:
    """One request of one session."""

    def __init__(self, parts: Parts, request: Request, session: WebSession | None) -> None:
        self.parts, self.session = parts, session
        self._request = request
        self.cursor = parts.live.cursor
        """Of the live data before anything was asked for this request."""

    @property
    def folder(self) -> Path:
        """The home's folder."""
        return self.parts.folder

    @property
    def enhanced(self) -> bool:
        """Whether a script sent the request and takes a part of a page."""
        return self._request.headers.get("HX-Request") == "true"

    @property
    def full_page(self) -> bool:
        """Whether the browser takes a whole page."""
        return not self.enhanced or self._request.headers.get("HX-Request-Type") == "full"

    def may(self, role: Role) -> bool:
        """Return whether the session includes a role."""
        return self.session is not None and allows(self.session.role, role)

    def require(self, role: Role) -> None:
        """Raise NotAllowedError unless the session includes a role."""
        if not self.may(role):
            has = self.session.role if self.session else "no role"
            raise NotAllowedError(
                f"this needs the role {role}, and this session has the role {has}",
                f"open a link from `auricle web link --role {role}`",
            )

    async def ask(self, verb: str, **fields: Any) -> Any:
        """Send a command to the daemon; returns the body of its answer.

        Raises AskError: NotAllowedError for a role that may not, DaemonOfflineError without a
        daemon.  The application shows them; a handler need not catch them.
        """
        self.require(ROLE_OF.get(verb, "owner"))
        return await self.parts.client.ask(verb, fields)

    def render(self, template: str, /, http_status: int = 200, **values: Any) -> Response:
        """Return a page or a part of one.  Templates know the values, `console` and `screen`."""
        return self.page(self.text(template, **values), http_status)

    def text(self, template: str, /, **values: Any) -> str:
        """Return a template's text."""
        known = {**self._shared(), **values}
        return self.parts.environment.get_template(template).render(known)

    @staticmethod
    def page(text: str, http_status: int = 200) -> Response:
        """Return a page or a part of one from its text."""
        return Response(text, http_status, {"Content-Type": "text/html; charset=UTF-8"})

    def done(
        self, text: str, *, to: str = "", undo_id: str = "", tone: str = "good", **changed: Any
    ) -> Response:
        """Respond to an action: a script shows a message and refreshes what it shows
        (`auricle:changed`, with `changed` as its detail); without scripts the page `to` shows it.
        """
        if self.enhanced:
            news = {
                "auricle:toast": {"text": text, "tone": tone, "undo": undo_id},
                "auricle:changed": changed,
            }
            return Response(b"", 204, {"HX-Trigger": json.dumps(news)})
        if self.session is not None:
            self.session.note(text, tone, undo_id)
        return Response(b"", 303, {"Location": to or "./"})

    def refuse(self, error: AskError, status: int = 409) -> Response:
        """Respond to an action that was refused: the page stays and shows why."""
        if self.enhanced:
            text = sentence(f"{error.reason}: {error.hint}" if error.hint else error.reason)
            news = {"auricle:toast": {"text": text, "tone": "bad", "undo": ""}}
            return Response(b"", 204, {"HX-Trigger": json.dumps(news)})
        return self.render("problem.html", status, reason=error.reason, hint=error.hint)

    def _shared(self) -> Mapping[str, Any]:
        session = self.session
        theme = self._request.cookies.get("auricle_theme", "")
        return {
            "console": self,
            "csrf": session.csrf if session else "",
            "role": session.role if session else "",
            "notes": session.take_notes() if session and self.full_page else [],
            "screens": [one for one in self.parts.screens if self.may(one.role)],
            "here": self._request.path.removeprefix("/"),
            "theme": theme if theme in {"light", "dark"} else "",
            "static": self.parts.static.url,
            "is_owner": self.may("owner"),
            "may_label": self.may("labeller"),
        }
