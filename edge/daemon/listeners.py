"""The ways into a daemon on its machine: the control socket and the HTTP door.

One that cannot be opened is a trouble that is told and tried again, while the rest serves.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ..commands import ControlSocket
from ..core import EdgeError
from ..logs import log

if TYPE_CHECKING:
    from .daemon import Daemon
    from .http_server import HttpServer

RETRY_S: Final = 10.0
"""Seconds between two tries to open what could not be opened."""

CONTROL, HTTP = "control", "http"


class Listeners:
    """Both doors of a daemon.  http: the HTTP door, where it is open."""

    def __init__(self, daemon: "Daemon") -> None:
        self.http: HttpServer | None = None
        self._daemon = daemon
        self._control = ControlSocket(daemon.folder, daemon.questions.ask)
        self._tried_s = 0.0

    def open(self) -> None:
        """Open both, as far as the settings ask for them."""
        self._open(CONTROL, self._control.start)
        self.reopen()

    def reopen(self) -> None:
        """Listen for requests where the settings say so now."""
        self._leave()
        self._daemon.troubles.pop(HTTP, None)
        if self._daemon.settings.http is not None:
            self._open(HTTP, self._listen)

    def tend(self) -> None:
        """Try again what could not be opened; call it about once a second."""
        troubles = self._daemon.troubles
        if time.monotonic() - self._tried_s < RETRY_S:
            return
        if CONTROL in troubles:
            self._open(CONTROL, self._control.start)
        if HTTP in troubles:
            self._open(HTTP, self._listen)

    def stop(self) -> None:
        """Close both."""
        try:
            self._control.stop()
        finally:
            self._leave()

    def _open(self, name: str, start: Callable[[], None]) -> None:
        self._tried_s = time.monotonic()
        troubles = self._daemon.troubles
        try:
            start()
        except EdgeError as error:
            if troubles.get(name) != error.message:
                log.warning("not_listening", door=name, reason=error.message, hint=error.hint)
            troubles[name] = error.message
        else:
            troubles.pop(name, None)

    def _listen(self) -> None:
        from .http_server import HttpServer

        daemon = self._daemon
        settings = daemon.settings.http
        assert settings is not None
        door = HttpServer(
            settings,
            lambda: {name: one.settings for name, one in daemon.intake.streams.items()},
            daemon.intake,
            lambda: daemon.snapshot,
            lambda: daemon.loop.turned_at,
        )
        door.start()
        self.http = door

    def _leave(self) -> None:
        door, self.http = self.http, None
        if door is not None:
            with suppress(OSError):
                door.stop()
