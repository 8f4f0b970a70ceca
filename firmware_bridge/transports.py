"""Transports for a link: serial ports, sockets and file descriptors."""

import os
import select
import socket
from dataclasses import dataclass
from errno import EBADF
from importlib import import_module
from time import monotonic_ns
from typing import Any, Final, Protocol

from .errors import BridgeError, WireError
from .events import Event
from .link import Link

READ_BYTES: Final = 4096  # the buffer of a Linux tty
WAIT_NS_MAX: Final = 100_000_000  # lets a caller poll ten times a second for messages to send
STALLED_S: Final = 10
"""Timeout for opening and writing: a host that does not answer within 10 s is down.  Chosen by
hand; effect not measured."""


class Transport(Protocol):
    """A port.  Methods raise WireError if it fails; bytes read before are not lost."""

    def read(self, wait_ns_max: int) -> bytes:
        """Return the bytes that arrived, empty after a timeout."""
        ...

    def write(self, data: bytes) -> None:
        """Write all bytes to the port."""
        ...

    def close(self) -> None:
        """Close the port; closing it again has no effect."""
        ...


@dataclass(frozen=True, slots=True)
class DescriptorTransport:
    """A port with an open file descriptor: a pseudo-terminal, or a serial line that is already
    configured.  name: for error messages."""

    descriptor: int
    name: str

    def read(self, wait_ns_max: int) -> bytes:
        """As Transport.read."""
        try:
            ready, _, _ = select.select([self.descriptor], [], [], wait_ns_max / 1e9)
            data = os.read(self.descriptor, READ_BYTES) if ready else b""
        except (OSError, ValueError) as error:
            raise _failed("read", self.name, error) from error
        if ready and not data:
            raise _failed("read", self.name, EOFError("the other end closed it"))
        return data

    def write(self, data: bytes) -> None:
        """As Transport.write."""
        try:
            while data:
                data = data[os.write(self.descriptor, data) :]
        except OSError as error:
            raise _failed("write", self.name, error) from error

    def close(self) -> None:
        """As Transport.close."""
        try:
            os.close(self.descriptor)
        except OSError as error:
            if error.errno != EBADF:
                raise _failed("close", self.name, error) from error


@dataclass(frozen=True, slots=True)
class SocketTransport:
    """A port with a connected socket, such as a gateway or an emulated board."""

    socket: socket.socket
    name: str

    def read(self, wait_ns_max: int) -> bytes:
        """As Transport.read."""
        try:
            ready, _, _ = select.select([self.socket], [], [], wait_ns_max / 1e9)
            data = self.socket.recv(READ_BYTES) if ready else b""
        except (OSError, ValueError) as error:
            raise _failed("read", self.name, error) from error
        if ready and not data:
            raise _failed("read", self.name, EOFError("the other end closed it"))
        return data

    def write(self, data: bytes) -> None:
        """As Transport.write."""
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise _failed("write", self.name, error) from error

    def close(self) -> None:
        """As Transport.close."""
        self.socket.close()


@dataclass(frozen=True, slots=True)
class SerialTransport:
    """A serial port opened by pyserial.  Use `open_transport`."""

    port: Any

    def read(self, wait_ns_max: int) -> bytes:
        """As Transport.read."""
        try:
            self.port.timeout = wait_ns_max / 1e9
            first: bytes = self.port.read(1)
            more: bytes = self.port.read(min(self.port.in_waiting, READ_BYTES)) if first else b""
        except (OSError, TypeError) as error:
            raise _failed("read", str(self.port.name), error) from error
        return first + more

    def write(self, data: bytes) -> None:
        """As Transport.write."""
        try:
            self.port.write(data)
        except OSError as error:
            raise _failed("write", str(self.port.name), error) from error

    def close(self) -> None:
        """As Transport.close."""
        self.port.close()


def open_transport(place: str, baud: int = 115200) -> Transport:
    """Open a port by its address: `tcp:HOST:PORT`, `unix:PATH`, or the name of a serial port.

    baud: of a serial port.  Raises WireError if it cannot be opened, BridgeError if pyserial is
    missing.
    """
    kind, _, rest = place.partition(":")
    if kind == "tcp":
        return _open_tcp(place, *rest.rpartition(":")[::2])
    if kind == "unix":
        return _open_unix(place, rest)
    return _open_serial(place, baud)


def _open_tcp(place: str, host: str, port: str) -> SocketTransport:
    if not host or not port.isdecimal():
        raise WireError(
            f"opening {place}: expected tcp:HOST:PORT, found no host or port", "give both"
        )
    try:
        opened = socket.create_connection((host, int(port)), timeout=STALLED_S)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (OSError, OverflowError) as error:
        raise _failed("open", place, error) from error
    return SocketTransport(opened, place)


def _open_unix(place: str, path: str) -> SocketTransport:
    opened = socket.socket(socket.AF_UNIX)
    opened.settimeout(STALLED_S)
    try:
        opened.connect(path)
    except OSError as error:
        opened.close()
        raise _failed("open", place, error) from error
    return SocketTransport(opened, place)


def _open_serial(place: str, baud: int) -> SerialTransport:
    try:
        serial = import_module("serial")
    except ImportError as error:
        message = f"opening {place} needs the package pyserial, which is not installed"
        raise BridgeError(message, "install auricle[bridge]") from error
    try:
        return SerialTransport(serial.Serial(place, baud, write_timeout=STALLED_S))
    except (OSError, ValueError) as error:
        raise _failed("open", place, error) from error


def _failed(doing: str, name: str, error: Exception) -> WireError:
    return WireError(
        f"could not {doing} {name}: {error}", "check that it is plugged in and not in use"
    )


def exchange(link: Link, transport: Transport, wait_ns_max: int = WAIT_NS_MAX) -> tuple[Event, ...]:
    """Run a link once: write due frames, wait for bytes until the next deadline or `wait_ns_max`,
    and return the events.  Call it in a loop."""
    while data := link.next_bytes(monotonic_ns()):
        transport.write(data)
    now_ns = monotonic_ns()
    wait_ns = min(max(link.wake_at_ns(now_ns) - now_ns, 0), wait_ns_max)
    received = transport.read(wait_ns)
    return link.receive(received, monotonic_ns())
