from __future__ import annotations

import json
import socket
import stat
import threading

import pytest

from edge.commands import control_socket as control
from edge.commands.control_socket import SOCKET, ControlSocket, response_body, send_to_daemon
from edge.core.errors import EdgeError, TransportError


@pytest.fixture
def listen(tmp_path):
    """Start a control socket in a folder; it is closed at the end."""
    opened = []

    def start(answer, folder=tmp_path):
        door = ControlSocket(folder, answer)
        door.start()
        opened.append(door)
        return folder

    yield start
    for door in opened:
        door.stop()


def echo(line: bytes) -> bytes:
    """Answer with the request."""
    return json.dumps({"request": json.loads(line)}).encode()


def test_a_request_is_answered(listen):
    """The request arrives unchanged, and so does the answer."""
    folder = listen(echo)
    assert send_to_daemon(folder, {"verb": "status"}) == {"request": {"verb": "status"}}


def test_a_refusal_is_raised_and_an_answer_is_its_body():
    """A refused request raises an error with reason and hint; otherwise the body is returned."""
    with pytest.raises(EdgeError, match="busy") as caught:
        response_body({"done": False, "reason": "busy", "hint": "later"})
    assert caught.value.hint == "later"
    assert response_body({"done": True, "body": {"state": "serving"}}) == {"state": "serving"}


def test_only_its_user_may_ask(listen):
    """The socket is accessible to one user from its creation on."""
    folder = listen(echo)
    assert stat.S_IMODE((folder / SOCKET).stat().st_mode) == 0o600


def test_a_deep_folder_is_no_obstacle(listen, tmp_path):
    """A path longer than a socket's address works."""
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    assert send_to_daemon(listen(echo, deep), {}) == {"request": {}}


def test_without_a_daemon_there_is_no_answer(tmp_path):
    """A missing socket, or that of a dead daemon, means no daemon, which is not an error."""
    assert send_to_daemon(tmp_path, {}) is None
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / SOCKET))
    dead.close()
    assert send_to_daemon(tmp_path, {}) is None


def test_a_dead_daemons_socket_is_replaced(listen, tmp_path):
    """A socket left by a crash does not keep the next daemon from listening."""
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / SOCKET))
    dead.close()
    assert send_to_daemon(listen(echo), {}) == {"request": {}}


def test_a_silent_daemon_is_an_error(listen):
    """Waiting for an answer ends with an error and a hint."""
    held = threading.Event()

    def never(_line: bytes) -> bytes:
        held.wait(5)
        return b"{}"

    folder = listen(never)
    with pytest.raises(TransportError, match="does not answer"):
        send_to_daemon(folder, {}, timeout_s=0.1)
    held.set()


def test_garbage_and_hurry_leave_it_alive(listen, monkeypatch):
    """Clients that disconnect early, and endless lines, affect no other client."""
    monkeypatch.setattr(control, "LINE_BYTES_MAX", 1_000)
    folder = listen(echo)
    for data in (b"", b"half a line", b"x" * 300_000):
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(folder / SOCKET))
            try:
                caller.sendall(data)
            except OSError:
                assert len(data) > 1_000
    assert send_to_daemon(folder, {"verb": "status"}) == {"request": {"verb": "status"}}


def test_callers_are_bounded(listen, monkeypatch):
    """Clients beyond the limit are disconnected, until others leave."""
    folder = listen(echo)
    waiting = [socket.socket(socket.AF_UNIX) for _ in range(control.CLIENTS_MAX)]
    for caller in waiting:
        caller.connect(str(folder / SOCKET))
        caller.sendall(b"{}\n")
        assert caller.recv(100)
    with pytest.raises(TransportError):
        send_to_daemon(folder, {})
    for caller in waiting:
        caller.close()
    for _ in range(100):
        try:
            assert send_to_daemon(folder, {}) == {"request": {}}
            break
        except TransportError:
            continue
    else:
        pytest.fail("no place came free")


def test_it_is_gone_after_stopping(tmp_path):
    """A stopped daemon leaves no socket."""
    door = ControlSocket(tmp_path, echo)
    door.start()
    door.stop()
    door.stop()
    assert not (tmp_path / SOCKET).exists()
