from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from edge.daemon.systemd import SystemdNotifier


@pytest.fixture
def manager(tmp_path: Path):
    """A service manager's socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        yield listening


def heard(manager: socket.socket) -> str:
    """The next notification."""
    return manager.recv(4096).decode()


def test_the_manager_hears_each_state(manager: socket.socket, tmp_path: Path):
    """READY, STATUS, WATCHDOG, RELOADING with its time, and STOPPING arrive as datagrams."""
    notifier = SystemdNotifier(
        {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "10000000"}
    )
    assert notifier.watchdog_s == 5.0
    notifier.ready()
    notifier.status("serving:\n3 decided")
    notifier.status("serving:\n3 decided")
    notifier.alive()
    before = time.monotonic_ns() // 1000
    notifier.reloading()
    notifier.stopping()
    assert [heard(manager) for _ in range(3)] == [
        "READY=1",
        "STATUS=serving: 3 decided",
        "WATCHDOG=1",
    ]
    state, moment = heard(manager).split("\n")
    assert state == "RELOADING=1"
    assert before <= int(moment.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
    assert heard(manager) == "STOPPING=1"
    notifier.close()


def test_an_abstract_socket_is_reached():
    """An address that begins with @ is in the abstract namespace."""
    name = f"auricle-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(5)
        notifier = SystemdNotifier({"NOTIFY_SOCKET": f"@{name}"})
        notifier.ready()
        assert heard(listening) == "READY=1"
        notifier.close()


@pytest.mark.parametrize(
    "environment",
    [{}, {"NOTIFY_SOCKET": "/nowhere/notify"}, {"WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"}],
)
def test_without_a_manager_nothing_happens(environment: dict[str, str]):
    """No manager, a missing one, and another process's watchdog cause no error."""
    notifier = SystemdNotifier(environment)
    notifier.ready()
    notifier.alive()
    assert notifier.watchdog_s == 0.0
    notifier.close()
