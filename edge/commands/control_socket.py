"""The control socket of a running daemon: a Unix socket in the home's folder, and its client.

Only the user who runs the daemon may open it (mode 0600); it is not reachable over a network.  A
request is one line of JSON, as is its answer; the requests are those of docs/reference/commands.md,
and are trusted.
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
"""Longest request: sixteen times the largest command that is accepted by default over MQTT."""

REPLY_BYTES_MAX: Final = 16 << 20
"""Longest answer: almost three times `RAW_ANSWER_BYTES_MAX` (edge/home/labelling.py) in base64."""

CLIENTS_MAX: Final = 8
"""Concurrent clients; each has a thread.  Chosen by hand; effect not measured."""

IDLE_S: Final = 60.0
"""Seconds until a silent client is disconnected.  Chosen by hand; effect not measured."""

ANSWER_S: Final = 15.0
"""Seconds that a client waits for an answer: a forget of 100,000 facts takes a few.  Chosen by
hand; effect not measured."""

Answer = Callable[[bytes], bytes]
"""Answers a request; runs in a client's own thread and may block."""


class ControlSocket:
    """Listens on a home's socket.  folder: the home, whose writer lock the caller holds, so that an
    existing socket belongs to a dead daemon and is replaced."""

    def __init__(self, folder: Path, answer: Answer) -> None:
        self._folder, self._answer = folder, answer
        self._socket: socket.socket | None = None
        self._clients = threading.BoundedSemaphore(CLIENTS_MAX)

    def start(self) -> None:
        """Start listening; raises StateError if the socket cannot be created."""
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # `bind` creates the file with the mode of the socket.
            os.fchmod(listening.fileno(), 0o600)
            with suppress(FileNotFoundError):
                (self._folder / SOCKET).unlink()
            _at(self._folder, listening.bind)
            listening.listen(CLIENTS_MAX)
        except OSError as error:
            listening.close()
            raise StateError(
                f"opening {self._folder / SOCKET}: {error.strerror}",
                "check that the folder can be written, and that its file system supports sockets",
            ) from error
        self._socket = listening
        threading.Thread(
            target=self._accept, args=(listening,), name="control", daemon=True
        ).start()

    def stop(self) -> None:
        """Stop listening; pending answers are lost."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None
            (self._folder / SOCKET).unlink(missing_ok=True)

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            if not self._clients.acquire(blocking=False):
                client.close()
                continue
            serve = threading.Thread(target=self._serve, args=(client,), daemon=True)
            serve.start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client:
                client.settimeout(IDLE_S)
                rest = b""
                while (found := _read_line(client, rest, LINE_BYTES_MAX)) is not None:
                    line, rest = found
                    client.sendall(self._answer(line) + b"\n")
        except OSError:
            log.debug("control_client_left")
        finally:
            self._clients.release()


def send_to_daemon(
    folder: Path, request: Request | dict[str, Any], timeout_s: float = ANSWER_S
) -> Any:
    """Send a request to the daemon of a home; returns its answer, or None if none is running.

    Raises TransportError if one is running and does not answer.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        try:
            _at(folder, connection.connect)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise TransportError(
                f"sending a request to the daemon at {folder / SOCKET}: {error.strerror or error}",
                "run this as the user who runs the daemon",
            ) from error
        try:
            connection.sendall(msgspec.json.encode(request) + b"\n")
            found = _read_line(connection, b"", REPLY_BYTES_MAX)
        except OSError as error:
            raise _no_answer(folder) from error
    if found is None:
        raise _no_answer(folder)
    return msgspec.json.decode(found[0])


def response_body(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a daemon's answer; raises EdgeError if the request was refused."""
    if not answer.get("done"):
        raise EdgeError(str(answer.get("reason")), str(answer.get("hint") or ""))
    body: dict[str, Any] = answer.get("body") or {}
    return body


def _no_answer(folder: Path) -> TransportError:
    return TransportError(
        f"sending a request to the daemon at {folder / SOCKET}: it does not answer",
        "it may be starting, stopping or busy: try again, and read its log",
    )


def _read_line(connection: socket.socket, rest: bytes, limit: int) -> tuple[bytes, bytes] | None:
    """Return the next line and the bytes after it; None at the end, or if it is too long."""
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
    """Use the socket's address.  An address has at most 107 bytes (unix(7)), so the folder is given
    by its file descriptor."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        use(f"/proc/self/fd/{descriptor}/{SOCKET}")
    finally:
        os.close(descriptor)
