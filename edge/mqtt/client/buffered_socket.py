"""A connected socket with a buffer on either side.

paho reads a packet with three calls and writes each packet with one; over a socket of the system
that is four system calls a message.  Here they meet memory: one system call takes in or sends off
all that is there.
"""

import socket
import ssl
from typing import Final

READ_BYTES: Final = 65_536
BACKLOG_BYTES_MAX: Final = 1 << 20
"""What may wait to be sent; beyond it the writer has to wait."""


class BufferedSocket:
    """What paho takes for a socket.  Does not block; errors of the system come out of `recv`."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)  # noqa: FBT003 - the name of the argument is the system's
        self._sock = sock
        self._in = b""
        self._at = 0
        self._out = bytearray()
        self._broken: OSError | None = None

    def recv(self, size: int) -> bytes:
        """Return up to `size` bytes, b"" at the end; raises BlockingIOError where none are there,
        OSError where the connection broke, for reading or for writing."""
        if self._at >= len(self._in):
            if self._broken is not None:
                raise self._broken
            self._in = self._sock.recv(READ_BYTES)
            self._at = 0
        taken = self._in[self._at : self._at + size]
        self._at += len(taken)
        return taken

    def send(self, data: bytes | bytearray) -> int:
        """Take bytes to send with the next `flush`; raises BlockingIOError where too many wait."""
        if len(self._out) > BACKLOG_BYTES_MAX:
            self.flush()
            if len(self._out) > BACKLOG_BYTES_MAX:
                raise BlockingIOError
        self._out += data
        return len(data)

    def flush(self) -> None:
        """Send what waits, as much as the system takes now."""
        while self._out and self._broken is None:
            try:
                sent = self._sock.send(self._out)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as error:
                self._broken = error
                return
            del self._out[:sent]

    @property
    def readable(self) -> bool:
        """True where `recv` has something to say without asking the system to wait."""
        return self._at < len(self._in) or self._pending()

    @property
    def broken(self) -> bool:
        """True where the connection broke, and `recv` will say so."""
        return self._broken is not None

    @property
    def backlog(self) -> int:
        """Bytes that wait to be sent."""
        return len(self._out)

    def _pending(self) -> bool:
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - the socket's own interface
        """Never blocks; a socket has this method."""
        if flag:
            raise ValueError("a link never blocks")

    def close(self) -> None:
        """Send what the system takes now, and close."""
        self.flush()
        self._sock.close()
