"""The transport below MQTT: opens a TCP or TLS connection in a thread and buffers it.

Opening one blocks: it resolves the name, connects, does the TLS handshake and reads the password,
all under one timeout.  It therefore runs in its own thread, which shares nothing with the MQTT
client but its result.
"""

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from ...config import MqttSettings, TlsSettings

VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

READ_BYTES: Final = 65_536
"""Bytes requested by one read.  Chosen by hand; effect not measured."""

BACKLOG_BYTES_MAX: Final = 1 << 20
"""Bytes that may wait to be sent; a writer above it has to wait.  Chosen by hand; effect not
measured."""


class BufferedSocket:
    """A connected, non-blocking socket with a buffer in each direction; paho uses it as a socket.

    paho reads a packet in three calls and writes each packet in one.  On a system socket that costs
    four system calls a message; with the buffers, one system call reads or writes all that is
    ready.  System errors are raised by `recv`.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)  # noqa: FBT003 - the name of the argument is the system's
        self._sock = sock
        self._in = b""
        self._at = 0
        self._out = bytearray()
        self._broken: OSError | None = None

    def recv(self, size: int) -> bytes:
        """Return up to `size` bytes, b"" at the end of the stream.

        Raises BlockingIOError if none are ready, OSError if reading or writing has failed.
        """
        if self._at >= len(self._in):
            if self._broken is not None:
                raise self._broken
            self._in = self._sock.recv(READ_BYTES)
            self._at = 0
        chunk = self._in[self._at : self._at + size]
        self._at += len(chunk)
        return chunk

    def send(self, data: bytes | bytearray) -> int:
        """Buffer bytes for the next `flush`; raises BlockingIOError if the buffer is full."""
        if len(self._out) > BACKLOG_BYTES_MAX:
            self.flush()
            if len(self._out) > BACKLOG_BYTES_MAX:
                raise BlockingIOError
        self._out += data
        return len(data)

    def flush(self) -> None:
        """Send as much of the buffer as the system accepts now."""
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
        """True if `recv` returns bytes without a system call that might block."""
        return self._at < len(self._in) or self._pending()

    @property
    def broken(self) -> bool:
        """True if sending failed; the next `recv` raises the error."""
        return self._broken is not None

    @property
    def backlog(self) -> int:
        """Bytes that wait to be sent."""
        return len(self._out)

    def _pending(self) -> bool:
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0

    def fileno(self) -> int:
        """Return the file descriptor to poll."""
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - the interface of sockets
        """Part of the socket interface; raises ValueError for a blocking mode."""
        if flag:
            raise ValueError("a buffered socket never blocks")

    def close(self) -> None:
        """Send the bytes that the system accepts now, and close."""
        self.flush()
        self._sock.close()


class BrokerTransport(msgspec.Struct, frozen=True):
    """An open connection, and the password to use on it."""

    link: BufferedSocket
    password: str | None


class ConnectAttempt:
    """One attempt to open a transport, in its own thread.

    done: called in that thread once `result` is set: the transport, or the reason for the failure.
    """

    def __init__(self, settings: MqttSettings, done: Callable[[], None]) -> None:
        self._settings = settings
        self._done = done
        self._abandoned = False
        self._lock = threading.Lock()
        self.result: BrokerTransport | str | None = None
        threading.Thread(target=self._run, name="mqtt-connect", daemon=True).start()

    def abandon(self) -> None:
        """Give up: the transport is closed, also if the thread opens it later."""
        with self._lock:
            self._abandoned = True
            if isinstance(self.result, BrokerTransport):
                self.result.link.close()

    def _run(self) -> None:
        try:
            result: BrokerTransport | str = open_transport(self._settings)
        except (OSError, ValueError) as error:
            result = _describe(error)
        with self._lock:
            self.result = result
            if self._abandoned and isinstance(result, BrokerTransport):
                result.link.close()
        self._done()


def open_transport(settings: MqttSettings) -> BrokerTransport:
    """Connect to the broker.  Blocks up to the connect timeout.

    Raises OSError or ValueError, the bases of the ssl errors, with the reason.
    """
    password = read_password(settings)
    tls = make_tls_context(settings.tls) if settings.tls else None
    timeout_s = settings.connect_timeout_s
    sock = socket.create_connection(settings.address, timeout=timeout_s)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            sock = tls.wrap_socket(sock, server_hostname=settings.host)
        return BrokerTransport(BufferedSocket(sock), password)
    except BaseException:
        sock.close()
        raise


def _describe(error: OSError | ValueError) -> str:
    """Return the reason for a failed connection, with the file that caused it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the broker's certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return f"TLS with the broker: {error.reason.lower().replace('_', ' ')}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def make_tls_context(tls: TlsSettings) -> ssl.SSLContext:
    """Return the TLS context of [mqtt.tls]; raises ValueError for a file that cannot be used."""
    with _name_files("ca", tls.ca):
        context = ssl.create_default_context(cafile=tls.ca or None)
    context.minimum_version = VERSIONS[tls.minimum_version]
    if tls.certificate:
        with _name_files("certificate and key", f"{tls.certificate}, {tls.key}"):
            context.load_cert_chain(tls.certificate, tls.key, password=_no_passphrase)
    return context


@contextmanager
def _name_files(keys: str, files: str) -> Iterator[None]:
    """Add the file names to errors of OpenSSL, which leaves them out."""
    try:
        yield
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror or str(error)
        plain = reason.lower().replace("_", " ")
        raise ValueError(f"{keys} of [mqtt.tls], {files}: {plain}") from error


def _no_passphrase() -> str:
    """Raise instead of a prompt: OpenSSL would read a passphrase from the terminal."""
    raise ValueError("the key of [mqtt.tls] is encrypted: use a key without a passphrase")


def read_password(settings: MqttSettings) -> str | None:
    """Return the password: the first line of its file, or its environment variable; None if neither
    is configured.  Raises OSError or ValueError, which never contain the password."""
    if settings.password_file:
        text = Path(settings.password_file).read_text("utf-8")
        return (text.splitlines() or [""])[0]
    if settings.password_env:
        value = os.environ.get(settings.password_env)
        if value is None:
            raise ValueError(f"the environment variable {settings.password_env} is not set")
        return value
    return None
