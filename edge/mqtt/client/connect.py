"""Connecting to a broker in a thread of its own: what blocks there blocks nobody else.

The thread resolves the name, opens the socket, shakes hands and reads the password, all under one
timeout, and leaves its result to be picked up.  It touches nothing of the MQTT client.
"""

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ...config import MqttSettings, TlsSettings
from .buffered_socket import BufferedSocket

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class ConnectAttempt(msgspec.Struct, frozen=True):
    """An open connection, and the password to use on it."""

    link: BufferedSocket
    password: str | None


class Connector:
    """One attempt.  `result` is None until it is over; then a `Line`, or why there is none."""

    def __init__(self, settings: MqttSettings, done: Callable[[], None]) -> None:
        self._settings = settings
        self._done = done
        self._given_up = False
        self._lock = threading.Lock()
        self.result: ConnectAttempt | str | None = None
        threading.Thread(target=self._run, name="mqtt-dial", daemon=True).start()

    def give_up(self) -> None:
        """Nobody waits any more: what the thread still opens it closes again."""
        with self._lock:
            self._given_up = True
            if isinstance(self.result, ConnectAttempt):
                self.result.link.close()

    def _run(self) -> None:
        try:
            result: ConnectAttempt | str = open_socket(self._settings)
        except (OSError, ValueError) as error:
            result = _in_words(error)
        with self._lock:
            self.result = result
            if self._given_up and isinstance(result, ConnectAttempt):
                result.link.close()
        self._done()


def open_socket(settings: MqttSettings) -> ConnectAttempt:
    """Connect; raises OSError or ValueError (ssl's errors are of these) that say why not."""
    password = read_password(settings)
    tls = wrap_tls(settings.tls) if settings.tls else None
    timeout_s = settings.connect_timeout_s
    sock = socket.create_connection(settings.address, timeout=timeout_s)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            sock = tls.wrap_socket(sock, server_hostname=settings.host)
        return ConnectAttempt(BufferedSocket(sock), password)
    except BaseException:
        sock.close()
        raise


def _in_words(error: OSError | ValueError) -> str:
    """Say what went wrong as the system says it, with the file that it is about."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the broker's certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return f"TLS with the broker: {error.reason.lower().replace('_', ' ')}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def wrap_tls(tls: TlsSettings) -> ssl.SSLContext:
    """Make the context of [mqtt.tls]; raises ValueError for a file that cannot be used."""
    with _naming("ca", tls.ca):
        context = ssl.create_default_context(cafile=tls.ca or None)
    context.minimum_version = VERSIONS[tls.minimum_version]
    if tls.certificate:
        with _naming("certificate and key", f"{tls.certificate}, {tls.key}"):
            context.load_cert_chain(tls.certificate, tls.key, password=_no_passphrase)
    return context


@contextmanager
def _naming(what: str, files: str) -> Iterator[None]:
    """Name the files that cannot be used: OpenSSL does not."""
    try:
        yield
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror or str(error)
        told = reason.lower().replace("_", " ")
        raise ValueError(f"{what} of [mqtt.tls], {files}: {told}") from error


def _no_passphrase() -> str:
    """OpenSSL would ask on the terminal; a daemon has none."""
    raise ValueError("the key of [mqtt.tls] is encrypted: give one that needs no passphrase")


def read_password(settings: MqttSettings) -> str | None:
    """Return the password from its file (first line) or variable, None where none is named;
    raises OSError or ValueError, never with the password in it."""
    if settings.password_file:
        text = Path(settings.password_file).read_text("utf-8")
        return (text.splitlines() or [""])[0]
    if settings.password_env:
        value = os.environ.get(settings.password_env)
        if value is None:
            raise ValueError(f"the environment variable {settings.password_env} is not set")
        return value
    return None
