"""A live daemon for the benchmark and for the pictures of the documentation: requests, HTTP input,
and waiting."""

from __future__ import annotations

import http.client
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.commands import response_body, send_to_daemon

WAIT_S = 120.0
"""Generous, so that a slow machine does not fail."""
POLL_S = 0.05
"""Seconds between two looks: short against what is waited for."""


def ask(home: Path, verb: str, **fields: Any) -> dict[str, Any]:
    """Return the body of the daemon's answer to a request."""
    return response_body(send_to_daemon(home, {"verb": verb, "id": secrets.token_hex(8), **fields}))


def observe(port: int, stream: str, body: bytes, kind: str, name: str = "") -> None:
    """Send a measurement over HTTP.  kind: its content type; name: its id, empty for none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    address = f"/observe/{stream}" + (f"?id={name}" if name else "")
    connection.request("POST", address, body, {"Content-Type": kind})
    response = connection.getresponse()
    assert response.status == http.client.ACCEPTED, response.read()
    connection.close()


def decided(home: Path) -> int:
    """Return how many measurements were decided on."""
    return sum(int(one["decided"]) for one in ask(home, "status")["streams"])


def wait_until(holds: Callable[[], object], poll_s: float = POLL_S) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(poll_s)


def wait_for_daemon(home: Path) -> None:
    """Wait until the daemon of a home serves."""
    wait_until(lambda: send_to_daemon(home, {"verb": "status", "id": "ready"}))
    wait_until(lambda: ask(home, "status")["homes"][0]["facts"])
