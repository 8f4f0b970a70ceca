"""Local access to a running daemon: the control socket with its request handler, and HTTP.

A listener that cannot be opened is reported as a problem and tried again, while the rest serves.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from ..commands import ControlSocket, no_home
from ..config import HttpSettings
from ..core import EdgeError
from ..logs import log
from ..mqtt import ALIVE_S, DaemonStatus
from .loop import Loop

if TYPE_CHECKING:
    from .http_server import HttpServer

RETRY_S: Final = 10.0
"""Seconds between attempts to open a listener.  Chosen by hand; effect not measured."""

WAIT_S: Final = 14.0
"""Longest wait for the loop's answer: a second less than a caller waits (`commands.ANSWER_S`)."""

CONTROL, HTTP = "control", "http"

Snapshot = Callable[[], DaemonStatus | None]
"""Returns the newest status of the daemon, None before the first."""


class ControlRequest(msgspec.Struct):
    """The fields of a request that decide how it is handled."""

    verb: str = ""
    id: str = ""
    home: str = ""
    since: int = 0


class ControlHandler:
    """Answers requests from the control socket; `answer` runs in the socket's threads."""

    def __init__(self, loop: Loop, snapshot: Snapshot) -> None:
        self._loop, self._snapshot = loop, snapshot

    def answer(self, line: bytes) -> bytes:
        """Answer a request.  Everything but `status` and `feed` waits for the loop."""
        try:
            request = msgspec.json.decode(line, type=ControlRequest)
        except msgspec.DecodeError as error:
            return _refused(f"it is no request: {error}", 'send {"verb": "status"}')
        if request.home not in self._loop.homes:
            return _refused(*no_home(request.home, self._loop.homes))
        if request.verb == "status":
            return self._status()
        if request.verb == "feed":
            return self._feed(request.since)
        return self._execute(line)

    def _status(self) -> bytes:
        still = self._still()
        return still or msgspec.json.encode({"done": True, "body": self._snapshot()})

    def _feed(self, since: int) -> bytes:
        """Answer with the messages after a number, from memory."""
        self._loop.watched_at = time.monotonic()
        still = self._still()
        if still:
            return still
        recent = self._loop.publisher.recent
        cursor, messages = recent.last, list(recent.after(since))
        if messages:
            cursor = max(cursor, messages[-1]["number"])
        body = {"cursor": cursor, "status": self._snapshot(), "messages": messages}
        return msgspec.json.encode({"done": True, "body": body})

    def _still(self) -> bytes:
        """Return a refusal if the loop stands still, else nothing."""
        still_s = time.monotonic() - self._loop.turned_at
        if still_s <= ALIVE_S:
            return b""
        hint = "see the log; if systemd's watchdog does not end it, use kill -9"
        return _refused(f"the daemon has not responded for {still_s:.0f} s", hint)

    def _execute(self, line: bytes) -> bytes:
        """Queue a command for the loop and wait for the answer."""
        handler = self._loop.handler
        if handler is None:
            return _refused(
                "commands are not enabled", "see [commands] in docs/reference/config.md"
            )
        answered = threading.Event()
        answers: list[bytes] = []

        def reply(answer: bytes) -> None:
            answers.append(answer)
            answered.set()

        command = handler.local(line, reply)
        if command is not None:
            reason = self._loop.inbox.add_command(command)
            if reason:
                return _refused(reason, "try again later")
        if not answered.wait(WAIT_S):
            return _refused(f"no answer within {WAIT_S:.0f} s", "it may still be carried out")
        return answers[0]


class Listeners:
    """The control socket and the HTTP server of a daemon.

    folder: the home, for the socket.  problems: of the daemon, by part; updated in place.
    http: the HTTP server while it listens.
    """

    def __init__(
        self, folder: Path, loop: Loop, snapshot: Snapshot, problems: dict[str, str]
    ) -> None:
        self.http: HttpServer | None = None
        self.control = ControlHandler(loop, snapshot)
        self._loop, self._snapshot, self._problems = loop, snapshot, problems
        self._socket = ControlSocket(folder, self.control.answer)
        self._settings: HttpSettings | None = None
        self._tried_s = 0.0

    def open(self, settings: HttpSettings | None) -> None:
        """Open both.  settings: of [http]; None: no HTTP."""
        self._open(CONTROL, self._socket.start)
        self.reopen(settings)

    def reopen(self, settings: HttpSettings | None) -> None:
        """Close the HTTP server and open it with other settings."""
        self._stop_http()
        self._problems.pop(HTTP, None)
        self._settings = settings
        if settings is not None:
            self._open(HTTP, self._start_http)

    def retry(self) -> None:
        """Retry failed sources; call it about once a second."""
        if time.monotonic() - self._tried_s < RETRY_S:
            return
        if CONTROL in self._problems:
            self._open(CONTROL, self._socket.start)
        if HTTP in self._problems:
            self._open(HTTP, self._start_http)

    def stop(self) -> None:
        """Close both."""
        try:
            self._socket.stop()
        finally:
            self._stop_http()

    def _open(self, name: str, start: Callable[[], None]) -> None:
        self._tried_s = time.monotonic()
        try:
            start()
        except EdgeError as error:
            if self._problems.get(name) != error.message:
                log.warning("not_listening", listener=name, reason=error.message, hint=error.hint)
            self._problems[name] = error.message
        else:
            self._problems.pop(name, None)

    def _start_http(self) -> None:
        from .http_server import HttpServer

        assert self._settings is not None
        server = HttpServer(self._settings, self._loop, self._snapshot)
        server.start()
        self.http = server

    def _stop_http(self) -> None:
        server, self.http = self.http, None
        if server is not None:
            with suppress(OSError):
                server.stop()


def _refused(reason: str, hint: str) -> bytes:
    return msgspec.json.encode({"done": False, "reason": reason, "hint": hint})
