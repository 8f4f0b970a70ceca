"""The HTTP server, through real connections."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.commands.control_socket import send_to_daemon
from edge.config.device import HttpSettings
from edge.core.errors import StateError
from edge.daemon import health, listeners
from edge.daemon import http_server as room
from edge.daemon.http_server import HttpServer
from tests.daemons import Served, daemon_home, served
from tests.worlds import vector

STREAMS = (
    '[http]\nport = 0\npayload_bytes_max = 500\n[streams.door]\nsource = "http"\n'
    '[streams.raw]\nsource = "http"\nformat = "raw"\n'
    '[streams.line]\nsource = "folder"\npath = "in"\n'
)
BODY = json.dumps(vector(1).tolist())
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Served]:
    """A daemon with an HTTP server."""
    (tmp_path / "in").mkdir()
    with served(daemon_home(tmp_path, STREAMS)) as made:
        yield made


def port(here: Served) -> int:
    """The port of its HTTP server."""
    door = here.daemon.listeners.http
    assert door is not None
    return door.port


def ask(
    here: Served,
    method: str,
    path: str,
    body: str | bytes = "",
    headers: dict[str, str] | None = None,
) -> tuple[int, Any]:
    """Send a request; returns status and answer."""
    line = http.client.HTTPConnection("127.0.0.1", port(here), timeout=10)
    line.request(method, path, body or None, headers or {})
    answer = line.getresponse()
    text = answer.read().decode()
    line.close()
    if text and answer.headers["Content-Type"] == "application/json":
        return answer.status, json.loads(text)
    return answer.status, text


def test_a_measurement_is_taken_and_decided(here: Served):
    """A measurement by POST is decided like any other, under the given id."""
    assert ask(here, "POST", "/observe/door?id=x7&subject=ann", BODY, JSON)[0] == 202
    here.until(lambda: here.kinds("decision"))
    assert here.kinds("decision")[0]["observation_id"] == "x7"


@pytest.mark.parametrize(
    ("path", "body", "headers", "code"),
    [
        ("/observe/door", "[1,", JSON, 400),
        ("/observe/door?sequence=minus", BODY, JSON, 400),
        ("/observe/door?" + "a=1&" * 40, BODY, JSON, 400),
        ("/observe/door", BODY, {"Content-Type": "text/plain"}, 415),
        ("/observe/raw", b"\0" * 3, {"Content-Type": "application/octet-stream"}, 400),
        ("/observe/unknown", BODY, JSON, 404),
        ("/observe/line", BODY, JSON, 404),
        ("/elsewhere", BODY, JSON, 404),
        ("/observe/door", "[" + "1," * 400 + "1]", JSON, 413),
        ("/observe/door", BODY, JSON | {"Origin": "http://evil.example"}, 403),
        ("/observe/door", BODY, JSON | {"Host": "evil.example"}, 403),
    ],
)
def test_an_invalid_request_is_refused_with_a_reason(
    here: Served, path: str, body: str | bytes, headers: dict[str, str], code: int
):
    """Each refusal has its code and a reason; nothing is decided."""
    status, answer = ask(here, "POST", path, body, headers)
    assert (status, answer["accepted"], bool(answer["reason"])) == (code, False, True)
    assert len(here.daemon.inbox) == 0


def test_a_request_without_length_is_refused(here: Served):
    """A body of unknown length is not read."""
    with socket.create_connection(("127.0.0.1", port(here)), 10) as line:
        line.sendall(
            b"POST /observe/door HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        assert line.recv(4096).startswith(b"HTTP/1.1 411")


def test_garbage_and_silent_clients_do_not_block_others(here: Served):
    """Clients that send rubbish, or nothing, do not block the others."""
    silent = [socket.create_connection(("127.0.0.1", port(here))) for _ in range(5)]
    with socket.create_connection(("127.0.0.1", port(here))) as line:
        line.sendall(b"\xff\x00\x13rubbish\r\n\r\n")
        line.recv(4096)
    assert ask(here, "GET", "/livez")[0] == 200
    for one in silent:
        one.close()


def test_too_many_clients_are_refused(here: Served):
    """Beyond the limit a client is refused with Retry-After, and the slowest client is
    disconnected."""
    silent = [
        socket.create_connection(("127.0.0.1", port(here))) for _ in range(room.CLIENTS_MAX + 1)
    ]
    assert b"503" in silent[-1].recv(4096)
    time.sleep(room.PATIENCE_S + 0.1)
    assert ask(here, "GET", "/livez")[0] == 200
    for one in silent:
        one.close()


def respond(here: Served, request: bytes, *, end: bool = False) -> tuple[int, Any]:
    """The answer to these bytes; end: nothing follows them."""
    with socket.create_connection(("127.0.0.1", port(here)), 10) as line:
        line.sendall(request)
        if end:
            line.shutdown(socket.SHUT_WR)
        answer = http.client.HTTPResponse(line)
        answer.begin()
        return answer.status, json.loads(answer.read())


HEAD = b"POST /observe/door HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (HEAD + b"Content-Length: 400\r\n\r\n" + BODY.encode(), 400),
        (HEAD + b"Content-Length: 2\r\nContent-Length: 400\r\n\r\n[]", 411),
        (HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n", 411),
        (b"PUT /observe/door HTTP/1.1\r\n\r\n", 501),
        (b"\r\nHost: localhost\r\n\r\n", 400),
        (b"\x16\x03\x01rubbish\r\n\r\n", 400),
        (b"GET /livez HTTP/9\r\n\r\n", 400),
        (b"GET /livez\r\n", 505),
        (HEAD + b"Content-Length: 9999999\r\n\r\n" + b"1" * 9_999_999, 413),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /livez HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
    ],
)
def test_a_malformed_request_is_refused_with_a_reason(here: Served, request_: bytes, code: int):
    """A truncated body, two lengths, and bytes that are not HTTP are refused with a reason."""
    status, answer = respond(here, request_, end=True)
    assert (status, answer["accepted"], bool(answer["reason"])) == (code, False, True)
    assert len(here.daemon.inbox) == 0


def test_a_caller_who_trickles_is_late(here: Served, monkeypatch):
    """The deadline covers the whole request: sending byte by byte does not extend it."""
    monkeypatch.setattr(room, "REQUEST_S", 0.5)
    with socket.create_connection(("127.0.0.1", port(here)), 10) as line:
        line.sendall(HEAD + b"Content-Length: 400\r\n\r\n[")
        begun = time.monotonic()
        line.settimeout(0.1)
        answer = b""
        while not answer and time.monotonic() - begun < 5:
            line.sendall(b"1")
            try:
                answer = line.recv(4096)
            except TimeoutError:
                continue
    assert b" 408 " in answer


def test_head_is_answered_without_a_body(here: Served):
    """HEAD has the status of GET, as liveness probes expect."""
    assert ask(here, "HEAD", "/livez") == (200, "")


def test_liveness_is_that_of_the_loop(here: Served, monkeypatch):
    """A loop that has not turned for long is not alive, even if the server's threads respond."""
    assert ask(here, "GET", "/livez")[0] == 200
    monkeypatch.setattr(room, "ALIVE_S", -1.0)
    assert ask(here, "GET", "/livez")[0] == 503


def test_readiness_needs_a_home(here: Served, monkeypatch):
    """A daemon is ready if a home can decide; the answer lists the troubles."""
    monkeypatch.setattr(health, "COUNT_AGAIN_S", -1.0)
    here.daemon.status()
    assert ask(here, "GET", "/readyz")[0] == 200
    here.daemon.homes[""].close()
    here.daemon.homes[""].problem = "its card has gone"
    here.daemon.status()
    code, answer = ask(here, "GET", "/readyz")
    assert (code, answer["problems"]) == (503, ["its card has gone"])


def test_metrics_match_the_status(here: Served):
    """The metrics have the numbers of the status; every name is documented."""
    here.daemon.inbox.offer(_measure())
    here.until(lambda: here.kinds("decision"))
    here.daemon.status()
    code, text = ask(here, "GET", "/metrics")
    assert code == 200
    assert 'auricle_stream_decided_total{stream="door"} 1.0' in text
    assert 'auricle_info{device="gw1"' in text
    assert "auricle_home_open" in text
    assert 'auricle_home_false_alarm_rate{home=""} 0.01' in text
    assert 'auricle_home_exchangeable_domains{home=""} 1.0' in text
    assert 'auricle_stream_alarm_question{stream="door"} 0.0' in text
    assert 'auricle_stream_false_alarm_rate{stream="door"}' not in text


def _measure() -> Any:
    from edge.sources.measurement import Measurement

    return Measurement("door", vector(1))


def test_a_port_that_is_taken_is_a_trouble_and_no_end(tmp_path: Path):
    """The rest serves, and the status names the port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with served(daemon_home(tmp_path, f"[http]\nport = {port}\n")) as here:
            status = here.daemon.status()
            assert status.state in {"starting", "degraded"}
            assert str(port) in status.problems[0]


def test_a_port_that_comes_free_is_listened_on(tmp_path: Path, monkeypatch):
    """A listener that could not be opened is tried again automatically."""
    monkeypatch.setattr(listeners, "RETRY_S", 0.0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        home = daemon_home(tmp_path, f"[http]\nport = {number}\n")
        (home / "auricle.sock").mkdir()
        with served(home) as here:
            assert len(here.daemon.status().problems) == 2
            taken.close()
            (home / "auricle.sock").rmdir()
            here.until(lambda: not here.daemon.status().problems)
            assert ask(here, "GET", "/livez")[0] == 200
            answer = send_to_daemon(home, {"verb": "status"})
            assert answer["done"]


def test_a_host_that_is_none_is_refused():
    """An invalid address is an error with a hint."""
    loop: Any = None
    made = HttpServer(HttpSettings(host="256.1.1.1"), loop, lambda: None)
    with pytest.raises(StateError, match=r"256\.1\.1\.1"):
        made.start()
    assert made.port == 0
