"""The door to a running daemon for people on its machine: a Unix socket in the home's folder.

Only the user who runs the daemon may open it (mode 0600); nothing listens on a network.  One line
of JSON asks, one answers; the requests are those of docs/reference/commands.md, taken as trusted.
"""

import os
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from ..core import EdgeError, StateError, TransportError
from ..logs import log
from .requests import Request

SOCKET: Final = "auricle.sock"
LINE_BYTES_MAX: Final = 1 << 20
REPLY_BYTES_MAX: Final = 16 << 20
CALLERS_MAX: Final = 8
IDLE_S: Final = 60.0
ANSWER_S: Final = 15.0

Ask = Callable[[bytes], bytes]
"""Answers a request; called from a thread of its own, may wait."""


class ControlSocket:
    """Listens on a home's socket.  folder: the home, whose writer lock the caller holds, so that a
    socket lying there is a dead daemon's and is replaced."""

    def __init__(self, folder: Path, ask: Ask) -> None:
        self._folder, self._ask = folder, ask
        self._socket: socket.socket | None = None
        self._callers = threading.BoundedSemaphore(CALLERS_MAX)

    def start(self) -> None:
        """Begin to listen; raises StateError where the socket cannot be made."""
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # The mode of the socket is that of the file which `bind` makes of it.
            os.fchmod(listening.fileno(), 0o600)
            with suppress(FileNotFoundError):
                (self._folder / SOCKET).unlink()
            _at(self._folder, listening.bind)
            listening.listen(CALLERS_MAX)
        except OSError as error:
            listening.close()
            raise StateError(
                f"opening {self._folder / SOCKET}: {error.strerror}",
                "check that the folder can be written, and that its disk knows sockets",
            ) from error
        self._socket = listening
        threading.Thread(
            target=self._accept, args=(listening,), name="control", daemon=True
        ).start()

    def stop(self) -> None:
        """Stop listening; callers who wait for an answer lose it."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None
            (self._folder / SOCKET).unlink(missing_ok=True)

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                caller, _ = listening.accept()
            except OSError:
                return
            if not self._callers.acquire(blocking=False):
                caller.close()
                continue
            serve = threading.Thread(target=self._serve, args=(caller,), daemon=True)
            serve.start()

    def _serve(self, caller: socket.socket) -> None:
        try:
            with caller:
                caller.settimeout(IDLE_S)
                rest = b""
                while (found := _read_line(caller, rest, LINE_BYTES_MAX)) is not None:
                    line, rest = found
                    caller.sendall(self._ask(line) + b"\n")
        except OSError:
            log.debug("control_caller_left")
        finally:
            self._callers.release()


def ask_daemon(folder: Path, request: Request | dict[str, Any], timeout_s: float = ANSWER_S) -> Any:
    """Ask the daemon of a home; returns its answer, or None where none is running.

    Raises TransportError where one is running and does not answer.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(timeout_s)
        try:
            _at(folder, asking.connect)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise TransportError(
                f"asking the daemon at {folder / SOCKET}: {error.strerror or error}",
                "run this as the user who runs the daemon",
            ) from error
        try:
            asking.sendall(msgspec.json.encode(request) + b"\n")
            found = _read_line(asking, b"", REPLY_BYTES_MAX)
        except OSError as error:
            raise _silent(folder) from error
    if found is None:
        raise _silent(folder)
    return msgspec.json.decode(found[0])


def body_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a daemon's answer; raises EdgeError where the request was refused."""
    if not answer.get("done"):
        raise EdgeError(str(answer.get("reason")), str(answer.get("hint") or ""))
    body: dict[str, Any] = answer.get("body") or {}
    return body


def _silent(folder: Path) -> TransportError:
    return TransportError(
        f"asking the daemon at {folder / SOCKET}: it does not answer",
        "it may be starting, stopping or busy: try again, and read its log",
    )


def _read_line(connection: socket.socket, rest: bytes, limit: int) -> tuple[bytes, bytes] | None:
    """Return the next line and what came after it; None at the end, or where it is too long."""
    while b"\n" not in rest:
        if len(rest) > limit:
            return None
        block = connection.recv(1 << 16)
        if not block:
            return None
        rest += block
    line, _, rest = rest.partition(b"\n")
    return line, rest


def _at(folder: Path, use: Callable[[str], None]) -> None:
    """Use the socket's address.  It may be 107 bytes long: a deep folder is named by its number."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        use(f"/proc/self/fd/{descriptor}/{SOCKET}")
    finally:
        os.close(descriptor)
