"""Routes that no single screen owns: live data, undo, the end of a session."""

import hmac
import json
from typing import Final

from microdot import Request, Response
from microdot.microdot import MultiDict

from .client import AskError
from .console import Console
from .screen import Route

DIGITS_MAX: Final = 20
"""Longest whole number that is read: nanoseconds since 1970 have 19 digits."""


KEPT: Final = "kept "
"""Begins what undoes that a label is kept; ids of the daemon's actions are hexadecimal."""


def same_secret(given: str, wanted: str) -> bool:
    """Compare two secrets in a time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode(), wanted.encode())


def field(request: Request, name: str, default: str = "") -> str:
    """Return a field of a form, or else of the query."""
    form = request.form if request.method == "POST" else None
    if form is not None and name in form:
        return str(form[name])
    return str(request.args.get(name, default)) if request.args else default


def whole(text: str, low: int, high: int, usual: int | None = None) -> int:
    """Return a whole number within bounds; anything else gives the usual one, or the lower."""
    plain = text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX
    return min(max(int(text), low), high) if plain else low if usual is None else usual


def all_fields(given: dict[str, str] | None, name: str) -> list[str]:
    """Return every value of a field of a form or a query.  microdot's stubs declare a dict."""
    return given.getlist(name) if isinstance(given, MultiDict) else []


async def live(console: Console, request: Request) -> Response:
    """Send live data as long as the page is open and its session holds."""
    session = console.session
    assert session is not None
    sessions = console.parts.sessions
    since = whole(field(request, "since"), 0, 10**DIGITS_MAX, usual=-1)
    events = console.parts.live.events(lambda: sessions.holds(session), since)
    headers = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
    return Response(events, 200, headers)  # type: ignore[arg-type]  # its stub lacks generators


def kept_undo_id(home: str, observation_id: str, label: str) -> str:
    """Return what undoes that a label is kept."""
    return KEPT + json.dumps([home, observation_id, label])


async def undo(console: Console, request: Request) -> Response:
    """Undo an action."""
    undo_id = field(request, "undo_id")
    if undo_id.startswith(KEPT):
        return await _undo_kept(console, undo_id, _back(request))
    body = await console.ask("undo", undo_id=undo_id, home=field(request, "home"))
    return console.done(str(body.get("text") or "undone"), to=_back(request))


async def _undo_kept(console: Console, undo_id: str, back: str) -> Response:
    try:
        home, name, label = map(str, json.loads(undo_id.removeprefix(KEPT)))
    except ValueError:
        raise AskError("undoing: the action is not known", "reload the page") from None
    await console.ask("keep-label", home=home, observation_id=name, label=label, kept=False)
    return console.done(f"undone: kept as {label}", to=back)


async def leave(console: Console, _request: Request) -> Response:
    """End the session."""
    if console.session is not None:
        console.parts.sessions.close(console.session)
    return Response(b"", 303, {"Location": "open"})


async def start_daemon(console: Console, _request: Request) -> Response:
    """Start a daemon for this home."""
    try:
        await console.parts.programs.start_daemon()
    except OSError as error:
        raise AskError(f"starting the daemon: {error.strerror}", "see the console's log") from error
    return console.done("The daemon is starting.", to="./", tone="quiet")


def _back(request: Request) -> str:
    """Return the page to go back to: one name, never another site."""
    given = field(request, "back")
    return given if given.replace("-", "").isalnum() and given.isascii() else "./"


ROUTES: Final = (
    Route("GET", "live", live),
    Route("POST", "undo", undo, "labeller"),
    Route("POST", "leave", leave),
    Route("POST", "start-daemon", start_daemon, "owner"),
)
