"""The application: every request passes the same checks, then its screen answers.

Order: origin and host, session, rate, CSRF token of an action, role of the route, handler.  Errors
become pages or messages here, so that handlers state only the good case.
"""

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import quote

from microdot import Microdot, Request, Response

from ..config import WebSettings
from ..logs import log
from ..pages import environment
from . import common
from .access import Sessions, WebSession
from .client import AskError, DaemonClient, DaemonOfflineError
from .console import Console, NotAllowedError, Parts
from .guards import (
    ACTIONS_PER_MINUTE,
    GUESSES_PER_MINUTE,
    PER_MINUTE,
    RateLimits,
    cookie_path,
    set_headers,
    via_ingress,
    wrong_origin,
)
from .links import allows
from .live import Live
from .processes import Programs
from .screen import Route
from .screens import SCREENS
from .server import BODY_BYTES_MAX, ConsoleServer
from .shared_parts import SharedParts
from .static_files import StaticFiles

PATH_CHARS_MAX: Final = 200
"""Longest address of a route; longer ones name no screen."""


class TooFastError(AskError):
    """More requests than a session may send."""


class Application:
    """The console of one home.  settings: of [web].  launcher: see `Programs`."""

    def __init__(self, folder: Path, settings: WebSettings, launcher: ThreadPoolExecutor) -> None:
        client = DaemonClient(folder)
        self.settings = settings
        self.cookie = f"auricle_{settings.port}"
        self.parts = Parts(
            folder=folder,
            environment=environment("edge.web"),
            client=client,
            live=Live(client),
            shared=SharedParts(),
            sessions=Sessions(folder),
            static=StaticFiles(),
            programs=Programs(folder, launcher),
            screens=SCREENS,
        )
        self._requests = RateLimits(PER_MINUTE)
        self._actions = RateLimits(ACTIONS_PER_MINUTE)
        self._guesses = RateLimits(GUESSES_PER_MINUTE)
        self.routes: dict[tuple[str, str], Route] = {
            (route.method, route.path): route
            for route in (*common.ROUTES, *(r for screen in SCREENS for r in screen.routes))
        }
        self.app = Microdot()
        self.app.route("/static/<path:name>", methods=["GET"])(self._static)
        self.app.route("/<path:path>", methods=["GET", "POST"])(self._answer)
        self.app.route("/", methods=["GET", "POST"])(self._answer)
        for status in (404, 405, 413, 500):
            self.app.errorhandler(status)(self._plain(status))
        self.server = ConsoleServer(self.app, self._body_limit)

    def _body_limit(self, method: str, path: str) -> int:
        route = self.routes.get((method, path.removeprefix("/")))
        return route.body_bytes_max if route is not None else BODY_BYTES_MAX

    async def _static(self, request: Request, name: str) -> Response:
        wrong = wrong_origin(request, self.settings.names)
        if wrong:
            return set_headers(request, _plain_response(403, wrong))
        wanted = request.args.get("v", "") if request.args else ""
        known_tag = request.headers.get("If-None-Match", "")
        return set_headers(request, self.parts.static.respond(name, wanted, known_tag))

    async def _answer(self, request: Request, path: str = "") -> Response:
        """Respond to a request for anything but a static file."""
        wrong = wrong_origin(request, self.settings.names)
        if wrong:
            return set_headers(request, _plain_response(403, wrong))
        session, opened = self._session(request)
        console = Console(self.parts, request, session)
        try:
            response = await self._route(console, request, path)
        except NotAllowedError as error:
            response = console.refuse(error, 403)
        except TooFastError as error:
            response = console.refuse(error, 429)
        except DaemonOfflineError as error:
            response = self._offline(console, request, error)
        except AskError as error:
            response = console.refuse(error)
        except Exception:
            log.exception("page_failed", path=path[:PATH_CHARS_MAX], method=request.method)
            failed = AskError("this page failed", "the console's log has the reason")
            response = console.refuse(failed, 500)
        if opened and session is not None:
            self._set_cookie(request, response, session)
        return set_headers(request, response)

    async def _route(self, console: Console, request: Request, path: str) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        route = self.routes.get((method, path))
        if path == "open":
            return await self._open(console, request, method)
        session = console.session
        if session is None:
            return _to_login(console, 401 if route is not None else 404)
        if not self._requests.take(session.csrf):
            raise _too_fast(PER_MINUTE)
        if route is None:
            return console.render("problem.html", 404, reason="there is no such page", hint="")
        if not allows(session.role, route.role):
            console.require(route.role)
        if method == "POST":
            self._check_action(request, session)
        return await route.handler(console, request)

    def _check_action(self, request: Request, session: WebSession) -> None:
        """Raise AskError for an action without the session's token, or for too many."""
        given = request.headers.get("X-CSRF-Token", "")
        if not given and request.form is not None:
            given = request.form.get("csrf", "")
        if not common.same_secret(given, session.csrf):
            raise NotAllowedError(
                "the action does not come from a page of this session", "reload the page"
            )
        if not self._actions.take(session.csrf):
            raise _too_fast(ACTIONS_PER_MINUTE)

    def _session(self, request: Request) -> tuple[WebSession | None, bool]:
        """Return the session of a request, and whether it was opened now."""
        found = self.parts.sessions.find(request.cookies.get(self.cookie, ""))
        by_ingress = via_ingress(request)
        if found is not None and found.via_ingress == by_ingress:
            return found, False
        if by_ingress and self.settings.ingress:
            return self.parts.sessions.open(self.settings.ingress, via_ingress=True), True
        return None, False

    async def _open(self, console: Console, request: Request, method: str) -> Response:
        """Show the form for a one-time token, or redeem one.  Programs that preview links only read
        the form, so they do not use the token up."""
        if method == "GET":
            token = request.args.get("token", "") if request.args else ""
            return console.render("open.html", token=token[:100], reason="")
        address = str(request.client_addr[0])
        if not self._guesses.take(address):
            wait = "too many attempts; wait a minute"
            return console.render("open.html", 429, token="", reason=wait)
        token = (request.form.get("token", "") if request.form else "").strip()
        session = self.parts.sessions.redeem(token)
        if session is None:
            used = "this link has been used, has expired, or is incomplete"
            return console.render("open.html", 403, token="", reason=used)
        self._guesses.give_back(address)
        if console.session is not None:
            self.parts.sessions.close(console.session)
        response = Response(b"", 303, {"Location": "./"})
        self._set_cookie(request, response, session)
        return response

    def _set_cookie(self, request: Request, response: Response, session: WebSession) -> None:
        """Give the browser its secret.  Without an expiry: the server ends sessions."""
        attributes = f"Path={cookie_path(request)}; HttpOnly; SameSite=Strict"
        secure = "; Secure" if request.headers.get("X-Forwarded-Proto") == "https" else ""
        text = f"{self.cookie}={quote(session.secret)}; {attributes}{secure}"
        response.headers["Set-Cookie"] = [text]

    def _offline(self, console: Console, request: Request, error: DaemonOfflineError) -> Response:
        """Show that no daemon answers; the page comes back by itself when one does."""
        if request.method == "POST" or not console.full_page:
            return console.refuse(error, 503)
        has_home = (self.parts.folder / "auricle.toml").exists()
        if not has_home and request.method == "GET":
            return Response(b"", 303, {"Location": "first-run"})
        return console.render(
            "offline.html",
            503,
            reason=error.reason,
            hint=error.hint,
            log="" if not console.may("owner") else self.parts.programs.daemon_log(),
        )

    @staticmethod
    def _plain(status: int) -> Callable[[Request], Awaitable[Response]]:
        async def respond(request: Request) -> Response:
            return set_headers(request, _plain_response(status, HTTPStatus(status).phrase))

        return respond


def _to_login(console: Console, status: int) -> Response:
    if console.enhanced:
        return Response(b"", 200, {"HX-Redirect": "open"})
    return console.render("open.html", status, token="", reason="")


def _too_fast(most: int) -> TooFastError:
    return TooFastError(f"too many requests: {most} a minute are accepted", "wait a moment")


def _plain_response(status: int, text: str) -> Response:
    return Response(text + "\n", status, {"Content-Type": "text/plain; charset=UTF-8"})
