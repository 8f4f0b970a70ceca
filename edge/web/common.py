"""Routes that no single screen owns: live data, raw inputs, undo, the end of a session."""

import base64
import binascii
import hmac
from typing import Final

from microdot import Request, Response

from .client import AskError
from .console import Console
from .guards import RAW_POLICY
from .screen import Route

MAGIC: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)
"""First bytes of image files that browsers show, by type."""


def same_secret(given: str, wanted: str) -> bool:
    """Compare two secrets in a time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode(), wanted.encode())


def kind_of(raw: bytes) -> str:
    """Return the content type of a raw input: of an image file, or bytes."""
    if raw[:4] == b"RIFF" and raw[8:12] == b"WEBP":
        return "image/webp"
    return next(
        (kind for magic, kind in MAGIC if raw.startswith(magic)), "application/octet-stream"
    )


def field(request: Request, name: str, default: str = "") -> str:
    """Return a field of a form, or else of the query."""
    form = request.form if request.method == "POST" else None
    if form is not None and name in form:
        return str(form[name])
    return str(request.args.get(name, default)) if request.args else default


async def live(console: Console, _request: Request) -> Response:
    """Send live data as long as the page is open and its session holds."""
    session = console.session
    assert session is not None
    sessions = console.parts.sessions
    events = console.parts.live.events(lambda: sessions.holds(session))
    headers = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
    return Response(events, 200, headers)


async def raw(console: Console, request: Request) -> Response:
    """Return the raw input of an observation: an image file as such, anything else as bytes.

    Browsers may not keep it, since a copy in their cache would outlast a forget.
    """
    body = await console.ask(
        "raw", observation_id=field(request, "id"), home=field(request, "home")
    )
    try:
        content = base64.b64decode(body.get("raw", ""), validate=True)
    except (binascii.Error, ValueError):
        content = b""
    if not content:
        return Response("it is not kept any more\n", 404)
    headers = {"Content-Type": kind_of(content), "Content-Security-Policy": RAW_POLICY}
    return Response(content, 200, headers)


async def undo(console: Console, request: Request) -> Response:
    """Undo an action."""
    body = await console.ask("undo", undo_id=field(request, "undo_id"), home=field(request, "home"))
    return console.done(str(body.get("text") or "undone"), to=_back(request))


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
    Route("GET", "raw", raw),
    Route("POST", "undo", undo, "labeller"),
    Route("POST", "leave", leave),
    Route("POST", "start-daemon", start_daemon, "owner"),
)
