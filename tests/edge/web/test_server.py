from __future__ import annotations

import select
import socket

import pytest
from microdot import Response

from edge.web import server
from tests.browsers import until
from tests.consoles import Console, console


@pytest.fixture
def served(tmp_path):
    """A console of an empty folder."""
    with console(tmp_path) as made:
        yield made


FORM = "Content-Type: application/x-www-form-urlencoded"


def head(*lines: str) -> bytes:
    """A request's head."""
    return "\r\n".join((*lines, "", "")).encode("latin-1")


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (head("GET / HTTP/1.1", "Host: localhost", "Content-Length: x"), 400),
        (head("GET / HTTP/1.1", "Host: localhost", "Content-Length: -1"), 400),
        (head("GET / HTTP/1.1", "Content-Length: 1", "Content-Length: 2"), 400),
        (head("GET / HTTP/1.1", "Host: a", "Host: b"), 400),
        (head("GET / HTTP/1.1", "Host: a", "Cookie: a=b", "cookie: a=c"), 400),
        (head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked"), 411),
        (head("GET / HTTP/1.1", "Host : a"), 400),
        (head("GET / HTTP/1.1", " Host: a"), 400),
        (head("GET / HTTP/1.1", "no colon"), 400),
        (head("GET / HTTP/1.1", "Host: a\rX: b"), 400),
        (head("GET / HTTP/1.1", "Host: ä"), 400),
        (head("GET / HTTP/1.1", "Host: \x00"), 400),
        (head("GET http://evil.example/ HTTP/1.1", "Host: a"), 400),
        (head("GET /"), 400),
        (head("GET / HTTP/2"), 400),
        (head("GET /a b HTTP/1.1"), 400),
        (head("POST /open HTTP/1.1", "Host: a", "Content-Length: 999999999"), 413),
        (head("GET / HTTP/1.1", "X: " + "a" * server.HEAD_BYTES_MAX), 431),
        (head("GET /%ff%zz HTTP/1.1", "Host: localhost"), 404),
        (head("GET /open?token=%zz HTTP/1.1", "Host: localhost"), 400),
        (
            head("POST /open HTTP/1.1", "Host: localhost", FORM, "Content-Length: 9")
            + b"token=%zz",
            400,
        ),
    ],
)
def test_a_bad_request_gets_a_reason(served: Console, content, status) -> None:
    """What is not clear HTTP/1.1 is refused with a status and one line, and nothing breaks."""
    answer = served.raw(content)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer[:200]
    assert served.ask("GET", "/open").status == 200


def test_a_body_has_a_limit(served: Console) -> None:
    """A body up to the limit is read; a longer one is refused before it is."""
    session = served.log_in()
    answer = served.ask("POST", "/leave", "a" * server.BODY_BYTES_MAX, session)
    assert answer.status == 303
    answer = served.ask("POST", "/leave", headers=session, body="a" * (server.BODY_BYTES_MAX + 1))
    assert answer.status == 413


def test_slow_clients_hold_nobody(served: Console, monkeypatch) -> None:
    """Fifty clients that send byte by byte (slowloris) are disconnected in time, and others are
    answered meanwhile: before the first of the fifty has its message."""
    monkeypatch.setattr(server, "HEAD_S", 6.0)
    slow = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(50)]
    try:
        until(lambda: served.application.server.connections == 50)
        for _ in range(3):
            for one in slow:
                one.sendall(b"G")
            assert served.ask("GET", "/open").status == 200
        assert not select.select(slow, [], [], 0)[0]
        for one in slow:
            one.settimeout(30)
            assert one.recv(100).startswith(b"HTTP/1.1 408")
    finally:
        for one in slow:
            one.close()


def test_a_body_that_does_not_come_is_not_waited_for(served: Console, monkeypatch) -> None:
    """A client that announces a body and sends a part gets a message and is disconnected."""
    monkeypatch.setattr(server, "BODY_S", 0.2)
    content = head("POST /open HTTP/1.1", "Host: localhost", "Content-Length: 100") + b"token="
    assert served.raw(content).startswith(b"HTTP/1.1 408")


def test_a_client_that_does_not_read_is_disconnected(served: Console, monkeypatch) -> None:
    """Responses to clients that read nothing end in time; the connections are free again."""
    monkeypatch.setattr(server, "WRITE_S", 0.3)
    monkeypatch.setattr(server, "CONNECTIONS_MAX", 12)
    path = "/static/vendor/uPlot-1.6.32.min.js"
    stuck = []
    for _ in range(10):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect(("127.0.0.1", served.port))
        one.sendall(head(f"GET {path} HTTP/1.1", "Host: localhost"))
        stuck.append(one)
    assert served.ask("GET", path).status == 200
    until(lambda: served.application.server.connections == 0)
    for one in stuck:
        one.close()


def test_connections_are_bounded(served: Console, monkeypatch) -> None:
    """Beyond the limit a client is asked to come back; one that leaves makes room."""
    monkeypatch.setattr(server, "CLIENT_MAX", 3)
    idle = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(3)]
    until(lambda: served.application.server.connections == 3)
    assert served.ask("GET", "/open").status == 503
    idle.pop().close()
    until(lambda: served.application.server.connections == 2)
    assert served.ask("GET", "/open").status == 200
    for one in idle:
        one.close()


def test_no_header_has_a_line_break() -> None:
    """A value with a line break would start another header; it raises instead of being sent."""
    for value in ("a\r\nSet-Cookie: x=y", "a\nb", "a\0b"):
        with pytest.raises(ValueError, match="line break"):
            server._head(Response(b"", 303, {"Location": value}))  # noqa: SLF001 - its contract


def test_head_sends_no_body(served: Console) -> None:
    """HEAD is answered as GET, without the body."""
    answer = served.ask("HEAD", "/open")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 500
