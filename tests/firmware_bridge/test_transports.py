"""Ports: real sockets, pseudo-terminals and pyserial on one."""

from __future__ import annotations

import os
import pty
import socket
import sys
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic

import pytest

from firmware_bridge import (
    BridgeError,
    Command,
    Event,
    Link,
    Reading,
    Transport,
    WireError,
    exchange,
    open_transport,
)
from firmware_bridge.transports import DescriptorTransport, SocketTransport
from tests.bridges import DEVICE, reading, readings

Ends = tuple[Transport, Transport]
TURN_NS = 5_000_000


def tcp_ends(folder: Path, opened: ExitStack) -> Ends:
    """Both ends of a TCP connection."""
    server = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
    ours = open_transport(f"tcp:127.0.0.1:{server.getsockname()[1]}")
    return ours, SocketTransport(server.accept()[0], "theirs")


def unix_ends(folder: Path, opened: ExitStack) -> Ends:
    """Both ends of a Unix socket, as of an emulated board."""
    server = opened.enter_context(socket.socket(socket.AF_UNIX))
    server.bind(str(folder / "board"))
    server.listen()
    ours = open_transport(f"unix:{folder / 'board'}")
    return ours, SocketTransport(server.accept()[0], "theirs")


def pty_ends(folder: Path, opened: ExitStack) -> Ends:
    """Both ends of a pseudo-terminal, both as descriptors."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    return DescriptorTransport(ours, "ours"), DescriptorTransport(theirs, "theirs")


def serial_ends(folder: Path, opened: ExitStack) -> Ends:
    """A pseudo-terminal, one end opened by pyserial."""
    pytest.importorskip("serial", reason="the serial port was not tried: pyserial is missing")
    ours, theirs = pty.openpty()
    opened.callback(os.close, theirs)
    return open_transport(os.ttyname(theirs)), DescriptorTransport(ours, "device")


MAKERS: dict[str, Callable[[Path, ExitStack], Ends]] = {
    "tcp": tcp_ends,
    "unix": unix_ends,
    "pty": pty_ends,
    "serial": serial_ends,
}


@pytest.fixture(params=sorted(MAKERS))
def ends(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ends]:
    """Two ends of each kind of port."""
    with ExitStack() as opened:
        both = MAKERS[request.param](tmp_path, opened)
        yield both
        for end in both:
            with suppress(WireError):
                end.close()


def test_bytes_pass(ends: Ends) -> None:
    """All bytes pass both ways unchanged, and reading waits no longer than its timeout."""
    every = bytes(range(256)) * 4
    for one, other in (ends, ends[::-1]):
        one.write(every)
        arrived = b""
        while len(arrived) < len(every):
            data = other.read(1_000_000_000)
            assert data
            arrived += data
        assert arrived == every
    started = monotonic()
    assert ends[0].read(20_000_000) == b""
    assert monotonic() - started < 10


def test_links_talk_over_a_port(ends: Ends) -> None:
    """Two links deliver readings and commands over a real port."""
    links = (Link(11), Link(22, DEVICE))
    heard: tuple[list[Event], list[Event]] = ([], [])
    done = threading.Event()

    def serve(side: int) -> None:
        while not done.is_set():
            heard[side].extend(exchange(links[side], ends[side], TURN_NS))

    sent = [reading(number, 200) for number in range(8)]
    assert all(map(links[1].send, sent))
    assert links[0].send(Command(1, 2, b"go"))
    other = threading.Thread(target=serve, args=(1,))
    other.start()
    deadline = monotonic() + 10
    while monotonic() < deadline and not (len(readings(heard[0])) == 8 and links[0].idle):
        heard[0].extend(exchange(links[0], ends[0], TURN_NS))
    done.set()
    other.join()
    assert readings(heard[0]) == sent
    assert Command(1, 2, b"go") in heard[1]


@pytest.mark.parametrize("maker", ["tcp", "unix"])
def test_a_closed_port_is_an_error(maker: str, tmp_path: Path) -> None:
    """When the other end hangs up, reading says so; closing twice does nothing."""
    with ExitStack() as opened:
        ours, theirs = MAKERS[maker](tmp_path, opened)
        theirs.close()
        with pytest.raises(WireError, match=r"could not read .*closed it"):
            ours.read(1_000_000_000)
        ours.close()
        ours.close()
        with pytest.raises(WireError, match="could not"):
            ours.read(0)


def test_a_closed_terminal_is_an_error(tmp_path: Path) -> None:
    """When a pseudo-terminal goes away, reading and writing say so; closing twice does nothing."""
    ours, theirs = pty_ends(tmp_path, ExitStack())
    ours.close()
    with pytest.raises(WireError, match="could not read theirs"):
        theirs.read(1_000_000_000)
    theirs.close()
    theirs.close()
    with pytest.raises(WireError, match="could not write theirs"):
        theirs.write(b"x")


@pytest.mark.parametrize(
    "place",
    ["tcp:nowhere", "tcp:127.0.0.1:99999", "unix:/no/such/socket", "/no/such/port"],
)
def test_a_port_that_is_not_there_is_an_error(place: str) -> None:
    """A port that cannot be opened is named in the error."""
    with pytest.raises(WireError) as found:
        open_transport(place)
    assert place in found.value.message
    assert found.value.hint


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pyserial a serial port, and only that, says which extra to install."""
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(BridgeError, match=r"auricle\[bridge\]"):
        open_transport("/no/such/port")
    assert isinstance(reading(1), Reading)
