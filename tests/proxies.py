"""A TCP proxy that cuts connections after a seeded number of bytes, and a port that is silent."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class CuttingProxy:
    """Forwards to a port of loopback; each connection is cut at a random byte of either way.

    cuts: how many connections are cut before the line is let be.
    """

    def __init__(self, port: int, seed: int, cuts: int, bytes_max: int = 4000) -> None:
        self._target = port
        self._random = random.Random(seed)
        self._bytes_max = bytes_max
        self.left = cuts
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._start(self._accept)

    def _start(self, work, *given: object) -> None:
        threading.Thread(target=work, args=given, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [near, far]
                budget = [self._random.randrange(1, self._bytes_max) if self.left > 0 else 1 << 60]
                self._start(self._forward, near, far, budget)
                self._start(self._forward, far, near, budget)

    def _forward(self, source: socket.socket, sink: socket.socket, budget: list[int]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                part = data[: max(budget[0], 0)]
                budget[0] -= len(data)
                sink.sendall(part)
                if len(part) < len(data):
                    self.left -= 1
                    break
        hang_up(source, sink)

    def hang_up(self) -> None:
        """Cut the connections that are open."""
        hang_up(*self._sockets)

    def close(self) -> None:
        """Take no more connections, and cut those that are open."""
        hang_up(self._server, *self._sockets)
        self._server.close()


def hang_up(*sockets: socket.socket) -> None:
    """End connections at once, for both sides."""
    for sock in sockets:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


@contextmanager
def silent_port() -> Iterator[int]:
    """A port that lets clients connect and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=8) as server:
        yield server.getsockname()[1]
